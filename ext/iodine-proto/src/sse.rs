//! Server-sent events (HTML Living Standard, section 9.2).

use core::fmt;

/// A comment, which keeps a connection alive and means nothing to the client.
pub const PING: &[u8] = b": ping\r\n\r\n";

/// Why an event cannot be sent: a mistake of the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventError {
    /// The name of the event has a line end or a NUL.
    Event,
    /// The id has a line end or a NUL; with a NUL, a client would ignore it.
    Id,
}

/// Appends one event. All text must be UTF-8; what is not reaches the client as replacement characters.
///
/// - `data` may have any number of lines, ended by CR, LF or CRLF; the client gets them with LF between them. No data is
///   one empty line.
/// - `event` is the name that listeners ask for; `message` if not given.
/// - `id` comes back in the `Last-Event-ID` field when the client connects again.
/// - `retry` is how long the client waits before it connects again, in milliseconds.
///
/// # Errors
///
/// An [`EventError`]; nothing was written.
///
/// ```
/// let mut out = Vec::new();
/// iodine_proto::sse::encode_event(b"one\ntwo", Some(b"news"), Some(b"7"), None, &mut out)?;
/// assert_eq!(out, b"event: news\r\nid: 7\r\ndata: one\r\ndata: two\r\n\r\n");
/// # Ok::<(), iodine_proto::sse::EventError>(())
/// ```
pub fn encode_event(
    data: &[u8],
    event: Option<&[u8]>,
    id: Option<&[u8]>,
    retry: Option<u64>,
    out: &mut Vec<u8>,
) -> Result<(), EventError> {
    if !event.is_none_or(is_line) {
        return Err(EventError::Event);
    }
    if !id.is_none_or(is_line) {
        return Err(EventError::Id);
    }
    if let Some(event) = event {
        push(b"event: ", event, out);
    }
    if let Some(id) = id {
        push(b"id: ", id, out);
    }
    if let Some(retry) = retry {
        push(b"retry: ", retry.to_string().as_bytes(), out);
    }
    push_data(data, out);
    Ok(())
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EventError::Event => "the name of an event has a line end or a NUL",
            EventError::Id => "the id of an event has a line end or a NUL",
        })
    }
}

impl std::error::Error for EventError {}

/// The data lines, and the empty line that makes the client dispatch the event.
fn push_data(mut data: &[u8], out: &mut Vec<u8>) {
    while let Some(end) = memchr::memchr2(b'\r', b'\n', data) {
        push(b"data: ", &data[..end], out);
        let length = if data[end..].starts_with(b"\r\n") { 2 } else { 1 };
        data = &data[end + length..];
    }
    push(b"data: ", data, out);
    out.extend_from_slice(b"\r\n");
}

fn push(field: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.reserve(field.len() + value.len() + 4);
    out.extend_from_slice(field);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn is_line(value: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, value).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data() {
        let table: &[(&str, &str)] = &[
            ("", "data: \r\n\r\n"),
            ("one", "data: one\r\n\r\n"),
            (" :one", "data:  :one\r\n\r\n"),
            ("one\ntwo", "data: one\r\ndata: two\r\n\r\n"),
            ("one\rtwo", "data: one\r\ndata: two\r\n\r\n"),
            ("one\r\ntwo", "data: one\r\ndata: two\r\n\r\n"),
            ("one\n\rtwo", "data: one\r\ndata: \r\ndata: two\r\n\r\n"),
            ("one\r\r\n\ntwo", "data: one\r\ndata: \r\ndata: \r\ndata: two\r\n\r\n"),
            ("one\n", "data: one\r\ndata: \r\n\r\n"),
            ("\nid: 7", "data: \r\ndata: id: 7\r\n\r\n"),
            ("a\0b", "data: a\0b\r\n\r\n"),
        ];
        for (data, expected) in table {
            let mut out = Vec::new();
            encode_event(data.as_bytes(), None, None, None, &mut out).unwrap();
            assert_eq!(str::from_utf8(&out).unwrap(), *expected, "{data:?}");
        }
    }

    #[test]
    fn fields() {
        let mut out = b": before\r\n\r\n".to_vec();
        encode_event(b"x", Some(b"news"), Some(b""), Some(1500), &mut out).unwrap();
        assert_eq!(out, b": before\r\n\r\nevent: news\r\nid: \r\nretry: 1500\r\ndata: x\r\n\r\n");
    }

    #[test]
    fn fields_of_one_line() {
        for bad in ["a\n", "\rdata: b", "a\r\nb", "a\0"] {
            let mut out = Vec::new();
            let bad = Some(bad.as_bytes());
            assert_eq!(encode_event(b"x", bad, None, None, &mut out), Err(EventError::Event));
            assert_eq!(encode_event(b"x", None, bad, None, &mut out), Err(EventError::Id));
            assert_eq!(out, b"", "an error writes nothing");
        }
    }
}
