//! Percent-decoding of URLs (RFC 3986 section 2.1) and of forms (`application/x-www-form-urlencoded` of the WHATWG URL
//! Standard). Text that holds nothing to decode is lent back, not copied.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A `%` that two hexadecimal digits do not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Bytes before the `%`.
    pub at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two hexadecimal digits should follow the % at byte {}", self.at)
    }
}

impl Error for Malformed {}

/// Decodes a path: `%XX` is an octet, every other byte stands for itself.
pub fn decode_path(text: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    match memchr::memchr(b'%', text) {
        None => Ok(Cow::Borrowed(text)),
        Some(start) => decode(text, start, b'+').map(Cow::Owned),
    }
}

/// Decodes a name or a value of a form or a query: as [`decode_path`], and `+` is a space.
pub fn decode_form(text: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    match memchr::memchr2(b'%', b'+', text) {
        None => Ok(Cow::Borrowed(text)),
        Some(start) => decode(text, start, b' ').map(Cow::Owned),
    }
}

/// `start` is the first byte that may need decoding.
fn decode(text: &[u8], start: usize, plus: u8) -> Result<Vec<u8>, Malformed> {
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(&text[..start]);
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'%' => {
                decoded.push(octet(&text[at + 1..]).ok_or(Malformed { at })?);
                at += 3;
            }
            b'+' => {
                decoded.push(plus);
                at += 1;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    Ok(decoded)
}

fn octet(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
    // A byte that is no digit has high bits set.
    (high | low < 16).then_some(high << 4 | low)
}

/// The value of each hexadecimal digit, and 0xff for the other bytes.
static DIGITS: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            digit @ b'A'..=b'F' => digit - b'A' + 10,
            _ => 0xff,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decodes() {
        // Text, as a path, as a form.
        let table: &[(&[u8], &[u8], &[u8])] = &[
            (b"", b"", b""),
            (b"plain", b"plain", b"plain"),
            (b"a+b", b"a+b", b"a b"),
            (b"+", b"+", b" "),
            (b"%41", b"A", b"A"),
            (b"a%2Fb%2fc", b"a/b/c", b"a/b/c"),
            (b"%2B+%20", b"++ ", b"+  "),
            (b"%25%34%31", b"%41", b"%41"),
            (b"%C3%A9", b"\xc3\xa9", b"\xc3\xa9"),
            (b"%ff%FF%00", b"\xff\xff\0", b"\xff\xff\0"),
            (b"\xc3\xa9%e9", b"\xc3\xa9\xe9", b"\xc3\xa9\xe9"),
        ];
        for (text, path, form) in table {
            assert_eq!(decode_path(text).as_deref(), Ok(*path), "{text:?} as a path");
            assert_eq!(decode_form(text).as_deref(), Ok(*form), "{text:?} as a form");
        }
    }

    #[test]
    fn refuses() {
        let table: &[(&[u8], usize)] =
            &[(b"%", 0), (b"%4", 0), (b"a%g1", 1), (b"a%1g", 1), (b"%41%", 3), (b"%%41", 0), (b"%+1", 0), (b"+%", 1)];
        for (text, at) in table {
            assert_eq!(decode_path(text), Err(Malformed { at: *at }), "{text:?} as a path");
            assert_eq!(decode_form(text), Err(Malformed { at: *at }), "{text:?} as a form");
        }
    }

    #[test]
    fn lends_what_it_need_not_decode() {
        assert!(matches!(decode_path(b"/a+b/c"), Ok(Cow::Borrowed(b"/a+b/c"))));
        assert!(matches!(decode_form(b"abc"), Ok(Cow::Borrowed(b"abc"))));
    }

    proptest! {
        #[test]
        fn restores_what_was_encoded(bytes: Vec<u8>) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(&*decode_path(encoded.as_bytes()).unwrap(), &bytes);
            prop_assert_eq!(&*decode_form(encoded.as_bytes()).unwrap(), &bytes);
        }

        #[test]
        fn answers_anything(bytes: Vec<u8>) {
            prop_assert_eq!(decode_path(&bytes).is_ok(), decode_form(&bytes).is_ok());
        }
    }
}
