use iodine_proto::sse::encode_event;

use crate::input::Input;

/// A client (HTML Living Standard, section 9.2.6) makes one event of it, with the same content.
pub(crate) fn clients_read_what_was_sent(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let event = input.any::<bool>().then(|| input.bytes());
    let id = input.any::<bool>().then(|| input.bytes());
    let retry: Option<u64> = input.any();
    let data = input.rest();
    let mut out = b"before".to_vec();
    if encode_event(data, event, id, retry, &mut out).is_err() {
        assert_eq!(out, b"before", "nothing was written");
        return;
    }
    let read = read(&out[6..]);
    assert_eq!(read.events, 1, "{}", out.escape_ascii());
    assert_eq!(read.data, lines(data).join(&b'\n'));
    assert_eq!((read.event, read.id), (event.map(<[u8]>::to_vec), id.map(<[u8]>::to_vec)));
    assert_eq!(read.retry, retry);
}

#[derive(Default)]
struct Read {
    events: usize,
    data: Vec<u8>,
    event: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    retry: Option<u64>,
}

fn read(stream: &[u8]) -> Read {
    let mut read = Read::default();
    let mut data: Vec<&[u8]> = Vec::new();
    let lines = lines(stream);
    for line in &lines[..lines.len() - 1] {
        if line.is_empty() {
            read.events += 1;
            read.data = std::mem::take(&mut data).join(&b'\n');
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => data.push(value),
            b"event" => read.event = Some(value.to_vec()),
            b"id" => read.id = Some(value.to_vec()),
            b"retry" => read.retry = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()),
            field => panic!("a field that means nothing: {}", field.escape_ascii()),
        }
    }
    read
}

/// What CR, LF and CRLF divide.
fn lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&bytes[..end]);
        let length = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        bytes = &bytes[end + length..];
    }
    lines.push(bytes);
    lines
}
