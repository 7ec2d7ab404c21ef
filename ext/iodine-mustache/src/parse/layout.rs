//! Lines: which tags stand alone on theirs, and where indentation comes and goes.

use crate::parse::scan::{is_blank, skip};
use crate::program::{Op, Program, Span};

/// Where the parser is on its line.
pub(crate) struct Layout<'s> {
    source: &'s [u8],
    /// The source position at which the present line begins.
    pub(crate) line_start: usize,
    /// What the present line has had so far.
    pub(crate) line: Line,
    /// True until something of the present line is compiled.
    pub(crate) fresh: bool,
    /// Whitespace to take from the begin of each line, as far as the line has it.
    pub(crate) dedent: Span,
}

/// What is before a tag on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// At most blanks.
    Blank,
    /// Blanks and tags of parents and blocks.
    Bare,
    /// Anything else: no tag of this line can stand alone.
    Full,
}

/// Whether a source begins a line or goes on with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    OfLine,
    WithinLine,
}

impl<'s> Layout<'s> {
    pub(crate) fn new(source: &'s [u8], start: Start) -> Layout<'s> {
        let fresh = start == Start::OfLine;
        let line = if fresh { Line::Blank } else { Line::Full };
        Layout { source, line_start: 0, line, fresh, dedent: Span::default() }
    }

    /// Passes over the text before a tag. Returns the blanks between the line's begin (or the tag before) and this
    /// tag, which are empty if there is anything else.
    pub(crate) fn advance(&mut self, text: Span) -> Span {
        let bytes = text.of(self.source);
        let tail = memchr::memrchr(b'\n', bytes).map_or(text.start(), |newline| {
            self.line_start = text.start() + newline + 1;
            self.line = Line::Blank;
            self.line_start
        });
        if !self.source[tail..text.end()].iter().all(|byte| is_blank(*byte)) {
            self.line = Line::Full;
        }
        let lead = if self.line == Line::Full { text.end() } else { tail };
        Span::new(lead, text.end())
    }

    /// The begin of the next line if nothing but blanks is between `at` and it.
    pub(crate) fn rest(&self, at: usize) -> Option<usize> {
        let end = skip(self.source, at, is_blank);
        match &self.source[end..] {
            [] => Some(end),
            [b'\n', ..] => Some(end + 1),
            [b'\r', b'\n', ..] => Some(end + 2),
            _ => None,
        }
    }

    /// Goes on after a tag that took its whole line.
    pub(crate) fn next_line(&mut self, at: usize) {
        self.line_start = at;
        self.line = Line::Blank;
        self.fresh = true;
    }

    /// Compiles text.
    pub(crate) fn text(&mut self, text: Span, program: &mut Program) {
        if self.dedent.is_empty() {
            return self.piece(text, program);
        }
        let mut start = text.start();
        for line in text.of(self.source).split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.len();
            self.piece(self.dedented(Span::new(start, end)), program);
            start = end;
        }
    }

    /// Compiles the begin of the present line if nothing else of it has been.
    pub(crate) fn begin(&mut self, offset: usize, program: &mut Program) {
        if self.fresh {
            program.push(Op::Indent, offset);
            self.fresh = false;
        }
    }

    /// What is left of a piece of one line after [`Layout::dedent`] is taken from it.
    pub(crate) fn dedented(&self, piece: Span) -> Span {
        let begins_line = piece.start() == 0 || self.source[piece.start() - 1] == b'\n';
        if !begins_line {
            return piece;
        }
        let pairs = self.dedent.of(self.source).iter().zip(piece.of(self.source));
        let common = pairs.take_while(|(dedent, byte)| dedent == byte).count();
        Span::new(piece.start() + common, piece.end())
    }

    /// The whitespace before the first line from `at` on that has anything else.
    pub(crate) fn first_indentation(&self, at: usize) -> Span {
        let mut start = at;
        loop {
            let end = skip(self.source, start, is_blank);
            match self.rest(end) {
                Some(next) if next > end => start = next,
                Some(_) => return Span::new(end, end),
                None => return Span::new(start, end),
            }
        }
    }

    fn piece(&mut self, text: Span, program: &mut Program) {
        if text.is_empty() {
            return;
        }
        self.begin(text.start(), program);
        program.push(Op::Text(text), text.start());
        self.fresh = text.of(self.source).ends_with(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(source: &str) -> Layout<'_> {
        Layout::new(source.as_bytes(), Start::OfLine)
    }

    #[test]
    fn blanks_before_a_tag() {
        let table =
            [("", Line::Blank, 0), ("  ", Line::Blank, 0), ("a\n \t", Line::Blank, 2), ("\n a ", Line::Full, 4)];
        for (text, line, lead) in table {
            let mut layout = layout(text);
            let end = text.len();
            assert_eq!(layout.advance(Span::new(0, end)), Span::new(lead, end), "{text:?}");
            assert_eq!(layout.line, line, "{text:?}");
        }
    }

    #[test]
    fn rest_of_line() {
        let table = [
            ("", Some(0)),
            (" \t", Some(2)),
            ("\na", Some(1)),
            (" \r\na", Some(3)),
            ("\ra", None),
            ("\r", None),
            (" a\n", None),
        ];
        for (source, expected) in table {
            assert_eq!(layout(source).rest(0), expected, "{source:?}");
        }
    }

    #[test]
    fn indentation_of_the_first_line_that_has_content() {
        let table = [("a", ""), ("  a", "  "), ("\n \n\t a\n", "\t "), ("  \n", ""), ("  ", ""), ("", "")];
        for (source, expected) in table {
            let found = layout(source).first_indentation(0);
            assert_eq!(found.of(source.as_bytes()), expected.as_bytes(), "{source:?}");
        }
    }

    #[test]
    fn lines_lose_what_they_share_with_the_indentation_to_remove() {
        let source = "  a\n   b\n c\nd";
        let mut layout = layout(source);
        let mut program = Program::default();
        layout.dedent = Span::new(0, 2);
        layout.text(Span::new(0, source.len()), &mut program);
        let texts: Vec<u8> = program.ops.iter().flat_map(|op| op_text(*op, source)).collect();
        assert_eq!(texts, b">a\n> b\n>c\n>d");
    }

    fn op_text(op: Op, source: &str) -> Vec<u8> {
        match op {
            Op::Text(span) => span.of(source.as_bytes()).to_vec(),
            _ => b">".to_vec(),
        }
    }
}
