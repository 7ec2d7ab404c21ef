//! Gives each distinct name of a template a number.

use std::collections::HashMap;

use crate::error::{ErrorKind, shown};
use crate::program::{Path, Program, Span};

/// The names and dotted names met so far.
pub(crate) struct Names<'s> {
    source: &'s [u8],
    names: HashMap<&'s [u8], u32>,
    paths: HashMap<&'s [u8], Path>,
}

impl<'s> Names<'s> {
    pub(crate) fn new(source: &'s [u8]) -> Names<'s> {
        Names { source, names: HashMap::new(), paths: HashMap::new() }
    }

    /// The path that a tag's content names; adds what is new to the program.
    pub(crate) fn path(&mut self, content: Span, program: &mut Program) -> Result<Path, ErrorKind> {
        let text = content.of(self.source);
        if text == b"." {
            return Ok(Path::default());
        }
        if let Some(path) = self.paths.get(text) {
            return Ok(*path);
        }
        let path = self.add(content, program)?;
        self.paths.insert(text, path);
        Ok(path)
    }

    fn add(&mut self, content: Span, program: &mut Program) -> Result<Path, ErrorKind> {
        let text = content.of(self.source);
        let start = program.segments.len() as u32;
        let mut at = content.start();
        for part in text.split(|byte| *byte == b'.') {
            if part.is_empty() {
                return Err(ErrorKind::EmptyPart(shown(text)));
            }
            let name = self.name(Span::new(at, at + part.len()), program);
            program.segments.push(name);
            at += part.len() + 1;
        }
        Ok(Path { start, len: program.segments.len() as u32 - start })
    }

    fn name(&mut self, span: Span, program: &mut Program) -> u32 {
        *self.names.entry(span.of(self.source)).or_insert_with(|| {
            program.names.push(span);
            program.names.len() as u32 - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distinct_name_is_numbered_once() {
        let source = b"a a.b b.a a .";
        let mut names = Names::new(source);
        let mut program = Program::default();
        let mut path = |start, end| names.path(Span::new(start, end), &mut program).unwrap();
        let (first, dotted, turned, again, here) = (path(0, 1), path(2, 5), path(6, 9), path(10, 11), path(12, 13));
        assert_eq!(first, again);
        assert_eq!(here.len, 0);
        assert_eq!((dotted.len, turned.len), (2, 2));
        assert_eq!(program.segments, [0, 0, 1, 1, 0]);
        assert_eq!(program.names.len(), 2);
    }

    #[test]
    fn names_have_no_empty_parts() {
        for source in ["..", ".a", "a.", "a..b"] {
            let error = Names::new(source.as_bytes()).path(Span::new(0, source.len()), &mut Program::default());
            assert_eq!(error, Err(ErrorKind::EmptyPart(source.into())));
        }
    }
}
