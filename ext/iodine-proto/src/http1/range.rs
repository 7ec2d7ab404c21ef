//! Byte ranges of a request (RFC 9110 section 14).

use super::Head;
use super::number::parse_decimal;
use super::syntax::{list, trim};

/// A part of a representation: bytes from `first` to before `end`. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset behind the last byte.
    pub end: u64,
}

/// What a request wants of a representation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of it: there is no `Range`, or it is malformed, or asks for too many parts.
    All,
    /// These parts, at least one; none overlaps or touches another.
    Parts(Vec<ByteRange>),
    /// Only what is not there: 416.
    Nothing,
}

/// Ranges of one request. Players ask for one, readers of documents for a few; many small ones are an attack, and such a
/// request is answered by the whole (RFC 9110 section 17.15).
pub const MOST_RANGES: usize = 32;

/// Reads the `Range` of a GET request for a representation of `length` bytes; other methods have none (RFC 9110
/// section 14.2). Ranges that overlap or touch are joined, in the place of the first of them.
pub fn wanted(head: &Head, length: u64) -> Wanted {
    if head.method() != b"GET" {
        return Wanted::All;
    }
    let mut values = head.field_values("range");
    match (values.next(), values.next()) {
        (Some(value), None) => parse(value, length).unwrap_or(Wanted::All),
        _ => Wanted::All,
    }
}

impl ByteRange {
    /// How many bytes.
    pub fn length(self) -> u64 {
        self.end - self.first
    }

    fn touches(self, other: ByteRange) -> bool {
        self.first <= other.end && other.first <= self.end
    }

    fn join(self, other: ByteRange) -> ByteRange {
        ByteRange { first: self.first.min(other.first), end: self.end.max(other.end) }
    }
}

/// `None`: the field is to be ignored.
fn parse(value: &[u8], length: u64) -> Option<Wanted> {
    let at = memchr::memchr(b'=', value)?;
    let (unit, set) = (&value[..at], &value[at + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut parts = Vec::new();
    let mut count = 0;
    for spec in list(set) {
        count += 1;
        if count > MOST_RANGES {
            return None;
        }
        if let Some(range) = parse_spec(spec, length)? {
            add(range, &mut parts);
        }
    }
    match (count, parts.is_empty()) {
        (0, _) => None,
        // An empty representation has no part that could be named, yet its suffix is all of it.
        (_, true) if length == 0 && list(set).any(|spec| spec.starts_with(b"-")) => None,
        (_, true) => Some(Wanted::Nothing),
        (_, false) => Some(Wanted::Parts(parts)),
    }
}

/// One of `0-9`, `10-` and `-5`. `None` is a syntax error, `Some(None)` not satisfiable.
fn parse_spec(spec: &[u8], length: u64) -> Option<Option<ByteRange>> {
    let at = memchr::memchr(b'-', spec)?;
    let (first, last) = (trim(&spec[..at]), trim(&spec[at + 1..]));
    let (first, end) = match (first, last) {
        ([], []) => return None,
        ([], suffix) => (length.saturating_sub(position(suffix)?), length),
        (first, []) => (position(first)?, length),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(length))
        }
    };
    Some((first < end).then_some(ByteRange { first, end }))
}

/// Digits; a number that is beyond any file becomes the largest there is.
fn position(digits: &[u8]) -> Option<u64> {
    digits.iter().all(u8::is_ascii_digit).then(|| parse_decimal(digits).unwrap_or(u64::MAX))
}

fn add(mut range: ByteRange, parts: &mut Vec<ByteRange>) {
    let Some(at) = parts.iter().position(|part| part.touches(range)) else { return parts.push(range) };
    // The joined range may touch what the two did not.
    while let Some(other) = parts.iter().position(|part| part.touches(range)) {
        range = range.join(parts.remove(other));
    }
    parts.insert(at.min(parts.len()), range);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, value: &str, length: u64) -> Wanted {
        let mut head = Head::default();
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nRange: {value}\r\n\r\n");
        crate::http1::HeadReader::new(Default::default()).read(request.as_bytes(), &mut head).unwrap();
        wanted(&head, length)
    }

    fn parts(ranges: &[(u64, u64)]) -> Wanted {
        Wanted::Parts(ranges.iter().map(|&(first, end)| ByteRange { first, end }).collect())
    }

    #[test]
    fn reads_ranges() {
        let table: &[(&str, Wanted)] = &[
            ("bytes=0-0", parts(&[(0, 1)])),
            ("bytes=0-99", parts(&[(0, 100)])),
            ("bytes=0-100", parts(&[(0, 100)])),
            ("Bytes=5-", parts(&[(5, 100)])),
            ("bytes=99-", parts(&[(99, 100)])),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-1", parts(&[(99, 100)])),
            ("bytes=-100", parts(&[(0, 100)])),
            ("bytes=-101", parts(&[(0, 100)])),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=0-99999999999999999999999", parts(&[(0, 100)])),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-99999999999999999999999", parts(&[(0, 100)])),
            ("bytes=0-18446744073709551615", parts(&[(0, 100)])),
            ("bytes=0-1,5-6", parts(&[(0, 2), (5, 7)])),
            ("bytes= 0-1 , 5-6 ,", parts(&[(0, 2), (5, 7)])),
            ("bytes=5-6,0-1", parts(&[(5, 7), (0, 2)])),
            ("bytes=0-1,500-", parts(&[(0, 2)])),
            ("bytes=0-4,3-9", parts(&[(0, 10)])),
            ("bytes=0-4,5-9", parts(&[(0, 10)])),
            ("bytes=0-4,6-9", parts(&[(0, 5), (6, 10)])),
            ("bytes=0-4,20-29,5-19", parts(&[(0, 30)])),
            ("bytes=50-59,0-9,20-29,5-24", parts(&[(50, 60), (0, 30)])),
            ("bytes=0-,-1,5-6", parts(&[(0, 100)])),
        ];
        for (value, expected) in table {
            assert_eq!(of("GET", value, 100), *expected, "{value}");
        }
    }

    #[test]
    fn ignores_what_is_malformed() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-",
            "bytes=1-a",
            "bytes=--1",
            "bytes=2-1",
            "bytes=1",
            "bytes=0-1,2-1",
            "bytes=0-1,x",
            "bytes=+1-2",
            "bytes=1-+2",
            "items=0-1",
            "bytes =0-1",
            "bytes=0x1-2",
        ] {
            assert_eq!(of("GET", value, 100), Wanted::All, "{value:?}");
        }
        assert_eq!(of("HEAD", "bytes=0-1", 100), Wanted::All);
        assert_eq!(of("GET", "bytes=0-1\r\nRange: bytes=2-3", 100), Wanted::All);
    }

    #[test]
    fn an_empty_representation_has_no_ranges() {
        assert_eq!(of("GET", "bytes=0-", 0), Wanted::Nothing);
        assert_eq!(of("GET", "bytes=-5", 0), Wanted::All);
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let ranges = |count: usize| format!("bytes={}", vec!["1-1"; count].join(","));
        assert_eq!(of("GET", &ranges(MOST_RANGES - 1), 100), parts(&[(1, 2)]));
        assert_eq!(of("GET", &ranges(MOST_RANGES), 100), parts(&[(1, 2)]));
        assert_eq!(of("GET", &ranges(MOST_RANGES + 1), 100), Wanted::All);
    }
}
