//! Preconditions of a request (RFC 9110 section 13).

use super::syntax::trim;
use super::{Head, date};

/// What a resource's current state is told apart by.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The entity tag with its quotes, `"abc"` or `W/"abc"`.
    pub etag: Option<&'a [u8]>,
    /// When it was last modified, seconds since 1970.
    pub modified: Option<u64>,
}

/// What the preconditions of a request come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Carry on.
    Proceed,
    /// The client has it already: 304.
    NotModified,
    /// It is not what the client thinks it is: 412.
    Failed,
}

/// Evaluates `If-Match`, `If-Unmodified-Since`, `If-None-Match` and `If-Modified-Since`, in the order of RFC 9110
/// section 13.2.2. A date that is none is ignored, as is one that is given twice.
pub fn evaluate(head: &Head, validators: Validators<'_>) -> Outcome {
    let reads = matches!(head.method(), b"GET" | b"HEAD");
    if let Some(matched) = matches_any(head, "if-match", validators.etag, is_same) {
        if !matched {
            return Outcome::Failed;
        }
    } else if let (Some(since), Some(modified)) = (time_of(head, "if-unmodified-since"), validators.modified)
        && modified > since
    {
        return Outcome::Failed;
    }
    if let Some(matched) = matches_any(head, "if-none-match", validators.etag, is_alike) {
        return match (matched, reads) {
            (false, _) => Outcome::Proceed,
            (true, true) => Outcome::NotModified,
            (true, false) => Outcome::Failed,
        };
    }
    match (time_of(head, "if-modified-since"), validators.modified) {
        (Some(since), Some(modified)) if reads && modified <= since => Outcome::NotModified,
        _ => Outcome::Proceed,
    }
}

/// Whether `If-Range` lets `Range` count: there is none, or it has the current strong validator (RFC 9110
/// section 13.1.5). `now` is the time, in seconds since 1970: a date of the last second is not strong, because there may
/// be another change within it.
pub fn range_applies(head: &Head, validators: Validators<'_>, now: u64) -> bool {
    let mut values = head.field_values("if-range");
    let Some(value) = values.next() else { return true };
    if values.next().is_some() {
        return false;
    }
    let value = trim(value);
    if value.ends_with(b"\"") {
        return validators.etag.is_some_and(|etag| is_same(value, etag));
    }
    match (date::parse(value), validators.modified) {
        (Some(date), Some(modified)) => date == modified && modified < now,
        _ => false,
    }
}

/// Whether a list of entity tags has the current one, or is `*`. `None` without such a field.
fn matches_any(head: &Head, name: &str, etag: Option<&[u8]>, compare: impl Fn(&[u8], &[u8]) -> bool) -> Option<bool> {
    let mut lines = head.field_values(name).peekable();
    lines.peek()?;
    Some(lines.any(|line| trim(line) == b"*" || etag.is_some_and(|etag| tags(line).any(|tag| compare(tag, etag)))))
}

/// Strong comparison (RFC 9110 section 8.8.3.2).
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one == other && !one.starts_with(b"W/")
}

/// Weak comparison.
fn is_alike(one: &[u8], other: &[u8]) -> bool {
    one.strip_prefix(b"W/").unwrap_or(one) == other.strip_prefix(b"W/").unwrap_or(other)
}

/// The entity tags of a list. A tag may have commas in it; a list is read up to the first thing that is no tag.
fn tags(mut line: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = line {
            line = rest;
        }
        let weak = if line.starts_with(b"W/") { 2 } else { 0 };
        let opaque = line[weak..].strip_prefix(b"\"")?;
        let length = weak + memchr::memchr(b'"', opaque)? + 2;
        let (tag, rest) = line.split_at(length);
        line = rest;
        Some(tag)
    })
}

fn time_of(head: &Head, name: &str) -> Option<u64> {
    let mut values = head.field_values(name);
    let time = date::parse(trim(values.next()?))?;
    values.next().is_none().then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const VALIDATORS: Validators<'_> = Validators { etag: Some(b"\"a,b\""), modified: Some(784_111_777) };

    fn head(method: &str, fields: &[(&str, &str)]) -> Head {
        let mut head = Head::default();
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        crate::http1::HeadReader::new(Default::default()).read(request.as_bytes(), &mut head).unwrap();
        head
    }

    #[test]
    fn evaluates_in_order() {
        use Outcome::{Failed, NotModified, Proceed};
        let table: &[(&[(&str, &str)], Outcome)] = &[
            (&[], Proceed),
            (&[("If-None-Match", "\"a,b\"")], NotModified),
            (&[("If-None-Match", "W/\"a,b\"")], NotModified),
            (&[("If-None-Match", "\"x\", W/\"y\" ,\"a,b\"")], NotModified),
            (&[("If-None-Match", "\"x\""), ("If-None-Match", "\"a,b\"")], NotModified),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"b\"")], Proceed),
            (&[("If-None-Match", "a,b")], Proceed),
            (&[("If-None-Match", "")], Proceed),
            (&[("If-None-Match", "\"a,b")], Proceed),
            (&[("If-None-Match", "x, \"a,b\"")], Proceed),
            (&[("If-None-Match", "w/\"a,b\"")], Proceed),
            (&[("If-Modified-Since", BEFORE)], Proceed),
            (&[("If-Modified-Since", SAME)], NotModified),
            (&[("If-Modified-Since", AFTER)], NotModified),
            (&[("If-Modified-Since", "yesterday")], Proceed),
            (&[("If-Modified-Since", SAME), ("If-Modified-Since", SAME)], Proceed),
            // If-None-Match wins over If-Modified-Since.
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], Proceed),
            (&[("If-Match", "\"a,b\"")], Proceed),
            (&[("If-Match", "*")], Proceed),
            (&[("If-Match", "W/\"a,b\"")], Failed),
            (&[("If-Match", "\"x\"")], Failed),
            (&[("If-Match", "")], Failed),
            (&[("If-Unmodified-Since", BEFORE)], Failed),
            (&[("If-Unmodified-Since", SAME)], Proceed),
            (&[("If-Unmodified-Since", "x")], Proceed),
            // If-Match wins over If-Unmodified-Since.
            (&[("If-Match", "\"a,b\""), ("If-Unmodified-Since", BEFORE)], Proceed),
            (&[("If-Match", "\"x\""), ("If-None-Match", "\"a,b\"")], Failed),
            (&[("If-Match", "\"a,b\""), ("If-None-Match", "\"a,b\"")], NotModified),
        ];
        for (fields, outcome) in table {
            for method in ["GET", "HEAD"] {
                assert_eq!(evaluate(&head(method, fields), VALIDATORS), *outcome, "{method} {fields:?}");
            }
        }
    }

    #[test]
    fn other_methods_fail_where_reading_would_be_spared() {
        let put = |fields: &[_]| evaluate(&head("PUT", fields), VALIDATORS);
        assert_eq!(put(&[("If-None-Match", "*")]), Outcome::Failed);
        assert_eq!(put(&[("If-Modified-Since", AFTER)]), Outcome::Proceed);
    }

    #[test]
    fn without_validators() {
        let none = Validators { etag: None, modified: None };
        let outcome = |name, value| evaluate(&head("GET", &[(name, value)]), none);
        assert_eq!(outcome("If-None-Match", "\"a\""), Outcome::Proceed);
        assert_eq!(outcome("If-Match", "\"a\""), Outcome::Failed);
        assert_eq!(outcome("If-Modified-Since", AFTER), Outcome::Proceed);
        assert!(!range_applies(&head("GET", &[("If-Range", "\"a\"")]), none, 0));
    }

    #[test]
    fn a_range_needs_the_strong_validator() {
        type Fields = &'static [(&'static str, &'static str)];
        let table: &[(Fields, u64, bool)] = &[
            (&[], 0, true),
            (&[("If-Range", "\"a,b\"")], 0, true),
            (&[("If-Range", "W/\"a,b\"")], 0, false),
            (&[("If-Range", "\"x\"")], 0, false),
            (&[("If-Range", "\"a,b\", \"x\"")], 0, false),
            (&[("If-Range", SAME)], 784_111_778, true),
            (&[("If-Range", SAME)], 784_111_777, false),
            (&[("If-Range", AFTER)], 784_111_790, false),
            (&[("If-Range", "*")], 0, false),
            (&[("If-Range", "")], 0, false),
            (&[("If-Range", "\"a,b\""), ("If-Range", "\"a,b\"")], 0, false),
        ];
        for (fields, now, applies) in table {
            assert_eq!(range_applies(&head("GET", fields), VALIDATORS, *now), *applies, "{fields:?}");
        }
    }
}
