//! A compiled template.

use crate::data::{Data, Key, Name};
use crate::error::{Error, ErrorKind, Fault, Location, RenderError};
use crate::parse::{Start, parse};
use crate::partials::Partials;
use crate::program::{Delimiters, Op, Program, TemplateName};
use crate::render::Renderer;

/// A template, compiled once and rendered any number of times, from several threads if its keys allow it.
///
/// `K` is the [`Data::Key`] of the data it is for.
///
/// ```
/// use iodine_mustache::{Template, Value};
///
/// let template = Template::compile("Hello {{name}}{{^name}}world{{/name}}!", None)?;
/// let mut page = Vec::new();
/// template.render(&Value::map([("name", "<Ada>".into())]), &(), &mut page)?;
/// assert_eq!(page, b"Hello &lt;Ada&gt;!");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Template<K = ()> {
    source: Box<[u8]>,
    name: Option<Box<str>>,
    origin: Origin,
    program: Program,
    names: Box<[Name<K>]>,
}

impl<K: Key> Template<K> {
    /// Compiles template source, which need not be UTF-8. The name (a path, say) is what errors show and what
    /// [`Partials::load`] is given as `from`.
    ///
    /// # Errors
    ///
    /// Malformed tags, tags not closed or closed out of order, more than [`NESTING_LIMIT`] nested sections, more than
    /// [`SIZE_LIMIT`] bytes.
    pub fn compile(source: impl Into<Vec<u8>>, name: Option<&str>) -> Result<Template<K>, Error> {
        let text = Text { source: source.into(), name, origin: Origin::File };
        text.compile(Delimiters::default(), Start::OfLine)
    }

    /// Appends the rendered template to `out`.
    ///
    /// # Errors
    ///
    /// What the data or the partials report, a lambda's text that does not compile, and recursion deeper than
    /// [`Partials::depth_limit`]. `out` then is as it was before.
    pub fn render<D, P>(&self, data: D, partials: &P, out: &mut Vec<u8>) -> Result<(), RenderError<D::Error>>
    where
        D: Data<Key = K>,
        P: Partials<D> + ?Sized,
    {
        let length = out.len();
        let result = Renderer::new(data, partials, out).render(self);
        if result.is_err() {
            out.truncate(length);
        }
        result
    }

    /// Compiles what a lambda used in `self` returned.
    pub(crate) fn fragment(&self, source: Vec<u8>, delimiters: Delimiters, start: Start) -> Result<Self, Error> {
        let text = Text { source, name: self.name.as_deref(), origin: Origin::Lambda };
        text.compile(delimiters, start)
    }
}

impl<K> Template<K> {
    /// The name given to [`Template::compile`].
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The distinct names of values, with their keys. A part of a dotted name counts as a name.
    pub fn names(&self) -> &[Name<K>] {
        &self.names
    }

    /// The names of the partials and parents in the template, in order and with repetitions, except those that come
    /// from the data. For loading them early.
    pub fn partials(&self) -> impl Iterator<Item = &[u8]> {
        self.program.includes.iter().filter_map(|include| match include.name {
            TemplateName::Static(name) => Some(name.of(&self.source)),
            TemplateName::Dynamic(_) => None,
        })
    }

    /// Where the first tag is that names this partial or parent.
    pub fn locate_partial(&self, name: &[u8]) -> Option<Location> {
        let names_it = |op: &Op| match op {
            Op::Include(index) => match self.program.includes[*index as usize].name {
                TemplateName::Static(span) => span.of(&self.source) == name,
                TemplateName::Dynamic(_) => false,
            },
            _ => false,
        };
        self.program.ops.iter().position(names_it).map(|op| self.location(op))
    }

    pub(crate) fn source(&self) -> &[u8] {
        &self.source
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Where the tag of an operation is.
    pub(crate) fn location(&self, op: usize) -> Location {
        let offset = self.program.offsets.get(op).map_or(0, |offset| *offset as usize);
        Location::find(&self.source, offset, self.name.as_deref(), self.origin == Origin::Lambda)
    }
}

/// The largest template, in bytes: 64 MiB. Offsets and counts within a template fit 32 bits with room to spare.
pub const SIZE_LIMIT: usize = 64 << 20;

/// How many sections, parents and blocks may be open at a time within one template.
pub const NESTING_LIMIT: usize = 256;

/// Where the source is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    File,
    Lambda,
}

/// A source on its way to the compiler.
struct Text<'n> {
    source: Vec<u8>,
    name: Option<&'n str>,
    origin: Origin,
}

impl Text<'_> {
    fn compile<K: Key>(self, delimiters: Delimiters, start: Start) -> Result<Template<K>, Error> {
        if self.source.len() > SIZE_LIMIT {
            return Err(self.error(Fault { kind: ErrorKind::TooLarge, offset: 0 }));
        }
        let program = parse(&self.source, delimiters, start).map_err(|fault| self.error(fault))?;
        let names = program.names.iter().map(|name| Name::new(name.of(&self.source))).collect();
        let (source, name) = (self.source.into_boxed_slice(), self.name.map(Box::from));
        Ok(Template { source, name, origin: self.origin, program, names })
    }

    fn error(&self, fault: Fault) -> Error {
        let in_lambda = self.origin == Origin::Lambda;
        Error::new(fault.kind, Location::find(&self.source, fault.offset, self.name, in_lambda))
    }
}
