use iodine_proto::http1::{
    BodyLength, BodyReader, Framing, Head, HeadLimits, HeadReader, Persistence, Refusal, ResponseWriter,
    accept_encoding, conditional, date, range,
};

use crate::input::{Input, cut};

const LIMITS: HeadLimits = HeadLimits { line: 200, fields: 8, block: 600 };

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    target: (Vec<u8>, Vec<u8>, Vec<u8>),
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    host: (Vec<u8>, Option<Vec<u8>>),
    body: BodyLength,
    keeps: bool,
    upgrade: Option<Vec<u8>>,
}

impl Said {
    fn by(head: &Head) -> Self {
        Self {
            target: (head.method().to_vec(), head.path().to_vec(), head.query().to_vec()),
            fields: head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            host: (head.host().to_vec(), head.port().map(<[u8]>::to_vec)),
            body: head.body_length(),
            keeps: head.keep_alive(),
            upgrade: head.upgrade().map(<[u8]>::to_vec),
        }
    }
}

/// The heads that follow one another, and the refusal that ends them.
fn heads(pieces: &[&[u8]]) -> (Vec<Said>, Option<Refusal>) {
    let mut reader = HeadReader::new(LIMITS);
    let mut head = Head::default();
    let mut buffer = Vec::new();
    let mut said = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match reader.read(&buffer, &mut head) {
                Ok(None) => break,
                Err(refusal) => return (said, Some(refusal)),
                Ok(Some(length)) => {
                    said.push(Said::by(&head));
                    agrees_with_httparse(&buffer[..length], &head);
                    buffer.drain(..length);
                }
            }
        }
    }
    (said, None)
}

pub(crate) fn heads_may_be_cut_anywhere(bytes: &[u8]) {
    let (whole, pieces) = cut(bytes);
    assert_eq!(heads(&pieces), heads(&[whole]));
}

/// What is accepted here is accepted there, and means the same; but for targets that are not UTF-8, which are the
/// application's to judge.
fn agrees_with_httparse(bytes: &[u8], head: &Head) {
    // Empty lines may come first.
    let line = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    if std::str::from_utf8(line).is_err() {
        return;
    }
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes);
    assert_eq!(parsed, Ok(httparse::Status::Complete(bytes.len())), "{}", bytes.escape_ascii());
    assert_eq!(request.method.map(str::as_bytes), Some(head.method()));
    let theirs = request.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    assert!(theirs.eq(head.fields()), "{}", bytes.escape_ascii());
}

pub(crate) fn bodies_may_be_cut_anywhere(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let max = u64::from(input.any::<u8>());
    let length = if input.any() { BodyLength::Chunked } else { BodyLength::Sized(u64::from(input.any::<u8>())) };
    let (whole, pieces) = cut(input.rest());
    let read = body(&pieces, length, max);
    assert_eq!(read, body(&[whole], length, max));
    assert!(read.0.len() as u64 <= max);
}

/// The body, how many bytes it took if it is whole, and why it was refused.
fn body(pieces: &[&[u8]], length: BodyLength, max: u64) -> (Vec<u8>, Option<usize>, Option<Refusal>) {
    let mut body = Vec::new();
    let mut reader = match BodyReader::new(length, max) {
        Ok(reader) => reader,
        Err(refusal) => return (body, None, Some(refusal)),
    };
    let mut consumed = 0;
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let step = match reader.read(rest) {
                Ok(step) => step,
                // Where in the last packet it stops being good does not matter.
                Err(refusal) => return (Vec::new(), None, Some(refusal)),
            };
            body.extend_from_slice(&rest[step.data.clone()]);
            rest = &rest[step.consumed..];
            consumed += step.consumed;
            if step.done {
                return (body, Some(consumed), None);
            }
            if step.consumed == 0 {
                break;
            }
        }
        assert!(rest.is_empty(), "a body that is not done takes all");
    }
    (body, None, None)
}

/// Conditions, ranges, codings and dates in the fields of a head.
pub(crate) fn fields_have_one_meaning(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (length, now): (u32, u32) = (input.any(), input.any());
    let request = [b"GET / HTTP/1.1\r\nHost: a\r\n", input.rest(), b"\r\n\r\n"].concat();
    let mut head = Head::default();
    let Ok(Some(_)) = HeadReader::new(HeadLimits::default()).read(&request, &mut head) else { return };
    if let range::Wanted::Parts(parts) = range::wanted(&head, u64::from(length)) {
        assert!(!parts.is_empty() && parts.len() <= range::MOST_RANGES);
        assert!(parts.iter().all(|part| part.first < part.end && part.end <= u64::from(length)));
        assert!(parts.iter().map(|part| part.length()).sum::<u64>() <= u64::from(length), "no byte twice");
    }
    let mut codings: Vec<_> = accept_encoding::preferred(&head).map(|coding| coding.name()).collect();
    let count = codings.len();
    codings.sort_unstable();
    codings.dedup();
    assert_eq!(codings.len(), count, "each once");
    let validators = conditional::Validators { etag: Some(b"\"a\""), modified: Some(u64::from(now)) };
    conditional::evaluate(&head, validators);
    for (_, value) in head.fields() {
        if let Some(seconds) = date::parse(value).filter(|seconds| *seconds < 253_402_300_800) {
            assert_eq!(date::parse(&date::imf_fixdate(seconds)), Some(seconds));
        }
    }
}

/// A response is one response, with the fields that were taken and no others.
pub(crate) fn responses_cannot_be_split(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut out = Vec::new();
    let mut writer = ResponseWriter::new(&mut out, 200 + input.any::<u16>() % 400);
    let mut taken = 0;
    while !input.is_empty() && taken < 20 {
        let name = input.bytes();
        taken += usize::from(writer.field(name, input.bytes()).is_ok());
    }
    writer.finish(Framing::Length(3), Persistence::Close, &date::imf_fixdate(0));
    let end = out.len();
    out.extend_from_slice(b"abc");
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    assert_eq!(response.parse(&out), Ok(httparse::Status::Complete(end)), "{}", out.escape_ascii());
    // The date, the length and the end of the connection are added, unless they were given.
    assert!(response.headers.len() <= taken + 3, "{}", out.escape_ascii());
}
