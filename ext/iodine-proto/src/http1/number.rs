//! Numbers as HTTP writes them. None of it allocates but the buffer written to.

/// A number written as 1*DIGIT and nothing else: no sign, no blank. None for any other text, and from 2^64 on.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Appends the decimal digits of `value`.
pub fn push_decimal(value: u64, out: &mut Vec<u8>) {
    push_digits::<10>(value, out);
}

/// Appends the hexadecimal digits of `value`, in lower case.
pub(super) fn push_hexadecimal(value: u64, out: &mut Vec<u8>) {
    push_digits::<16>(value, out);
}

fn push_digits<const BASE: u64>(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; MOST_DIGITS];
    let mut at = MOST_DIGITS;
    loop {
        at -= 1;
        digits[at] = DIGITS[(value % BASE) as usize];
        value /= BASE;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The decimal digits of 2^64 - 1.
const MOST_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_digits_alone() {
        let table: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999999", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            ("5 ", None),
            (" 5", None),
            ("5,5", None),
            ("0x5", None),
            ("5.0", None),
            ("\u{0665}", None),
        ];
        for (text, value) in table {
            assert_eq!(parse_decimal(text.as_bytes()), *value, "{text:?}");
        }
    }

    #[test]
    fn writes_what_the_standard_library_writes() {
        for value in [0, 1, 9, 10, 15, 16, 255, 256, 65_535, 1 << 32, u64::MAX] {
            let (mut decimal, mut hexadecimal) = (Vec::new(), Vec::new());
            push_decimal(value, &mut decimal);
            push_hexadecimal(value, &mut hexadecimal);
            assert_eq!(decimal, value.to_string().into_bytes());
            assert_eq!(hexadecimal, format!("{value:x}").into_bytes());
        }
    }
}
