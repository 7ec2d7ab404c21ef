//! Runs a program: the machine with its stacks.

use std::ops::Deref;
use std::sync::Arc;

use crate::context::{Context, Expansion, Key, Shape};
use crate::error::{Error, ErrorKind, RenderError};
use crate::output::{Output, escape};
use crate::parse::Start;
use crate::partials::{Loaded, Partials};
use crate::program::{Delimiters, Escaping, Include, Op, Path, Placement, Section, Span, TemplateName};
use crate::template::Template;

/// One rendering.
pub(crate) struct Renderer<'r, C: Context, P: ?Sized> {
    partials: &'r P,
    out: &'r mut Vec<u8>,
    /// The context stack, innermost last.
    contexts: Vec<C>,
    /// The sections that are being rendered, innermost last.
    loops: Vec<Loop<C>>,
    /// The templates that are being rendered, innermost last.
    calls: Vec<Call<'r, C::Key>>,
    /// The arguments of parents; [`Scope::outer`] links the visible ones.
    scopes: Vec<Scope<'r, C::Key>>,
    /// The indentation of all calls; that of the innermost begins at its [`Call::indent`].
    indent: Vec<u8>,
    /// The next operation of the innermost call.
    next: usize,
}

/// A section and its position in a list.
struct Loop<C> {
    list: C,
    index: usize,
    len: usize,
    body: usize,
}

/// A template, or an argument of one, at work.
struct Call<'r, K> {
    template: Handle<'r, K>,
    /// The innermost visible arguments, index of [`Renderer::scopes`].
    scope: Option<usize>,
    /// Where its indentation begins in [`Renderer::indent`].
    indent: usize,
    /// Where the caller goes on.
    resume: usize,
    /// How much of the stacks belongs to the callers.
    outer: Heights,
    /// The result from this position of the output on is yet to be escaped.
    escape_from: Option<usize>,
}

#[derive(Clone, Copy)]
struct Heights {
    indent: usize,
    scopes: usize,
}

/// The arguments that a parent tag passes.
struct Scope<'r, K> {
    template: Handle<'r, K>,
    /// Range of the template's arguments.
    arguments: Span,
    /// What the tag itself could see.
    outer: Option<usize>,
}

/// How the lines of a called template are indented.
enum Indentation<'t> {
    None,
    /// Like those of the caller.
    Same,
    /// Like those of the caller, and by this.
    Deeper(&'t [u8]),
}

/// Why an operation failed; the place is added where the operation is known.
enum Fault<E> {
    Host(E),
    Compile(Error),
    EndlessRecursion,
}

impl<'r, K: Key, C: Context<Key = K>, P: Partials<C> + ?Sized> Renderer<'r, C, P> {
    pub(crate) fn new(partials: &'r P, out: &'r mut Vec<u8>) -> Self {
        Renderer {
            partials,
            out,
            contexts: Vec::new(),
            loops: Vec::new(),
            calls: Vec::new(),
            scopes: Vec::new(),
            indent: Vec::new(),
            next: 0,
        }
    }

    pub(crate) fn render(mut self, template: &'r Template<K>, data: C) -> Result<(), RenderError<C::Error>> {
        self.contexts.push(data);
        let outer = self.heights();
        let template = Handle::Borrowed(template);
        self.calls.push(Call { template, scope: None, indent: 0, resume: 0, outer, escape_from: None });
        while let Some(call) = self.calls.last() {
            let template = call.template.clone();
            self.run(&template)?;
        }
        Ok(())
    }

    /// Runs the innermost call until it returns or calls another.
    fn run(&mut self, template: &Handle<'r, K>) -> Result<(), RenderError<C::Error>> {
        let depth = self.calls.len();
        while self.calls.len() == depth {
            let at = self.next;
            self.next = at + 1;
            self.step(template.program().ops[at], template).map_err(|fault| self.report(fault, template, at))?;
        }
        Ok(())
    }

    fn step(&mut self, op: Op, template: &Handle<'r, K>) -> Result<(), Fault<C::Error>> {
        match op {
            Op::Text(text) => self.text(text.of(template.source())),
            Op::Indent => self.indent(),
            Op::Variable(path, escaping) => self.variable(path, escaping, template)?,
            Op::Section(path, index) => self.section(path, template.program().sections[index as usize], template)?,
            Op::Inverted(path, end) => self.inverted(path, end, template)?,
            Op::End => self.end_section()?,
            Op::Include(index) => self.include(template.program().includes[index as usize], template)?,
            Op::Block(index) => self.block(index, template)?,
            Op::Return => self.leave(),
        }
        Ok(())
    }

    /// Copies text. A line that begins within it is indented here, one that begins with it by [`Op::Indent`].
    fn text(&mut self, text: &[u8]) {
        if self.indentation().is_empty() {
            return self.out.extend_from_slice(text);
        }
        let mut rest = text;
        while let Some(newline) = memchr::memchr(b'\n', rest).filter(|at| at + 1 < rest.len()) {
            self.out.extend_from_slice(&rest[..=newline]);
            self.indent();
            rest = &rest[newline + 1..];
        }
        self.out.extend_from_slice(rest);
    }

    fn indent(&mut self) {
        let from = self.indent_start();
        self.out.extend_from_slice(&self.indent[from..]);
    }

    fn variable(&mut self, path: Path, escaping: Escaping, template: &Handle<'r, K>) -> Result<(), Fault<C::Error>> {
        let Some(value) = self.resolve(path, template)? else {
            return Ok(());
        };
        if value.shape()? == Shape::Lambda {
            return self.expand_variable(&value, escaping, template);
        }
        Ok(value.write(&mut Output::new(self.out, escaping))?)
    }

    /// The Mustache specification, lambdas: the text of a variable is rendered with the default delimiters, and then
    /// escaped.
    fn expand_variable(
        &mut self,
        lambda: &C,
        escaping: Escaping,
        template: &Template<K>,
    ) -> Result<(), Fault<C::Error>> {
        match lambda.call(None)? {
            Expansion::Text(text) => Output::new(self.out, escaping).push(&text),
            Expansion::Template(source) => {
                let fragment =
                    template.fragment(source, Delimiters::default(), Start::WithinLine).map_err(Fault::Compile)?;
                let escape_from = (escaping == Escaping::Html).then_some(self.out.len());
                self.call(Handle::from(fragment), 0, self.scope(), Indentation::None)?;
                if let Some(call) = self.calls.last_mut() {
                    call.escape_from = escape_from;
                }
            }
        }
        Ok(())
    }

    fn section(&mut self, path: Path, section: Section, template: &Handle<'r, K>) -> Result<(), Fault<C::Error>> {
        let body = self.next;
        self.next = section.end as usize;
        let Some(value) = self.resolve(path, template)? else {
            return Ok(());
        };
        let (first, len) = match value.shape()? {
            Shape::Falsy | Shape::List(0) => return Ok(()),
            Shape::Lambda => return self.expand_section(&value, section, template),
            Shape::Truthy => (Some(value.clone()), 1),
            Shape::List(len) => (value.element(0)?, len),
        };
        if let Some(first) = first {
            value.hold();
            first.hold();
            self.contexts.push(first);
            self.loops.push(Loop { list: value, index: 0, len, body });
            self.next = body;
        }
        Ok(())
    }

    /// The Mustache specification, lambdas: the text of a section is rendered with the delimiters in force there.
    fn expand_section(&mut self, lambda: &C, section: Section, template: &Template<K>) -> Result<(), Fault<C::Error>> {
        match lambda.call(Some(section.text.of(template.source())))? {
            Expansion::Text(text) => self.out.extend_from_slice(&text),
            Expansion::Template(source) => {
                let delimiters = template.program().delimiters[section.delimiters as usize].clone();
                let before = &template.source()[..section.text.start()];
                let start =
                    if before.is_empty() || before.ends_with(b"\n") { Start::OfLine } else { Start::WithinLine };
                let fragment = template.fragment(source, delimiters, start).map_err(Fault::Compile)?;
                self.call(Handle::from(fragment), 0, self.scope(), Indentation::Same)?;
            }
        }
        Ok(())
    }

    fn end_section(&mut self) -> Result<(), Fault<C::Error>> {
        let (Some(mut round), Some(context)) = (self.loops.pop(), self.contexts.pop()) else {
            return Ok(());
        };
        context.release();
        round.index += 1;
        let element = if round.index < round.len { round.list.element(round.index)? } else { None };
        let Some(element) = element else {
            round.list.release();
            return Ok(());
        };
        element.hold();
        self.next = round.body;
        self.contexts.push(element);
        self.loops.push(round);
        Ok(())
    }

    fn inverted(&mut self, path: Path, end: u32, template: &Template<K>) -> Result<(), Fault<C::Error>> {
        let shape = self.resolve(path, template)?.map_or(Ok(Shape::Falsy), |value| value.shape())?;
        if !matches!(shape, Shape::Falsy | Shape::List(0)) {
            self.next = end as usize;
        }
        Ok(())
    }

    fn include(&mut self, include: Include, template: &Handle<'r, K>) -> Result<(), Fault<C::Error>> {
        self.next = include.end as usize;
        let prefix = include.prefix.of(template.source());
        if include.placement == Placement::Leading {
            self.indent();
            self.out.extend_from_slice(prefix);
        }
        let Some(partial) = self.load(include.name, template)? else {
            return Ok(());
        };
        let outer = self.scope();
        let indentation = match include.placement {
            Placement::Standalone => Indentation::Deeper(prefix),
            Placement::Leading | Placement::Inline => Indentation::None,
        };
        self.call(Handle::Shared(partial), 0, outer, indentation)?;
        if !include.arguments.is_empty() {
            self.scopes.push(Scope { template: template.clone(), arguments: include.arguments, outer });
            if let Some(call) = self.calls.last_mut() {
                call.scope = Some(self.scopes.len() - 1);
            }
        }
        Ok(())
    }

    fn load(&self, name: TemplateName, template: &Template<K>) -> Result<Loaded<K>, Fault<C::Error>> {
        match name {
            TemplateName::Static(name) => Ok(self.partials.load(name.of(template.source()), template.name())?),
            TemplateName::Dynamic(path) => {
                let mut name = Vec::new();
                if let Some(value) = self.resolve(path, template)? {
                    value.write(&mut Output::new(&mut name, Escaping::Verbatim))?;
                }
                if name.is_empty() { Ok(None) } else { Ok(self.partials.load(&name, template.name())?) }
            }
        }
    }

    /// Goes on with the default content, or calls what overrides it. The override is content of another template, so
    /// it sees the arguments which were passed to that one.
    fn block(&mut self, index: u32, template: &Template<K>) -> Result<(), Fault<C::Error>> {
        let block = template.program().blocks[index as usize];
        let Some((scope, start)) = self.find_override(block.name.of(template.source())) else {
            return Ok(());
        };
        self.next = block.end as usize;
        let (owner, outer) = (self.scopes[scope].template.clone(), self.scopes[scope].outer);
        let indentation = match block.indent {
            Some(indent) => Indentation::Deeper(indent.of(template.source())),
            None => Indentation::None,
        };
        self.call(owner, start as usize, outer, indentation)
    }

    /// The outermost argument of that name, since children override parents; of several the last.
    fn find_override(&self, name: &[u8]) -> Option<(usize, u32)> {
        let mut found = None;
        let mut visible = self.scope();
        while let Some(index) = visible {
            let scope = &self.scopes[index];
            let range = scope.arguments.start()..scope.arguments.end();
            let arguments = &scope.template.program().arguments[range];
            let argument = arguments.iter().rfind(|argument| argument.name.of(scope.template.source()) == name);
            found = argument.map(|argument| (index, argument.start)).or(found);
            visible = scope.outer;
        }
        found
    }

    /// Looks for the first part of a dotted name from the innermost context outwards, and for each other part in the
    /// value before it only.
    fn resolve(&self, path: Path, template: &Template<K>) -> Result<Option<C>, C::Error> {
        let segments = &template.program().segments[path.start as usize..][..path.len as usize];
        let Some((first, rest)) = segments.split_first() else {
            return Ok(self.contexts.last().cloned());
        };
        let mut value = None;
        for context in self.contexts.iter().rev() {
            value = context.lookup(&template.names()[*first as usize])?;
            if value.is_some() {
                break;
            }
        }
        for segment in rest {
            let Some(context) = value else { break };
            value = context.lookup(&template.names()[*segment as usize])?;
        }
        Ok(value)
    }

    fn call(
        &mut self,
        template: Handle<'r, K>,
        start: usize,
        scope: Option<usize>,
        indentation: Indentation<'_>,
    ) -> Result<(), Fault<C::Error>> {
        if self.calls.len() > self.partials.depth_limit() {
            return Err(Fault::EndlessRecursion);
        }
        let outer = self.heights();
        let indent = match indentation {
            Indentation::None => outer.indent,
            Indentation::Same | Indentation::Deeper(_) => self.indent_start(),
        };
        if let Indentation::Deeper(prefix) = indentation {
            self.indent.extend_from_slice(prefix);
        }
        self.calls.push(Call { template, scope, indent, resume: self.next, outer, escape_from: None });
        self.next = start;
        Ok(())
    }

    fn leave(&mut self) {
        let Some(call) = self.calls.pop() else {
            return;
        };
        self.next = call.resume;
        self.indent.truncate(call.outer.indent);
        self.scopes.truncate(call.outer.scopes);
        if let Some(from) = call.escape_from {
            let text = self.out.split_off(from);
            escape(&text, self.out);
        }
    }

    fn heights(&self) -> Heights {
        Heights { indent: self.indent.len(), scopes: self.scopes.len() }
    }

    fn scope(&self) -> Option<usize> {
        self.calls.last().and_then(|call| call.scope)
    }

    fn indent_start(&self) -> usize {
        self.calls.last().map_or(0, |call| call.indent)
    }

    fn indentation(&self) -> &[u8] {
        &self.indent[self.indent_start()..]
    }

    fn report(&self, fault: Fault<C::Error>, template: &Template<K>, op: usize) -> RenderError<C::Error> {
        match fault {
            Fault::Host(error) => RenderError::Host { error, at: Box::new(template.location(op)) },
            Fault::Compile(error) => RenderError::Template(error),
            Fault::EndlessRecursion => {
                let kind = ErrorKind::EndlessRecursion { limit: self.partials.depth_limit() };
                RenderError::Template(Error::new(kind, template.location(op)))
            }
        }
    }
}

impl<E> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Fault::Host(error)
    }
}

/// The template given to render, or one that was loaded or made meanwhile.
enum Handle<'r, K> {
    Borrowed(&'r Template<K>),
    Shared(Arc<Template<K>>),
}

impl<K> Deref for Handle<'_, K> {
    type Target = Template<K>;

    fn deref(&self) -> &Template<K> {
        match self {
            Handle::Borrowed(template) => template,
            Handle::Shared(template) => template,
        }
    }
}

impl<K> Clone for Handle<'_, K> {
    fn clone(&self) -> Self {
        match self {
            Handle::Borrowed(template) => Handle::Borrowed(template),
            Handle::Shared(template) => Handle::Shared(Arc::clone(template)),
        }
    }
}

impl<K> From<Template<K>> for Handle<'_, K> {
    fn from(template: Template<K>) -> Self {
        Handle::Shared(Arc::new(template))
    }
}
