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
    #[inline]
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
        while rest >= 100 {
            at -= 2;
            digits[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
            rest /= 100;
        }
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[rest as usize]);
        at += usize::from(rest < 10);
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
///
/// A block is tested without a branch for each byte, which compiles to vector code. Most have nothing to replace.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    for block in blocks {
        if has_special(block) {
            escape_some(block, out);
        } else {
            out.extend_from_slice(block);
        }
    }
    if !rest.is_empty() {
        escape_some(rest, out);
    }
}

fn has_special(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(false, |found, byte| found | is_special(*byte))
}

/// `&` and `'` differ in their last bit only, `<` and `>` in the last but one.
fn is_special(byte: u8) -> bool {
    (byte | 1 == b'\'') | (byte | 2 == b'>') | (byte == b'"')
}

/// Appends a block at most. Every byte costs the same, special or not: no branch that could be foretold wrongly.
fn escape_some(text: &[u8], out: &mut Vec<u8>) {
    let mut escaped = [0; BLOCK * size_of::<Replacement>()];
    let mut len = 0;
    for byte in text.iter().take(BLOCK) {
        let replacement = &REPLACEMENTS[usize::from(*byte)];
        escaped[len..len + replacement.len()].copy_from_slice(replacement);
        len += usize::from(replacement[LENGTH]);
    }
    out.extend_from_slice(&escaped[..len]);
}

/// What is written for a byte, with zeros behind it, and the [`LENGTH`].
type Replacement = [u8; LENGTH + 1];

/// Where the length of a replacement is.
const LENGTH: usize = 7;

static REPLACEMENTS: [Replacement; 256] = {
    let mut table = [[0; LENGTH + 1]; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = replacement(byte as u8);
        byte += 1;
    }
    table
};

const fn replacement(byte: u8) -> Replacement {
    let text: &[u8] = match byte {
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        b'"' => b"&quot;",
        b'\'' => b"&#39;",
        _ => &[byte],
    };
    let mut replacement = [0; LENGTH + 1];
    replacement[LENGTH] = text.len() as u8;
    let mut at = 0;
    while at < text.len() {
        replacement[at] = text[at];
        at += 1;
    }
    replacement
}

/// `00` to `99`.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

const BLOCK: usize = 16;

/// The digits of -2^63, its sign, and what makes their number even.
const MOST_DIGITS: usize = 21;

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
        for value in [0, 7, -7, 10, 99, 100, -123, 1_234_567_890, i64::MAX, i64::MIN] {
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
