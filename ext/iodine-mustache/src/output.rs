//! Writing values, with and without HTML escaping.

use std::fmt;

use crate::program::Escaping;

/// Takes the text of one value.
///
/// In `{{name}}` the five characters that HTML gives a meaning in text and attributes are escaped: `&amp;` `&lt;`
/// `&gt;` `&quot;` `&#39;`. All other bytes pass as they are.
#[derive(Debug)]
pub struct Output<'o> {
    bytes: &'o mut Vec<u8>,
    escaping: Escaping,
}

impl<'o> Output<'o> {
    pub(crate) fn new(bytes: &'o mut Vec<u8>, escaping: Escaping) -> Output<'o> {
        Output { bytes, escaping }
    }

    /// Appends text. May be called any number of times.
    pub fn push(&mut self, text: &[u8]) {
        match self.escaping {
            Escaping::Html => escape(text, self.bytes),
            Escaping::Verbatim => self.bytes.extend_from_slice(text),
        }
    }

    /// Appends an integer in decimal: several times quicker than by `write!`, and pages are full of them.
    pub fn push_integer(&mut self, value: i64) {
        let mut digits = [0; MOST_DIGITS];
        let mut at = MOST_DIGITS;
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        // None of these is special.
        self.bytes.extend_from_slice(&digits[at..]);
    }
}

/// For `write!`: what can be formatted needs no string of its own.
impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Appends text with the characters that mean something in HTML replaced.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = find_special(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(entity(rest[at]));
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// The first byte to replace. Whole blocks are tested without a branch for each byte, which compiles to vector code; the
/// end is a block that overlaps the one before.
fn find_special(text: &[u8]) -> Option<usize> {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let clean = BLOCK * blocks.iter().take_while(|block| !has_special(block)).count();
    if clean == text.len() - rest.len() && !rest.is_empty() && text.last_chunk().is_some_and(|last| !has_special(last))
    {
        return None;
    }
    text[clean..].iter().position(|byte| is_special(*byte)).map(|at| clean + at)
}

fn has_special(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |found, byte| found | is_special(*byte))
}

/// `&` and `'` differ in their last bit only, `<` and `>` in the last but one.
fn is_special(byte: u8) -> bool {
    (byte | 1 == b'\'') | (byte | 2 == b'>') | (byte == b'"')
}

fn entity(byte: u8) -> &'static [u8] {
    match byte {
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        b'"' => b"&quot;",
        _ => b"&#39;",
    }
}

const BLOCK: usize = 16;

/// The digits of -2^63, and its sign.
const MOST_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_five_bytes_are_special() {
        let special: Vec<u8> = (0..=255).filter(|byte| is_special(*byte)).collect();
        assert_eq!(special, b"\"&'<>");
    }

    #[test]
    fn every_position_is_escaped() {
        for length in 1..40 {
            for at in 0..length {
                let mut text = vec![b'x'; length];
                text[at] = b'<';
                let mut expected = vec![b'x'; length - 1];
                expected.splice(at..at, *b"&lt;");
                let mut out = Vec::new();
                escape(&text, &mut out);
                assert_eq!(out, expected, "length {length}, position {at}");
            }
        }
    }

    #[test]
    fn integers() {
        for value in [0, 7, -7, 10, 1_234_567_890, i64::MAX, i64::MIN] {
            for escaping in [Escaping::Html, Escaping::Verbatim] {
                let mut bytes = Vec::new();
                Output::new(&mut bytes, escaping).push_integer(value);
                assert_eq!(String::from_utf8(bytes).unwrap(), value.to_string());
            }
        }
    }

    #[test]
    fn all_entities_and_other_bytes() {
        let mut out = Vec::new();
        escape(b"&<>\"'\0\xff a=b/c`\n", &mut out);
        assert_eq!(out, b"&amp;&lt;&gt;&quot;&#39;\0\xff a=b/c`\n");
    }
}
