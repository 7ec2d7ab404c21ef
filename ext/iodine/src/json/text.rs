//! Strings of a document (RFC 8259 section 7).

use std::io::Write;

/// What is escaped besides that which must be: `"`, `\` and the control characters.
#[derive(Clone, Copy, Default)]
pub(super) struct Escapes {
    /// `/`, U+2028 and U+2029, so that the text can stand within a `<script>` element.
    pub(super) script_safe: bool,
    /// All that is not ASCII, as `\u` and UTF-16.
    pub(super) ascii_only: bool,
}

impl Escapes {
    /// Writes the quoted string.
    pub(super) fn write(self, text: &str, out: &mut Vec<u8>) {
        out.push(b'"');
        if self.script_safe || self.ascii_only {
            self.write_chars(text, out)
        } else {
            write_bytes(text, out)
        }
        out.push(b'"');
    }

    fn write_chars(self, text: &str, out: &mut Vec<u8>) {
        for char in text.chars() {
            match char {
                '/' if self.script_safe => out.extend_from_slice(b"\\/"),
                '\u{2028}' | '\u{2029}' if self.script_safe => write_utf16(char, out),
                '\u{80}'.. if self.ascii_only => write_utf16(char, out),
                _ => write_bytes(char.encode_utf8(&mut [0; 4]), out),
            }
        }
    }
}

fn write_bytes(text: &str, out: &mut Vec<u8>) {
    let text = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in text.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape != PLAIN {
            out.extend_from_slice(&text[written..at]);
            written = at + 1;
            write_escape(byte, escape, out);
        }
    }
    out.extend_from_slice(&text[written..]);
}

fn write_escape(byte: u8, escape: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'\\', escape]);
    if escape == b'u' {
        out.extend_from_slice(&[b'0', b'0', b'0' + (byte >> 4), b"0123456789abcdef"[usize::from(byte & 15)]]);
    }
}

fn write_utf16(char: char, out: &mut Vec<u8>) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        // Memory takes any write.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

const PLAIN: u8 = 0;

/// The letter after the backslash for each byte that needs one.
static ESCAPES: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};
