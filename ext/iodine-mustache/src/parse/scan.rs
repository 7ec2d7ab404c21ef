//! Finds tags in a source.

use memchr::memmem::Finder;

use crate::error::{ErrorKind, Fault};
use crate::program::{Delimiters, Escaping, Span};

/// A tag and what is between its delimiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) sigil: Sigil,
    /// The content without sigil and surrounding whitespace.
    pub(crate) content: Span,
    /// The whole tag with its delimiters.
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sigil {
    Variable(Escaping),
    Section,
    Inverted,
    Close,
    Comment,
    Partial,
    Parent,
    Block,
    Delimiters,
}

/// Walks a source from tag to tag.
pub(crate) struct Scanner<'s> {
    source: &'s [u8],
    delimiters: Delimiters,
    open: Finder<'static>,
    close: Finder<'static>,
}

impl<'s> Scanner<'s> {
    pub(crate) fn new(source: &'s [u8], delimiters: Delimiters) -> Scanner<'s> {
        let open = Finder::new(&*delimiters.open).into_owned();
        let close = Finder::new(&*delimiters.close).into_owned();
        Scanner { source, delimiters, open, close }
    }

    /// The first tag at or after `from`.
    pub(crate) fn next_tag(&self, from: usize) -> Result<Option<Tag>, Fault> {
        let Some(distance) = self.open.find(&self.source[from..]) else {
            return Ok(None);
        };
        let start = from + distance;
        self.tag(start).map(Some).map_err(|kind| Fault { kind, offset: start })
    }

    /// Goes on with the delimiters that a delimiter tag contains, unless they are malformed.
    pub(crate) fn set_delimiters(&mut self, content: Span) -> Option<Delimiters> {
        let delimiters = delimiters(content.of(self.source))?;
        *self = Scanner::new(self.source, delimiters.clone());
        Some(delimiters)
    }

    /// True if nothing but blanks is between `at` and a closing tag.
    pub(crate) fn close_follows(&self, at: usize) -> bool {
        let rest = skip(self.source, at, is_blank);
        let opened = self.source[rest..].strip_prefix(&*self.delimiters.open);
        opened.is_some_and(|content| content[skip(content, 0, is_space)..].first() == Some(&b'/'))
    }

    fn tag(&self, start: usize) -> Result<Tag, ErrorKind> {
        let inner = skip(self.source, start + self.delimiters.open.len(), is_space);
        let (sigil, twin) = match self.source.get(inner) {
            Some(b'#') => (Sigil::Section, None),
            Some(b'^') => (Sigil::Inverted, None),
            Some(b'/') => (Sigil::Close, None),
            Some(b'!') => (Sigil::Comment, None),
            Some(b'>') => (Sigil::Partial, None),
            Some(b'<') => (Sigil::Parent, None),
            Some(b'$') => (Sigil::Block, None),
            Some(b'&') => (Sigil::Variable(Escaping::Verbatim), None),
            Some(b'{') => (Sigil::Variable(Escaping::Verbatim), Some(b'}')),
            Some(b'=') => (Sigil::Delimiters, Some(b'=')),
            // iodine 0.7 reads `{{:name}}` as `{{name}}`.
            Some(b':') => (Sigil::Variable(Escaping::Html), None),
            _ => return self.plain(start, inner),
        };
        self.finish(sigil, twin, start, inner + 1)
    }

    fn plain(&self, start: usize, inner: usize) -> Result<Tag, ErrorKind> {
        self.finish(Sigil::Variable(Escaping::Html), None, start, inner)
    }

    fn finish(&self, sigil: Sigil, twin: Option<u8>, start: usize, content: usize) -> Result<Tag, ErrorKind> {
        let close = self.close(content, twin).ok_or(match sigil {
            Sigil::Delimiters => ErrorKind::BadDelimiters,
            _ => ErrorKind::UnclosedTag,
        })?;
        let end = close + self.delimiters.close.len();
        let content = trim(self.source, content, close - usize::from(twin.is_some()));
        let tag = Tag { sigil, content, span: Span::new(start, end) };
        match sigil {
            Sigil::Comment | Sigil::Delimiters => Ok(tag),
            _ => self.named(tag),
        }
    }

    /// Where the closing delimiter is; `twin` must stand before it (`}` in `{{{x}}}`, `=` in `{{=| |=}}`).
    fn close(&self, content: usize, twin: Option<u8>) -> Option<usize> {
        let Some(twin) = twin else {
            return Some(content + self.close.find(self.source.get(content..)?)?);
        };
        let mut from = content + 1;
        loop {
            let at = from + self.close.find(self.source.get(from..)?)?;
            if self.source[at - 1] == twin {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// Refuses what no name is: nothing, or the start of another tag or line, which a forgotten closing delimiter
    /// lets in.
    fn named(&self, tag: Tag) -> Result<Tag, ErrorKind> {
        let name = tag.content.of(self.source);
        if name.is_empty() {
            return Err(ErrorKind::EmptyTag);
        }
        if memchr::memchr2(b'\n', b'\r', name).is_some() || self.open.find(name).is_some() {
            return Err(ErrorKind::UnclosedTag);
        }
        Ok(tag)
    }
}

/// `source[start..end]` without the whitespace around it.
pub(crate) fn trim(source: &[u8], start: usize, end: usize) -> Span {
    let start = start + source[start..end].iter().take_while(|byte| is_space(**byte)).count();
    let end = end - source[start..end].iter().rev().take_while(|byte| is_space(**byte)).count();
    Span::new(start, end)
}

/// The first position from `at` on whose byte is not of the class.
pub(crate) fn skip(source: &[u8], at: usize, class: impl Fn(u8) -> bool) -> usize {
    let at = at.min(source.len());
    at + source[at..].iter().take_while(|byte| class(**byte)).count()
}

/// Whitespace that does not end a line.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

fn delimiters(content: &[u8]) -> Option<Delimiters> {
    let mut words = content.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
    let (open, close) = (words.next()?, words.next()?);
    let fits = words.next().is_none() && memchr::memchr(b'=', content).is_none();
    fits.then(|| Delimiters { open: open.into(), close: close.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(source: &str) -> Result<Option<Tag>, Fault> {
        Scanner::new(source.as_bytes(), Delimiters::default()).next_tag(0)
    }

    #[test]
    fn tags() {
        let html = Sigil::Variable(Escaping::Html);
        let verbatim = Sigil::Variable(Escaping::Verbatim);
        let table = [
            ("{{a}}", html, "a"),
            ("{{ a.b }}", html, "a.b"),
            ("{{\n\ta\r\n}}", html, "a"),
            ("{{first name}}", html, "first name"),
            ("{{:a}}", html, "a"),
            ("{{.}}", html, "."),
            ("{{&a}}", verbatim, "a"),
            ("{{{a}}}", verbatim, "a"),
            ("{{{ a }}}", verbatim, "a"),
            ("{{#a}}", Sigil::Section, "a"),
            ("{{ # a }}", Sigil::Section, "a"),
            ("{{^a}}", Sigil::Inverted, "a"),
            ("{{/a}}", Sigil::Close, "a"),
            ("{{>a/b.c}}", Sigil::Partial, "a/b.c"),
            ("{{>* a}}", Sigil::Partial, "* a"),
            ("{{<a}}", Sigil::Parent, "a"),
            ("{{$a}}", Sigil::Block, "a"),
            ("{{!}}", Sigil::Comment, ""),
            ("{{! a {{b }}", Sigil::Comment, "a {{b"),
            ("{{=| |=}}", Sigil::Delimiters, "| |"),
            ("{{=}} {{=}}", Sigil::Delimiters, "}} {{"),
        ];
        for (source, sigil, content) in table {
            let tag = first(source).unwrap().unwrap();
            assert_eq!(tag.sigil, sigil, "{source}");
            assert_eq!(tag.content.of(source.as_bytes()), content.as_bytes(), "{source}");
            assert_eq!(tag.span, Span::new(0, source.len()), "{source}");
        }
    }

    #[test]
    fn malformed_tags() {
        let table = [
            ("{{", ErrorKind::UnclosedTag),
            ("{{a", ErrorKind::UnclosedTag),
            ("{{a}", ErrorKind::UnclosedTag),
            ("{{!a", ErrorKind::UnclosedTag),
            ("{{{a}}", ErrorKind::UnclosedTag),
            ("{{{}}", ErrorKind::UnclosedTag),
            ("{{a {{b}}", ErrorKind::UnclosedTag),
            ("{{a\nb}}", ErrorKind::UnclosedTag),
            ("{{=}}", ErrorKind::BadDelimiters),
            ("{{=| |}}", ErrorKind::BadDelimiters),
            ("{{}}", ErrorKind::EmptyTag),
            ("{{ }}", ErrorKind::EmptyTag),
            ("{{{}}}", ErrorKind::EmptyTag),
            ("{{&}}", ErrorKind::EmptyTag),
            ("{{# }}", ErrorKind::EmptyTag),
        ];
        for (source, kind) in table {
            assert_eq!(first(source), Err(Fault { kind, offset: 0 }), "{source}");
        }
    }

    #[test]
    fn delimiter_words() {
        for good in ["<% %>", "| |", " @\n@ ", "{{{ }}}", "\u{ab} \u{bb}"] {
            assert!(delimiters(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", " ", "|", "a b c", "<%= %>", "= ="] {
            assert!(delimiters(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn source_without_tags() {
        assert_eq!(first("a } { }} b"), Ok(None));
    }
}
