//! Source text to [`Program`].

mod inherit;
mod layout;
mod names;
mod scan;

pub(crate) use layout::Start;

use crate::NESTING_LIMIT;
use crate::error::{ErrorKind, Fault, shown};
use crate::program::{Argument, Delimiters, Include, Op, Placement, Program, Section, Span, TemplateName};
use layout::{Layout, Line};
use names::Names;
use scan::{Scanner, Sigil, Tag, trim};

/// Compiles a source of at most [`SIZE_LIMIT`](crate::SIZE_LIMIT) bytes.
pub(crate) fn parse(source: &[u8], delimiters: Delimiters, start: Start) -> Result<Program, Fault> {
    let mut parser = Parser::new(source, delimiters, start);
    let mut at = 0;
    while let Some(tag) = parser.scanner.next_tag(at)? {
        at = parser.tag(at, &tag).map_err(|kind| Fault { kind, offset: tag.span.start() })?;
    }
    parser.finish(at)
}

struct Parser<'s> {
    source: &'s [u8],
    scanner: Scanner<'s>,
    names: Names<'s>,
    layout: Layout<'s>,
    program: Program,
    /// What is opened and not yet closed, innermost last.
    open: Vec<Open>,
}

struct Open {
    name: Span,
    offset: usize,
    construct: Construct,
}

enum Construct {
    /// Index of the section.
    Section(u32),
    /// Index of the operation.
    Inverted(usize),
    /// Index of the include, and what its blocks pass to it.
    Parent(u32, Vec<Argument>),
    /// A block right inside a parent: its first operation, and the indentation that lines around it lose.
    Argument(u32, Span),
    /// Any other block: its index, and the blanks before its tag.
    Block(u32, Span),
}

/// What a tag leaves of its line.
struct Place {
    alone: bool,
    /// Where the text before the tag ends.
    before: usize,
    /// Where the text after the tag begins.
    after: usize,
}

impl<'s> Parser<'s> {
    fn new(source: &'s [u8], delimiters: Delimiters, start: Start) -> Parser<'s> {
        Parser {
            source,
            scanner: Scanner::new(source, delimiters.clone()),
            names: Names::new(source),
            layout: Layout::new(source, start),
            program: Program { delimiters: vec![delimiters], ..Program::default() },
            open: Vec::new(),
        }
    }

    /// Compiles the text from `text` up to the tag, and the tag. Returns where the text after it begins.
    fn tag(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        match tag.sigil {
            Sigil::Variable(escaping) => {
                self.inline(text, tag);
                let path = self.names.path(tag.content, &mut self.program)?;
                self.push(Op::Variable(path, escaping), tag);
                Ok(tag.span.end())
            }
            Sigil::Comment => Ok(self.place(text, tag).after),
            Sigil::Delimiters => self.delimiters(text, tag),
            Sigil::Section => self.open_section(text, tag),
            Sigil::Inverted => self.open_inverted(text, tag),
            Sigil::Partial => self.partial(text, tag),
            Sigil::Parent => self.open_parent(text, tag),
            Sigil::Block if self.is_in_parent() => self.open_argument(text, tag),
            Sigil::Block => self.open_block(text, tag),
            Sigil::Close => self.close(text, tag),
        }
    }

    fn finish(mut self, at: usize) -> Result<Program, Fault> {
        if let Some(open) = self.open.last() {
            let kind = ErrorKind::UnclosedSection(shown(open.name.of(self.source)));
            return Err(Fault { kind, offset: open.offset });
        }
        self.text(at, self.source.len());
        self.program.push(Op::Return, self.source.len());
        Ok(self.program)
    }

    fn delimiters(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let place = self.place(text, tag);
        let delimiters = self.scanner.set_delimiters(tag.content).ok_or(ErrorKind::BadDelimiters)?;
        self.program.delimiters.push(delimiters);
        Ok(place.after)
    }

    fn open_section(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let place = self.place_or_begin(text, tag);
        let path = self.names.path(tag.content, &mut self.program)?;
        let index = self.program.sections.len() as u32;
        let delimiters = self.program.delimiters.len() as u32 - 1;
        self.program.sections.push(Section { end: 0, text: Span::new(place.after, place.after), delimiters });
        self.push(Op::Section(path, index), tag);
        self.open(tag.content, tag, Construct::Section(index))?;
        Ok(place.after)
    }

    fn open_inverted(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let place = self.place_or_begin(text, tag);
        let path = self.names.path(tag.content, &mut self.program)?;
        let op = self.program.ops.len();
        self.push(Op::Inverted(path, 0), tag);
        self.open(tag.content, tag, Construct::Inverted(op))?;
        Ok(place.after)
    }

    fn partial(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let place = self.place_or_begin(text, tag);
        let (placement, prefix) = if place.alone {
            (Placement::Standalone, self.layout.dedented(Span::new(place.before, tag.span.start())))
        } else {
            (Placement::Inline, Span::default())
        };
        let (name, _) = self.template_name(tag.content)?;
        self.include(name, placement, prefix, tag);
        Ok(place.after)
    }

    fn close(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let Some(open) = self.open.pop() else {
            return Err(ErrorKind::UnopenedSection(shown(tag.content.of(self.source))));
        };
        self.check_name(&open, tag)?;
        Ok(match open.construct {
            Construct::Section(index) => self.close_section(index, text, tag),
            Construct::Inverted(op) => self.close_inverted(op, text, tag),
            Construct::Parent(include, ref arguments) => self.close_parent(include, arguments, text, tag),
            Construct::Argument(start, outer) => self.close_argument(&open, start, outer, text, tag),
            Construct::Block(index, lead) => self.close_block(&open, index, lead, text, tag),
        })
    }

    fn close_section(&mut self, index: u32, text: usize, tag: &Tag) -> usize {
        let place = self.place_or_begin(text, tag);
        self.push(Op::End, tag);
        let end = self.program.next();
        let section = &mut self.program.sections[index as usize];
        section.end = end;
        section.text = Span::new(section.text.start(), place.before);
        place.after
    }

    fn close_inverted(&mut self, op: usize, text: usize, tag: &Tag) -> usize {
        let place = self.place_or_begin(text, tag);
        let end = self.program.next();
        if let Op::Inverted(_, target) = &mut self.program.ops[op] {
            *target = end;
        }
        place.after
    }

    /// Compiles the text before a tag that prints nothing itself; such a tag alone on its line takes the line away.
    fn place(&mut self, text: usize, tag: &Tag) -> Place {
        let lead = self.layout.advance(Span::new(text, tag.span.start()));
        let rest = self.layout.rest(tag.span.end()).filter(|_| self.layout.line == Line::Blank);
        let Some(after) = rest else {
            self.text(text, tag.span.start());
            self.layout.line = Line::Full;
            return Place { alone: false, before: tag.span.start(), after: tag.span.end() };
        };
        self.text(text, lead.start());
        self.layout.next_line(after);
        Place { alone: true, before: lead.start(), after }
    }

    /// Like [`Parser::place`], for a tag that compiles to an operation.
    fn place_or_begin(&mut self, text: usize, tag: &Tag) -> Place {
        let place = self.place(text, tag);
        if !place.alone {
            self.layout.begin(tag.span.start(), &mut self.program);
        }
        place
    }

    /// Compiles the text before a tag that prints.
    fn inline(&mut self, text: usize, tag: &Tag) {
        self.layout.advance(Span::new(text, tag.span.start()));
        self.text(text, tag.span.start());
        self.layout.begin(tag.span.start(), &mut self.program);
        self.layout.line = Line::Full;
    }

    /// Compiles text. Right inside a parent it is never reached, as everything there but the arguments.
    fn text(&mut self, start: usize, end: usize) {
        self.layout.text(Span::new(start, end), &mut self.program);
    }

    fn push(&mut self, op: Op, tag: &Tag) {
        self.program.push(op, tag.span.start());
    }

    fn open(&mut self, name: Span, tag: &Tag, construct: Construct) -> Result<(), ErrorKind> {
        if self.open.len() == NESTING_LIMIT {
            return Err(ErrorKind::TooDeep);
        }
        self.open.push(Open { name, offset: tag.span.start(), construct });
        Ok(())
    }

    fn check_name(&self, open: &Open, tag: &Tag) -> Result<(), ErrorKind> {
        let close = match open.construct {
            Construct::Parent(..) => self.without_star(tag.content).unwrap_or(tag.content),
            _ => tag.content,
        };
        let (open, close) = (open.name.of(self.source), close.of(self.source));
        if open == close {
            return Ok(());
        }
        Err(ErrorKind::MismatchedSection { open: shown(open), close: shown(close) })
    }

    /// The name of a partial or parent, and the text of it that a closing tag repeats.
    fn template_name(&mut self, content: Span) -> Result<(TemplateName, Span), ErrorKind> {
        let Some(path) = self.without_star(content) else {
            return Ok((TemplateName::Static(content), content));
        };
        if path.is_empty() {
            return Err(ErrorKind::EmptyTag);
        }
        Ok((TemplateName::Dynamic(self.names.path(path, &mut self.program)?), path))
    }

    fn without_star(&self, content: Span) -> Option<Span> {
        let dynamic = content.of(self.source).first() == Some(&b'*');
        dynamic.then(|| trim(self.source, content.start() + 1, content.end()))
    }

    fn include(&mut self, name: TemplateName, placement: Placement, prefix: Span, tag: &Tag) -> u32 {
        let index = self.program.includes.len() as u32;
        self.push(Op::Include(index), tag);
        let (arguments, end) = (Span::default(), self.program.next());
        self.program.includes.push(Include { name, placement, prefix, arguments, end });
        index
    }

    fn is_in_parent(&self) -> bool {
        matches!(self.open.last(), Some(Open { construct: Construct::Parent(..), .. }))
    }
}
