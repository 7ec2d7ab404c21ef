//! Every limit of a head: at it, below it, above it.

use iodine_proto::http1::{Head, HeadLimits, HeadReader, Refusal};

use crate::feed;

/// A request line of so many bytes.
fn request_line(length: usize) -> String {
    format!("GET /{} HTTP/1.1", "a".repeat(length - "GET / HTTP/1.1".len()))
}

/// A field line of so many bytes.
fn field_line(length: usize) -> String {
    format!("X: {}", "a".repeat(length - "X: ".len()))
}

fn assert_at_limit(limits: HeadLimits, input: impl Fn(usize) -> String, limit: usize, refusal: Refusal) {
    for size in [limit - 1, limit] {
        let input = input(size);
        assert_eq!(feed::heads(input.as_bytes(), limits).end, Ok(input.len()), "{size} of {limit}");
    }
    assert_eq!(feed::heads(input(limit + 1).as_bytes(), limits).end, Err(refusal), "{} of {limit}", limit + 1);
}

#[test]
fn request_line_bytes() {
    let limits = HeadLimits { line: 40, ..HeadLimits::default() };
    let input = |size| format!("{}\r\nHost: a\r\n\r\n", request_line(size));
    assert_at_limit(limits, input, 40, Refusal::RequestLineTooLong);
    // Empty lines before it do not count.
    let input = |size| format!("\r\n\r\n{}\r\nHost: a\r\n\r\n", request_line(size));
    assert_at_limit(limits, input, 40, Refusal::RequestLineTooLong);
}

#[test]
fn field_line_bytes() {
    let limits = HeadLimits { line: 40, ..HeadLimits::default() };
    let input = |size| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\nA: b\r\n\r\n", field_line(size));
    assert_at_limit(limits, input, 40, Refusal::FieldTooLong);
}

#[test]
fn field_lines() {
    let input = |count| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    let limits = HeadLimits { fields: 3, ..HeadLimits::default() };
    assert_at_limit(limits, input, 3, Refusal::TooManyFields);
    assert_at_limit(HeadLimits::default(), input, 128, Refusal::TooManyFields);
    let limits = HeadLimits { fields: 200, ..HeadLimits::default() };
    assert_at_limit(limits, input, 200, Refusal::TooManyFields);
    assert_at_limit(HeadLimits { fields: 24, ..limits }, input, 24, Refusal::TooManyFields);
}

#[test]
fn head_bytes() {
    let limits = HeadLimits { block: 100, ..HeadLimits::default() };
    let around = "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n".len();
    let input = |size| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", field_line(size - around));
    assert_at_limit(limits, input, 100, Refusal::HeadTooLarge);
    // The limit is one head's, whatever came before it.
    let input = |size| format!("\r\nGET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", field_line(size - around));
    assert_at_limit(limits, input, 100, Refusal::HeadTooLarge);
    let input = |size: usize| format!("GET / HTTP/1.0\r\n\r\n{}\r\nHost: a\r\n\r\n", request_line(size - 13));
    for (size, end) in [(100, Ok(118)), (101, Err(Refusal::HeadTooLarge))] {
        assert_eq!(feed::heads(input(size).as_bytes(), limits).end, end);
    }
}

#[test]
fn default_lines() {
    let at = format!("{}\r\nHost: a\r\n{}\r\n\r\n", request_line(8192), field_line(8192));
    let above_request = format!("{}\r\n", request_line(8193));
    let above_field = format!("GET / HTTP/1.1\r\n{}\r\n", field_line(8193));
    let table = [
        (&at, Ok(at.len())),
        (&above_request, Err(Refusal::RequestLineTooLong)),
        (&above_field, Err(Refusal::FieldTooLong)),
    ];
    for (input, end) in table {
        let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
        assert_eq!(feed::heads_of_pieces(&[input.as_bytes()], HeadLimits::default()).end, end);
        assert_eq!(feed::heads_of_pieces(&bytes, HeadLimits::default()).end, end);
    }
}

#[test]
fn default_head() {
    let line = format!("{}\r\n", field_line(1022)).repeat(31);
    let head = |rest: usize| format!("GET / HTTP/1.0\r\n{line}{}\r\n\r\n", field_line(rest));
    let rest = 32 * 1024 - (head(3).len() - 3);
    for (rest, accepted) in [(rest - 1, true), (rest, true), (rest + 1, false)] {
        let input = head(rest);
        let end = if accepted { Ok(input.len()) } else { Err(Refusal::HeadTooLarge) };
        let bytes: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
        assert_eq!(feed::heads_of_pieces(&[input.as_bytes()], HeadLimits::default()).end, end);
        assert_eq!(feed::heads_of_pieces(&bytes, HeadLimits::default()).end, end);
    }
}

#[test]
fn refused_at_the_first_byte_beyond() {
    let limits = HeadLimits { line: 40, fields: 1, block: 100 };
    let table = [
        (request_line(40)[..40].to_owned(), "x", Refusal::RequestLine),
        (format!("GET /{}", "a".repeat(35)), "a", Refusal::RequestLineTooLong),
        (format!("GET / HTTP/1.1\r\n{}", field_line(40)), "a", Refusal::FieldTooLong),
        ("GET / HTTP/1.1\r\nHost: a\r\nb: c\r".to_owned(), "\n", Refusal::TooManyFields),
    ];
    for (before, byte, refusal) in table {
        let mut reader = HeadReader::new(limits);
        let mut head = Head::default();
        assert_eq!(reader.read(before.as_bytes(), &mut head), Ok(None), "{before:?}");
        assert_eq!(reader.read((before + byte).as_bytes(), &mut head), Err(refusal));
    }
}

#[test]
fn absurd_limits_are_survived() {
    for size in [0, 1, 2, usize::MAX] {
        let limits = HeadLimits { line: size, fields: size, block: size };
        let outcome = feed::heads(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", limits);
        assert_eq!(outcome.end.is_ok(), size == usize::MAX, "{size}");
    }
}
