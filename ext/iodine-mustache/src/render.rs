//! Runs a program: the machine with its stacks.

use std::ops::Deref;
use std::sync::Arc;

use crate::data::{Data, Expansion, Key, Name, Shape, Written};
use crate::error::{Error, ErrorKind, RenderError};
use crate::output::{Output, escape};
use crate::parse::Start;
use crate::partials::{Loaded, Partials};
use crate::program::{Delimiters, Escaping, Include, Op, Path, Placement, Section, Span, TemplateName};
use crate::template::Template;

/// One rendering.
pub(crate) struct Renderer<'r, D: Data, P: ?Sized> {
    data: D,
    partials: &'r P,
    out: &'r mut Vec<u8>,
    /// The context stack, innermost last: the root, and the sections that are being rendered.
    contexts: Vec<Context<D::Value>>,
    /// The templates that are being rendered, innermost last.
    calls: Vec<Call<'r, D::Key>>,
    /// The arguments of parents; [`Scope::outer`] links the visible ones.
    scopes: Vec<Scope<'r, D::Key>>,
    /// The indentation of all calls.
    indent: Vec<u8>,
    /// Where that of the innermost call begins in [`Renderer::indent`].
    indent_start: usize,
    /// The next operation of the innermost call.
    next: usize,
    /// How many elements have been rendered since the last [`Data::pause`].
    rounds: u32,
}

/// The context of a section, and its position in the list that it is from.
struct Context<V> {
    value: V,
    /// Whether names are looked up in it.
    has_names: bool,
    list: V,
    index: usize,
    len: usize,
    /// The first operation of the section.
    body: usize,
}

/// A template, or an argument of one, at work.
struct Call<'r, K> {
    template: Handle<'r, K>,
    /// The innermost visible arguments, index of [`Renderer::scopes`].
    scope: Option<usize>,
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
    indent_start: usize,
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

/// Elements between two pauses: a fraction of a millisecond, unless they are large.
const ROUNDS: u32 = 1024;

/// Why an operation failed; the place is added where the operation is known.
enum Fault<E> {
    Host(E),
    Compile(Error),
    EndlessRecursion,
}

impl<'r, K: Key, D: Data<Key = K>, P: Partials<D> + ?Sized> Renderer<'r, D, P> {
    pub(crate) fn new(data: D, partials: &'r P, out: &'r mut Vec<u8>) -> Self {
        Renderer {
            data,
            partials,
            out,
            contexts: Vec::new(),
            calls: Vec::new(),
            scopes: Vec::new(),
            indent: Vec::new(),
            indent_start: 0,
            next: 0,
            rounds: 0,
        }
    }

    pub(crate) fn render(mut self, template: &'r Template<K>) -> Result<(), RenderError<D::Error>> {
        let root = self.data.root();
        self.contexts.push(Context { value: root, has_names: true, list: root, index: 0, len: 1, body: 0 });
        let outer = self.heights();
        let template = Handle::Borrowed(template);
        self.calls.push(Call { template, scope: None, resume: 0, outer, escape_from: None });
        while let Some(call) = self.calls.last() {
            let template = call.template.clone();
            self.run(&template)?;
        }
        Ok(())
    }

    /// Runs the innermost call until it returns or calls another.
    fn run(&mut self, handle: &Handle<'r, K>) -> Result<(), RenderError<D::Error>> {
        let template: &Template<K> = handle;
        let depth = self.calls.len();
        while self.calls.len() == depth {
            let at = self.next;
            self.next = at + 1;
            let done = match template.program().ops[at] {
                Op::Text(text) => {
                    self.text(text.of(template.source()));
                    continue;
                }
                Op::Indent => {
                    self.indent();
                    continue;
                }
                Op::Variable(path, escaping) => self.variable(path, escaping, template),
                Op::Section(path, index) => self.section(path, index, template),
                Op::Inverted(path, end) => self.inverted(path, end, template),
                Op::End => self.end_section(),
                op => self.call_or_return(op, handle),
            };
            done.map_err(|fault| self.report(fault, template, at))?;
        }
        Ok(())
    }

    /// The operations after which another template may be at work.
    #[inline(never)]
    fn call_or_return(&mut self, op: Op, template: &Handle<'r, K>) -> Result<(), Fault<D::Error>> {
        match op {
            Op::Include(index) => self.include(template.program().includes[index as usize], template),
            Op::Block(index) => self.block(index, template),
            _ => {
                self.leave();
                Ok(())
            }
        }
    }

    /// Copies text. A line that begins within it is indented here, one that begins with it by [`Op::Indent`].
    #[inline]
    fn text(&mut self, text: &[u8]) {
        if self.indentation().is_empty() {
            self.out.extend_from_slice(text);
        } else {
            self.indented_text(text);
        }
    }

    #[inline(never)]
    fn indented_text(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(newline) = memchr::memchr(b'\n', rest).filter(|at| at + 1 < rest.len()) {
            self.out.extend_from_slice(&rest[..=newline]);
            self.indent();
            rest = &rest[newline + 1..];
        }
        self.out.extend_from_slice(rest);
    }

    #[inline]
    fn indent(&mut self) {
        if !self.indentation().is_empty() {
            self.out.extend_from_slice(&self.indent[self.indent_start..]);
        }
    }

    #[inline]
    fn variable(&mut self, path: Path, escaping: Escaping, template: &Template<K>) -> Result<(), Fault<D::Error>> {
        let Some(value) = self.resolve(path, template)? else {
            return Ok(());
        };
        match self.data.write(value, &mut Output::new(self.out, escaping))? {
            Written::Text => Ok(()),
            Written::Lambda => self.expand_variable(value, escaping, template),
        }
    }

    /// The Mustache specification, lambdas: the text of a variable is rendered with the default delimiters, and then
    /// escaped.
    #[inline(never)]
    fn expand_variable(
        &mut self,
        lambda: D::Value,
        escaping: Escaping,
        template: &Template<K>,
    ) -> Result<(), Fault<D::Error>> {
        match self.data.call(lambda, None)? {
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

    #[inline]
    fn section(&mut self, path: Path, index: u32, template: &Template<K>) -> Result<(), Fault<D::Error>> {
        let section = template.program().sections[index as usize];
        let body = self.next;
        self.next = section.end as usize;
        let Some(list) = self.resolve(path, template)? else {
            return Ok(());
        };
        let shape = self.data.shape(list)?;
        let (first, len) = match shape {
            Shape::Falsy | Shape::List(0) => return Ok(()),
            Shape::Lambda => return self.expand_section(list, section, template),
            Shape::Truthy | Shape::Nameless => (Some(list), 1),
            Shape::List(len) => (self.data.element(list, 0)?, len),
        };
        if let Some(value) = first {
            self.data.hold(list);
            self.data.hold(value);
            let has_names = shape != Shape::Nameless;
            self.contexts.push(Context { value, has_names, list, index: 0, len, body });
            self.next = body;
        }
        Ok(())
    }

    /// The Mustache specification, lambdas: the text of a section is rendered with the delimiters in force there.
    #[inline(never)]
    fn expand_section(
        &mut self,
        lambda: D::Value,
        section: Section,
        template: &Template<K>,
    ) -> Result<(), Fault<D::Error>> {
        match self.data.call(lambda, Some(section.text.of(template.source())))? {
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

    /// Goes on with the next element, or behind the section.
    #[inline]
    fn end_section(&mut self) -> Result<(), Fault<D::Error>> {
        self.rounds += 1;
        if self.rounds == ROUNDS {
            self.rounds = 0;
            self.data.pause()?;
        }
        let Some(context) = self.contexts.last_mut() else {
            return Ok(());
        };
        self.data.release();
        context.index += 1;
        if context.index < context.len
            && let Some(element) = self.data.element(context.list, context.index)?
        {
            self.data.hold(element);
            context.value = element;
            self.next = context.body;
            return Ok(());
        }
        self.data.release();
        self.contexts.pop();
        Ok(())
    }

    #[inline]
    fn inverted(&mut self, path: Path, end: u32, template: &Template<K>) -> Result<(), Fault<D::Error>> {
        let Some(value) = self.resolve(path, template)? else {
            return Ok(());
        };
        if !matches!(self.data.shape(value)?, Shape::Falsy | Shape::List(0)) {
            self.next = end as usize;
        }
        Ok(())
    }

    fn include(&mut self, include: Include, template: &Handle<'r, K>) -> Result<(), Fault<D::Error>> {
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

    fn load(&self, name: TemplateName, template: &Template<K>) -> Result<Loaded<K>, Fault<D::Error>> {
        match name {
            TemplateName::Static(name) => Ok(self.partials.load(name.of(template.source()), template.name())?),
            TemplateName::Dynamic(path) => {
                let mut name = Vec::new();
                if let Some(value) = self.resolve(path, template)?
                    && self.data.write(value, &mut Output::new(&mut name, Escaping::Verbatim))? == Written::Lambda
                {
                    let (Expansion::Text(text) | Expansion::Template(text)) = self.data.call(value, None)?;
                    name = text;
                }
                if name.is_empty() { Ok(None) } else { Ok(self.partials.load(&name, template.name())?) }
            }
        }
    }

    /// Goes on with the default content, or calls what overrides it. The override is content of another template, so
    /// it sees the arguments which were passed to that one.
    fn block(&mut self, index: u32, template: &Template<K>) -> Result<(), Fault<D::Error>> {
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
    #[inline]
    fn resolve(&self, path: Path, template: &Template<K>) -> Result<Option<D::Value>, D::Error> {
        let segments = &template.program().segments[path.start as usize..][..path.len as usize];
        let Some((first, rest)) = segments.split_first() else {
            return Ok(self.contexts.last().map(|context| context.value));
        };
        let mut value = self.find(&template.names()[*first as usize])?;
        for segment in rest {
            let Some(context) = value else { break };
            value = self.data.lookup(context, &template.names()[*segment as usize])?;
        }
        Ok(value)
    }

    #[inline]
    fn find(&self, name: &Name<K>) -> Result<Option<D::Value>, D::Error> {
        for context in self.contexts.iter().rev().filter(|context| context.has_names) {
            if let Some(value) = self.data.lookup(context.value, name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn call(
        &mut self,
        template: Handle<'r, K>,
        start: usize,
        scope: Option<usize>,
        indentation: Indentation<'_>,
    ) -> Result<(), Fault<D::Error>> {
        if self.calls.len() > self.partials.depth_limit() {
            return Err(Fault::EndlessRecursion);
        }
        let outer = self.heights();
        if let Indentation::None = indentation {
            self.indent_start = outer.indent;
        }
        if let Indentation::Deeper(prefix) = indentation {
            self.indent.extend_from_slice(prefix);
        }
        self.calls.push(Call { template, scope, resume: self.next, outer, escape_from: None });
        self.next = start;
        Ok(())
    }

    fn leave(&mut self) {
        let Some(call) = self.calls.pop() else {
            return;
        };
        self.next = call.resume;
        self.indent.truncate(call.outer.indent);
        self.indent_start = call.outer.indent_start;
        self.scopes.truncate(call.outer.scopes);
        if let Some(from) = call.escape_from {
            let text = self.out.split_off(from);
            escape(&text, self.out);
        }
    }

    fn heights(&self) -> Heights {
        Heights { indent: self.indent.len(), indent_start: self.indent_start, scopes: self.scopes.len() }
    }

    fn scope(&self) -> Option<usize> {
        self.calls.last().and_then(|call| call.scope)
    }

    fn indentation(&self) -> &[u8] {
        &self.indent[self.indent_start..]
    }

    #[cold]
    fn report(&self, fault: Fault<D::Error>, template: &Template<K>, op: usize) -> RenderError<D::Error> {
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
