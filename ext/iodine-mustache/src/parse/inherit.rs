//! Parents, and the blocks in and outside of them.
//!
//! A block indents what overrides it, and what overrides it loses the indentation it was written with, so that both
//! templates can be indented to please the eye.

use super::layout::Line;
use super::scan::Tag;
use super::{Construct, Open, Parser, Place};
use crate::error::ErrorKind;
use crate::program::{Argument, Block, Op, Placement, Span};

impl Parser<'_> {
    pub(super) fn open_parent(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let lead = self.layout.advance(Span::new(text, tag.span.start()));
        let (placement, prefix) = if self.leads_line() {
            self.text(text, lead.start());
            self.layout.line = Line::Bare;
            (Placement::Leading, self.layout.dedented(lead))
        } else {
            self.text(text, tag.span.start());
            (Placement::Inline, Span::default())
        };
        let (name, content) = self.template_name(tag.content)?;
        let include = self.include(name, placement, prefix, tag);
        self.open(content, tag, Construct::Parent(include, Vec::new()))?;
        Ok(tag.span.end())
    }

    /// The content loses the indentation that it has here; where it is expanded it gets that of the parent's block.
    pub(super) fn open_argument(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let lead = self.layout.advance(Span::new(text, tag.span.start()));
        let outer = self.layout.dedent;
        self.open(tag.content, tag, Construct::Argument(self.program.next(), outer))?;
        let rest = self.layout.rest(tag.span.end());
        let after = rest.unwrap_or(tag.span.end());
        if rest.is_some() {
            self.layout.next_line(after);
            self.layout.dedent = self.layout.first_indentation(after);
        } else {
            self.layout.line = Line::Bare;
            self.layout.fresh = true;
            self.layout.dedent = lead;
        }
        Ok(after)
    }

    /// A block that begins its line indents what overrides it: like its default content if that begins on the next
    /// line, otherwise like its tag.
    pub(super) fn open_block(&mut self, text: usize, tag: &Tag) -> Result<usize, ErrorKind> {
        let lead = self.layout.advance(Span::new(text, tag.span.start()));
        if !self.leads_line() {
            self.text(text, tag.span.start());
            self.block(None, Span::default(), tag)?;
            return Ok(tag.span.end());
        }
        self.text(text, lead.start());
        let lead = self.layout.dedented(lead);
        if let Some(after) = self.layout.rest(tag.span.end()) {
            let indent = self.layout.dedented(self.layout.first_indentation(after));
            self.block(Some(indent), lead, tag)?;
            self.layout.next_line(after);
            return Ok(after);
        }
        self.block(Some(lead), lead, tag)?;
        self.layout.line = Line::Bare;
        self.layout.begin(tag.span.start(), &mut self.program);
        self.text(lead.start(), lead.end());
        Ok(tag.span.end())
    }

    pub(super) fn close_parent(&mut self, include: u32, arguments: &[Argument], text: usize, tag: &Tag) -> usize {
        self.layout.advance(Span::new(text, tag.span.start()));
        let first = self.program.arguments.len();
        self.program.arguments.extend_from_slice(arguments);
        let end = self.program.next();
        let include = &mut self.program.includes[include as usize];
        include.arguments = Span::new(first, first + arguments.len());
        include.end = end;
        if include.placement == Placement::Leading
            && let Some(after) = self.layout.rest(tag.span.end())
        {
            include.placement = Placement::Standalone;
            self.layout.next_line(after);
            return after;
        }
        self.layout.line = Line::Full;
        self.layout.fresh = false;
        tag.span.end()
    }

    pub(super) fn close_argument(&mut self, open: &Open, start: u32, outer: Span, text: usize, tag: &Tag) -> usize {
        let place = self.close_place(open, text, tag);
        self.push(Op::Return, tag);
        self.layout.dedent = outer;
        self.layout.fresh = true;
        if let Some(Open { construct: Construct::Parent(_, arguments), .. }) = self.open.last_mut() {
            arguments.push(Argument { name: open.name, start });
        }
        place.after
    }

    pub(super) fn close_block(&mut self, open: &Open, index: u32, lead: Span, text: usize, tag: &Tag) -> usize {
        let place = self.close_place(open, text, tag);
        let end = self.program.next();
        let block = &mut self.program.blocks[index as usize];
        let empty = block.end == end;
        if empty && block.indent.is_some() {
            block.indent = Some(lead);
        }
        block.end = end;
        place.after
    }

    fn block(&mut self, indent: Option<Span>, lead: Span, tag: &Tag) -> Result<(), ErrorKind> {
        let index = self.program.blocks.len() as u32;
        self.push(Op::Block(index), tag);
        let end = self.program.next();
        self.program.blocks.push(Block { name: tag.content, indent, end });
        self.open(tag.content, tag, Construct::Block(index, lead))
    }

    /// Compiles the text before the closing tag of a block. The tag takes its line away if it alone is on it and the
    /// block began on an earlier one; before other closing tags it only takes the blanks before it.
    fn close_place(&mut self, open: &Open, text: usize, tag: &Tag) -> Place {
        let lead = self.layout.advance(Span::new(text, tag.span.start()));
        let first = self.leads_line() && open.offset < self.layout.line_start;
        let rest = self.layout.rest(tag.span.end()).filter(|_| first);
        let bare = rest.is_some() || (first && self.scanner.close_follows(tag.span.end()));
        let before = if bare { lead.start() } else { tag.span.start() };
        self.text(text, before);
        self.layout.line = if bare { Line::Bare } else { Line::Full };
        if let Some(after) = rest {
            self.layout.next_line(after);
        }
        Place { alone: rest.is_some(), before, after: rest.unwrap_or(tag.span.end()) }
    }

    /// True if nothing of the present line is compiled and nothing but blanks and such tags was on it.
    fn leads_line(&self) -> bool {
        self.layout.fresh && self.layout.line != Line::Full
    }
}
