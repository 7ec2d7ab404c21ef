//! Bodies, whole and in pieces.

use iodine_proto::http1::{BodyLength, BodyReader, Refusal};

use crate::feed::{self, Outcome};

const MAX: u64 = 100;

/// The whole body at the start of `input`, and where it ends.
fn chunked(input: &[u8]) -> (Vec<u8>, usize) {
    let Outcome { read: (data, done), end } = feed::body(input, BodyLength::Chunked, MAX);
    assert!(done, "{}", input.escape_ascii());
    (data, end.unwrap())
}

fn assert_refused(input: &[u8], refusal: Refusal) {
    assert_eq!(feed::body(input, BodyLength::Chunked, MAX).end, Err(refusal), "{}", input.escape_ascii());
}

#[test]
fn sized() {
    let table: &[(u64, &str, &str, bool)] = &[
        (0, "", "", true),
        (0, "next", "", true),
        (5, "hello", "hello", true),
        (5, "hellonext", "hello", true),
        (5, "hel", "hel", false),
        (5, "", "", false),
    ];
    for (size, input, data, done) in table {
        let outcome = feed::body(input.as_bytes(), BodyLength::Sized(*size), MAX);
        assert_eq!(outcome.read, (data.as_bytes().to_vec(), *done), "{size} {input:?}");
        assert_eq!(outcome.end, Ok(data.len()), "{size} {input:?}");
    }
}

#[test]
fn none_is_done_at_once() {
    let step = BodyReader::new(BodyLength::None, 0).unwrap().read(b"").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (0, 0..0, true));
    let step = BodyReader::new(BodyLength::None, 0).unwrap().read(b"GET").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (0, 0..0, true));
}

#[test]
fn sizes_at_the_limit() {
    for (size, refused) in [(MAX - 1, false), (MAX, false), (MAX + 1, true), (u64::MAX, true)] {
        let result = BodyReader::new(BodyLength::Sized(size), MAX);
        assert_eq!(result.err(), refused.then_some(Refusal::BodyTooLarge), "{size}");
    }
    assert!(BodyReader::new(BodyLength::Sized(u64::MAX), u64::MAX).is_ok());
}

#[test]
fn chunks() {
    let table: &[(&str, &str)] = &[
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n000\r\n\r\n", "hello world"),
        ("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        ("0000000000000002\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ("1;a\r\nx\r\n0;b=c;d=\"e f\"\r\n\r\n", "x"),
        ("1;\r\nx\r\n0; \t\u{e9}\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\nA: b\r\nc:\r\nd:\t\u{e9} \r\n\r\n", "x"),
        // Forbidden as trailers, and dropped like the rest.
        ("0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\n", ""),
    ];
    for (input, data) in table {
        assert_eq!(chunked(input.as_bytes()), (data.as_bytes().to_vec(), input.len()), "{input:?}");
        let followed = format!("{input}GET / HTTP/1.1\r\n\r\n");
        assert_eq!(chunked(followed.as_bytes()), (data.as_bytes().to_vec(), input.len()), "{followed:?}");
        for end in 0..input.len() {
            let outcome = feed::body_of_pieces(&[&input.as_bytes()[..end]], BodyLength::Chunked, MAX);
            assert_eq!((outcome.read.1, outcome.end), (false, Ok(end)), "{input:?} up to {end}");
        }
    }
}

#[test]
fn a_step_skips_framing_and_gives_data_in_place() {
    let mut reader = BodyReader::new(BodyLength::Chunked, MAX).unwrap();
    let step = reader.read(b"5;x\r\nhello\r\n0\r\n\r\nGET").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (10, 5..10, false));
    let step = reader.read(b"\r\n0\r\n\r\nGET").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (7, 7..7, true));
    let step = reader.read(b"GET").unwrap();
    assert_eq!((step.consumed, step.data, step.done), (0, 0..0, true));
}

#[test]
fn malformed_chunks() {
    let table: &[(&[u8], Refusal)] = &[
        (b"\r\n", Refusal::ChunkSize),
        (b"\n", Refusal::ChunkSize),
        (b";a\r\n", Refusal::ChunkSize),
        (b"+5\r\n", Refusal::ChunkSize),
        (b"-5\r\n", Refusal::ChunkSize),
        (b" 5\r\n", Refusal::ChunkSize),
        (b"5 \r\n", Refusal::ChunkSize),
        (b"5 ;a\r\n", Refusal::ChunkSize),
        (b"5\t\r\n", Refusal::ChunkSize),
        (b"0x5\r\n", Refusal::ChunkSize),
        (b"5_0\r\n", Refusal::ChunkSize),
        (b"g\r\n", Refusal::ChunkSize),
        (b"5\n", Refusal::ChunkSize),
        (b"5\0\r\n", Refusal::ChunkSize),
        (b"\xd9\xa5\r\n", Refusal::ChunkSize),
        (b"00000000000000000\r\n", Refusal::ChunkSize),
        (b"5\r5", Refusal::LineEnd),
        (b"5\r\rhello", Refusal::LineEnd),
        (b"5;a\n", Refusal::ChunkExtension),
        (b"5;a\0", Refusal::ChunkExtension),
        (b"5;\x7f", Refusal::ChunkExtension),
        (b"5;a\rb", Refusal::LineEnd),
        (b"5\r\nhello0", Refusal::ChunkEnd),
        (b"5\r\nhello\n", Refusal::ChunkEnd),
        (b"5\r\nhello\r0", Refusal::ChunkEnd),
        (b"5\r\nhello\r\n\r\n", Refusal::ChunkSize),
        (b"0\r\n\n", Refusal::Trailer),
        (b"0\r\n\rx", Refusal::LineEnd),
        (b"0\r\n a: b\r\n", Refusal::Trailer),
        (b"0\r\n: b\r\n", Refusal::Trailer),
        (b"0\r\na\r\n", Refusal::Trailer),
        (b"0\r\na : b\r\n", Refusal::Trailer),
        (b"0\r\na: b\n", Refusal::Trailer),
        (b"0\r\na: \0\r\n", Refusal::Trailer),
        (b"0\r\na: b\rc", Refusal::LineEnd),
        (b"0\r\na: b\r\n c\r\n", Refusal::Trailer),
        (b"0\r\nGET / HTTP/1.1\r\n", Refusal::Trailer),
    ];
    for (input, refusal) in table {
        assert_refused(input, *refusal);
    }
}

#[test]
fn data_before_a_mistake_is_given() {
    let outcome = feed::body(b"5\r\nhello\r\n2\r\nok\n", BodyLength::Chunked, MAX);
    assert_eq!(outcome, Outcome { read: (b"hellook".to_vec(), false), end: Err(Refusal::ChunkEnd) });
}

#[test]
fn decoded_bytes_at_the_limit() {
    for (last, refused) in [(3, false), (4, false), (5, true)] {
        let input = format!("60\r\n{}\r\n{last}\r\n{}\r\n0\r\n\r\n", "x".repeat(0x60), "y".repeat(last));
        let end = if refused { Err(Refusal::BodyTooLarge) } else { Ok(input.len()) };
        assert_eq!(feed::body(input.as_bytes(), BodyLength::Chunked, MAX).end, end, "{last}");
    }
    // Announced is enough, and no size overflows.
    assert_refused(b"65", Refusal::BodyTooLarge);
    assert_refused(b"ffffffffffffffff", Refusal::BodyTooLarge);
    assert_refused(b"fffffffffffffffff", Refusal::BodyTooLarge);
    assert_eq!(feed::body(b"1", BodyLength::Chunked, 0).end, Err(Refusal::BodyTooLarge));
    assert_eq!(feed::body(b"0\r\n\r\n", BodyLength::Chunked, 0).end, Ok(5));
    assert_eq!(feed::body(b"ffffffffffffffff\r\n", BodyLength::Chunked, u64::MAX).end, Ok(18));
    assert_eq!(feed::body(b"fffffffffffffffff\r\n", BodyLength::Chunked, u64::MAX).end, Err(Refusal::ChunkSize));
    let again = b"1\r\nx\r\nffffffffffffffff";
    assert_eq!(feed::body(again, BodyLength::Chunked, u64::MAX).end, Err(Refusal::BodyTooLarge));
}

#[test]
fn extension_bytes_at_the_limit() {
    for (total, refused) in [(4095, false), (4096, false), (4097, true)] {
        // Two chunks share the limit; each semicolon counts.
        let first = "a".repeat(1000);
        let second = "b".repeat(total - 1002);
        let input = format!("1;{first}\r\nx\r\n0;{second}\r\n\r\n");
        let end = if refused { Err(Refusal::ChunkExtension) } else { Ok(input.len()) };
        assert_eq!(feed::body(input.as_bytes(), BodyLength::Chunked, MAX).end, end, "{total}");
    }
}

#[test]
fn trailers_at_the_limit() {
    for (count, refused) in [(63, false), (64, false), (65, true)] {
        let input = format!("0\r\n{}\r\n", "a: b\r\n".repeat(count));
        let end = if refused { Err(Refusal::TrailersTooLarge) } else { Ok(input.len()) };
        assert_eq!(feed::body(input.as_bytes(), BodyLength::Chunked, MAX).end, end, "{count} fields");
    }
    for (bytes, refused) in [(8191, false), (8192, false), (8193, true)] {
        // Counted up to the CR of the empty line.
        let input = format!("0\r\na:{}\r\n\r\n", "b".repeat(bytes - "a:\r\n\r".len()));
        let end = if refused { Err(Refusal::TrailersTooLarge) } else { Ok(input.len()) };
        assert_eq!(feed::body(input.as_bytes(), BodyLength::Chunked, MAX).end, end, "{bytes} bytes");
    }
}
