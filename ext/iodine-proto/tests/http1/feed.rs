//! Feeds a reader in pieces. However the bytes are cut, the outcome must be the same.

use iodine_proto::http1::{BodyLength, BodyReader, Head, HeadLimits, HeadReader, Refusal};

/// What a reader made of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome<T> {
    /// What was read before the end.
    pub(crate) read: T,
    /// How many bytes that took, or the refusal that ended it.
    pub(crate) end: Result<usize, Refusal>,
}

/// The heads in `input`, each described, after feeding it whole, byte by byte, and in any two pieces.
pub(crate) fn heads(input: &[u8], limits: HeadLimits) -> Outcome<Vec<String>> {
    everywhere(input, |pieces| heads_of_pieces(pieces, limits))
}

/// The body at the start of `input`, after feeding it in the same ways. The end is that of the body, if it is complete.
pub(crate) fn body(input: &[u8], length: BodyLength, max: u64) -> Outcome<(Vec<u8>, bool)> {
    everywhere(input, |pieces| body_of_pieces(pieces, length, max))
}

pub(crate) fn heads_of_pieces(pieces: &[&[u8]], limits: HeadLimits) -> Outcome<Vec<String>> {
    let mut reader = HeadReader::new(limits);
    let mut head = Head::default();
    let mut buffer = Vec::new();
    let mut outcome = Outcome { read: Vec::new(), end: Ok(0) };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match reader.read(&buffer, &mut head) {
                Ok(None) => break,
                Ok(Some(consumed)) => {
                    assert!(reader.is_idle());
                    outcome.read.push(describe(&head));
                    outcome.end = outcome.end.map(|end| end + consumed);
                    buffer.drain(..consumed);
                }
                Err(refusal) => {
                    assert_eq!(reader.read(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut head), Err(refusal), "sticky");
                    assert_eq!((head.method(), head.fields().count()), (&b""[..], 0), "a refused head is empty");
                    outcome.end = Err(refusal);
                    return outcome;
                }
            }
        }
    }
    outcome
}

pub(crate) fn body_of_pieces(pieces: &[&[u8]], length: BodyLength, max: u64) -> Outcome<(Vec<u8>, bool)> {
    let mut outcome = Outcome { read: (Vec::new(), false), end: Ok(0) };
    let mut reader = match BodyReader::new(length, max) {
        Ok(reader) => reader,
        Err(refusal) => return Outcome { end: Err(refusal), ..outcome },
    };
    let mut consumed = 0;
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let step = match reader.read(rest) {
                Ok(step) => step,
                Err(refusal) => {
                    assert_eq!(reader.read(b"0\r\n\r\n"), Err(refusal), "sticky");
                    assert_eq!(reader.read(b""), Err(refusal), "sticky");
                    outcome.end = Err(refusal);
                    return outcome;
                }
            };
            outcome.read.0.extend_from_slice(&rest[step.data]);
            consumed += step.consumed;
            outcome.end = Ok(consumed);
            if step.done {
                outcome.read.1 = true;
                return outcome;
            }
            rest = &rest[step.consumed..];
            if rest.is_empty() {
                break;
            }
            assert!(step.consumed > 0, "a step on some input takes some");
        }
    }
    outcome
}

/// All that a head tells, for comparison.
pub(crate) fn describe(head: &Head) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut description = format!(
        "{} {} ? {} {} | {} : {} | {:?} {} {} {}",
        text(head.method()),
        text(head.path()),
        text(head.query()),
        head.version().as_str(),
        text(head.host()),
        head.port().map_or("-".to_owned(), text),
        head.body_length(),
        if head.keep_alive() { "keep" } else { "close" },
        if head.expects_continue() { "continue" } else { "-" },
        head.upgrade().map_or("-".to_owned(), text),
    );
    for (name, value) in head.fields() {
        description += &format!(" | {}={}", text(name), text(value));
    }
    description
}

fn everywhere<T: PartialEq + core::fmt::Debug>(input: &[u8], feed: impl Fn(&[&[u8]]) -> T) -> T {
    let whole = feed(&[input]);
    let bytes: Vec<&[u8]> = (0..input.len()).map(|at| &input[at..=at]).chain([&b""[..]]).collect();
    assert_eq!(feed(&bytes), whole, "byte by byte: {}", input.escape_ascii());
    // Of a long input, the middle is filler.
    for cut in (1..input.len()).filter(|cut| *cut < 512 || input.len() - cut < 512) {
        let (first, second) = input.split_at(cut);
        assert_eq!(feed(&[first, second]), whole, "cut at {cut}: {}", input.escape_ascii());
    }
    whole
}
