//! The byte classes of RFC 9110 section 5.6.

/// Whether the byte may stand in a token, such as a method or a field name.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether this is a token: one byte or more, each of the token class.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// The byte, in lower case, if it may stand in a token; 0 if not.
pub(super) fn token_in_lower_case(byte: u8) -> u8 {
    LOWER_TOKEN[usize::from(byte)]
}

/// Whether the byte may stand in a field value: anything but control characters, HTAB excepted.
pub(super) fn is_value_byte(byte: u8) -> bool {
    // Without short circuits, so that `is_value` is compiled to vector instructions.
    (byte >= b' ') & (byte != DELETE) | (byte == b'\t')
}

/// Whether each byte may stand in a field value.
pub(crate) fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |valid, byte| valid & is_value_byte(*byte))
}

/// Whether each byte is neither a blank nor a control character.
pub(crate) fn is_visible(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |valid, byte| valid & (*byte > b' ') & (*byte != DELETE))
}

/// Whether each byte may stand in a field value or in a CRLF.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |valid, byte| valid & (is_value_byte(*byte) | (*byte == b'\r') | (*byte == b'\n')))
}

/// Whether each `%` is followed by two hexadecimal digits (RFC 3986 section 2.1).
pub(super) fn is_percent_encoded(mut bytes: &[u8]) -> bool {
    while let Some(at) = memchr::memchr(b'%', bytes) {
        match &bytes[at + 1..] {
            [first, second, rest @ ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => bytes = rest,
            _ => return false,
        }
    }
    true
}

/// The members of a comma-separated list, blanks trimmed; empty members are skipped (RFC 9110 section 5.6.1.2).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|member| !member.is_empty())
}

/// The bytes without optional whitespace, SP and HTAB, at both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// A table of the bytes that are ASCII letters, digits, or among `others`.
pub(super) const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

const DELETE: u8 = 0x7f;

const TOKEN: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");

const LOWER_TOKEN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if TOKEN[byte] {
            table[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_bytes_are_the_visible_ones_that_do_not_delimit() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token_byte(byte), expected, "byte {byte:#x}");
            let lower = if expected { byte.to_ascii_lowercase() } else { 0 };
            assert_eq!(token_in_lower_case(byte), lower, "byte {byte:#x}");
        }
    }

    #[test]
    fn value_bytes_are_all_but_controls() {
        for byte in 0..=255u8 {
            assert_eq!(is_value(&[byte]), byte == b'\t' || !byte.is_ascii_control(), "byte {byte:#x}");
        }
    }

    #[test]
    fn percent_encoding() {
        for good in ["", "a", "%00", "%aF%Fa", "a%20b"] {
            assert!(is_percent_encoded(good.as_bytes()), "{good}");
        }
        for bad in ["%", "%1", "%%20", "%2g", "%u0041", "a%2"] {
            assert!(!is_percent_encoded(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn lists() {
        let members: Vec<&[u8]> = list(b" a,\tb ,, c d ,").collect();
        assert_eq!(members, [&b"a"[..], b"b", b"c d"]);
        assert_eq!(list(b"").count(), 0);
    }
}
