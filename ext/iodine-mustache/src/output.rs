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
}

/// For `write!`: numbers need no string of their own.
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

/// The first byte to replace. Whole blocks are tested without a branch for each byte, which compiles to vector code.
fn find_special(text: &[u8]) -> Option<usize> {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let is_clean = |block: &&[u8; BLOCK]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let clean = BLOCK * blocks.iter().take_while(is_clean).count();
    text[clean..].iter().position(|byte| is_special(*byte)).map(|at| clean + at)
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
    fn all_entities_and_other_bytes() {
        let mut out = Vec::new();
        escape(b"&<>\"'\0\xff a=b/c`\n", &mut out);
        assert_eq!(out, b"&amp;&lt;&gt;&quot;&#39;\0\xff a=b/c`\n");
    }
}
