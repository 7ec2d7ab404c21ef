//! What can be wrong with a template, and where.

use std::fmt;

/// A template that cannot be compiled, or that nests without end when rendered.
///
/// One pointer wide, so results that carry it stay small. `Display` says where, what, and what to do about it:
/// `page.mustache:3:7: section "items" is closed by "item"; …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Details>);

impl Error {
    pub(crate) fn new(kind: ErrorKind, at: Location) -> Error {
        Error(Box::new(Details { kind, at }))
    }

    /// The cause.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The tag at fault.
    pub fn location(&self) -> &Location {
        &self.0.at
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.at, self.0.kind)
    }
}

impl std::error::Error for Error {}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    kind: ErrorKind,
    at: Location,
}

/// Why a template is refused. Names are shown lossily and cut after 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A tag starts and its closing delimiter is missing, or another tag starts inside it.
    UnclosedTag,
    /// A tag without a name.
    EmptyTag,
    /// A dotted name with nothing before, after or between the dots.
    EmptyPart(Box<str>),
    /// A delimiter tag that is not two words without `=`.
    BadDelimiters,
    /// A section, parent or block that the template never closes.
    UnclosedSection(Box<str>),
    /// A closing tag with nothing open.
    UnopenedSection(Box<str>),
    /// A closing tag that names something else than the innermost open tag.
    MismatchedSection {
        /// The innermost open tag.
        open: Box<str>,
        /// What the closing tag names.
        close: Box<str>,
    },
    /// Sections, parents and blocks nested deeper than [`NESTING_LIMIT`](crate::NESTING_LIMIT).
    TooDeep,
    /// A template of more than [`SIZE_LIMIT`](crate::SIZE_LIMIT) bytes.
    TooLarge,
    /// Partials, blocks and lambdas that use one another deeper than
    /// [`Partials::depth_limit`](crate::Partials::depth_limit) while rendering.
    EndlessRecursion {
        /// The limit that was reached.
        limit: usize,
    },
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::UnclosedTag => f.write_str("the tag is not closed; add its closing delimiter"),
            ErrorKind::EmptyTag => f.write_str("the tag has no name; name a value or remove the tag"),
            ErrorKind::EmptyPart(name) => {
                write!(f, "the name {name:?} has an empty part; put one dot between two names")
            }
            ErrorKind::BadDelimiters => f.write_str("bad delimiters; write two words without \"=\", as in {{=<% %>=}}"),
            ErrorKind::UnclosedSection(name) => {
                write!(f, "{name:?} is opened here and never closed; add its closing tag {{{{/{name}}}}}")
            }
            ErrorKind::UnopenedSection(name) => {
                write!(f, "closing tag {name:?} closes nothing; remove it or open {name:?} before it")
            }
            ErrorKind::MismatchedSection { open, close } => {
                write!(f, "{open:?} is closed by {close:?}; close the innermost open tag first")
            }
            ErrorKind::TooDeep => {
                write!(f, "more than {} nested sections; move inner ones to a partial", crate::NESTING_LIMIT)
            }
            ErrorKind::TooLarge => {
                write!(f, "the template exceeds {} bytes; split it into partials", crate::SIZE_LIMIT)
            }
            ErrorKind::EndlessRecursion { limit } => write!(
                f,
                "partials, blocks and lambdas call one another more than {limit} deep; end the recursion by a section"
            ),
        }
    }
}

/// Where a tag begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The template's name, as given to the compiler.
    pub template: Option<Box<str>>,
    /// True if line and column count within the text that a lambda returned to that template.
    pub in_lambda: bool,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in bytes, counted from 1.
    pub column: usize,
}

impl Location {
    pub(crate) fn find(source: &[u8], offset: usize, template: Option<&str>, in_lambda: bool) -> Location {
        let before = &source[..offset.min(source.len())];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
        Location { template: template.map(Box::from), in_lambda, line, column }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let template = self.template.as_deref().unwrap_or("template");
        let lambda = if self.in_lambda { " (in the text of a lambda)" } else { "" };
        write!(f, "{template}{lambda}:{}:{}", self.line, self.column)
    }
}

/// Why a rendering ended early. `E` is the error of the data and of the loader of partials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError<E> {
    /// A lambda's text does not compile, or the recursion has no end: mend the template.
    Template(Error),
    /// The data or the loader failed.
    Host {
        /// What they reported.
        error: E,
        /// The tag that asked them.
        at: Box<Location>,
    },
}

impl<E: fmt::Display> fmt::Display for RenderError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RenderError::Template(error) => error.fmt(f),
            RenderError::Host { error, at } => write!(f, "{at}: {error}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for RenderError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RenderError::Template(error) => Some(error),
            RenderError::Host { error, .. } => Some(error),
        }
    }
}

/// An error on its way up to a place that knows the template's name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// Bytes from the beginning of the source.
    pub(crate) offset: usize,
}

/// A name as an error shows it.
pub(crate) fn shown(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(&name[..name.len().min(SHOWN_BYTES)]).into()
}

const SHOWN_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let source = b"ab\ncd\n";
        let place = |offset| {
            let at = Location::find(source, offset, None, false);
            (at.line, at.column)
        };
        let places = [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 3)), (6, (3, 1)), (99, (3, 1))];
        for (offset, expected) in places {
            assert_eq!(place(offset), expected, "offset {offset}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shown(&[b'x'; 1000]).len(), SHOWN_BYTES);
    }
}
