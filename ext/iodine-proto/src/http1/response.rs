//! Writes response heads and the framing of chunks.

use super::field::{FieldError, FieldLine, FieldName, length_of, push_name};
use super::number::{push_decimal, push_hexadecimal};
use super::status::reason;
use super::syntax::{is_value, list};

/// Writes one response head to the end of a buffer.
///
/// Nothing invalid can reach the wire: a bad field is an error, after which the caller cuts the buffer back to where the
/// head began. Framing and persistence belong to the server, so the fields about them are written by
/// [`finish`](ResponseWriter::finish) alone:
///
/// | field of the application | is |
/// |---|---|
/// | `content-length` | checked and remembered; [`content_length`](ResponseWriter::content_length) tells it |
/// | `transfer-encoding` | written as given, and then no other framing is; dropped for 1xx and 204 |
/// | `connection` | remembered if it says `close`; written for 101 and 426, which need it, else dropped |
/// | `keep-alive` | dropped |
/// | `date` | written, and then no other is |
///
/// ```
/// use iodine_proto::http1::{Framing, Persistence, ResponseWriter, date};
///
/// let mut out = Vec::new();
/// let mut head = ResponseWriter::new(&mut out, 200);
/// head.field(b"Content-Type", b"text/plain")?;
/// head.finish(Framing::Length(5), Persistence::Default, &date::imf_fixdate(784_111_777));
/// assert_eq!(
///     str::from_utf8(&out).unwrap(),
///     "HTTP/1.1 200 OK\r\n\
///      content-type: text/plain\r\n\
///      date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
///      content-length: 5\r\n\r\n"
/// );
/// # Ok::<(), iodine_proto::http1::FieldError>(())
/// ```
pub struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
    status: u16,
    content_length: Option<u64>,
    has_transfer_encoding: bool,
    closes: bool,
    has_date: bool,
}

/// How the receiver knows where the body ends (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// No body and no word about one: 1xx, 204, and 304 whose length is not known.
    None,
    /// `content-length`, and as many bytes.
    Length(u64),
    /// `transfer-encoding: chunked`.
    Chunked,
    /// The body ends with the connection; says `connection: close`.
    Close,
    /// No body, but the length it would have, if known: an answer to HEAD, or 304.
    Head(Option<u64>),
    /// As the application said by its own transfer-encoding.
    Given,
}

/// What the response says about the connection (RFC 9112 section 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// Nothing, by which HTTP/1.1 keeps the connection.
    Default,
    /// `connection: keep-alive`, for an HTTP/1.0 client that asked for it.
    KeepAlive,
    /// `connection: close`.
    Close,
}

impl<'a> ResponseWriter<'a> {
    /// Writes the status line, always of HTTP/1.1 (RFC 9110 section 2.5). A status that has not three digits is none, and
    /// becomes 500.
    pub fn new(out: &'a mut Vec<u8>, status: u16) -> Self {
        let status = if matches!(status, 100..=999) { status } else { 500 };
        push_status_line(status, out);
        let (has_transfer_encoding, closes, has_date) = (false, false, false);
        ResponseWriter { out, status, content_length: None, has_transfer_encoding, closes, has_date }
    }

    /// Writes one field line, its name in lower case.
    ///
    /// # Errors
    ///
    /// A [`FieldError`]; nothing of the field was written.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldError> {
        if !is_value(value) {
            return Err(FieldError::Value);
        }
        // What concerns the server has a good name.
        if self.takes(name, value)? {
            push_name(name, self.out)?;
            self.out.extend_from_slice(b": ");
            self.out.extend_from_slice(value);
            self.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// Writes one field line, as [`field`](ResponseWriter::field) does, of a name that is known.
    ///
    /// # Errors
    ///
    /// A [`FieldError`]; nothing of the field was written.
    pub fn known_field(&mut self, name: &FieldName, value: &[u8]) -> Result<(), FieldError> {
        if name.is_content_length {
            return self.note_content_length(value);
        }
        if !is_value(value) {
            return Err(FieldError::Value);
        }
        self.out.extend_from_slice(&name.start);
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes a line that is known.
    ///
    /// # Errors
    ///
    /// [`FieldError::ContentLength`]; nothing of it was written.
    pub fn known_line(&mut self, line: &FieldLine) -> Result<(), FieldError> {
        if let Some(length) = line.content_length {
            return self.set_content_length(length);
        }
        self.out.extend_from_slice(&line.bytes);
        Ok(())
    }

    /// The content-length the application gave.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the application gave a transfer-encoding, and so has framed the body itself.
    pub fn has_transfer_encoding(&self) -> bool {
        self.has_transfer_encoding
    }

    /// Whether the application asked to close the connection.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Writes the date, the persistence and the framing, and ends the head.
    ///
    /// Whatever `framing` says, none is written next to a transfer-encoding of the application, nor for 1xx and 204
    /// (RFC 9112 section 6.1, RFC 9110 section 8.6). An interim response has no date.
    pub fn finish(self, framing: Framing, persistence: Persistence, date: &[u8; 29]) {
        if !self.has_date && self.status >= 200 {
            self.out.extend_from_slice(b"date: ");
            self.out.extend_from_slice(date);
            self.out.extend_from_slice(b"\r\n");
        }
        if self.closes || framing == Framing::Close || persistence == Persistence::Close {
            self.out.extend_from_slice(b"connection: close\r\n");
        } else if persistence == Persistence::KeepAlive {
            self.out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        match framing {
            _ if self.has_transfer_encoding || self.forbids_framing() => {}
            Framing::Length(length) | Framing::Head(Some(length)) => {
                self.out.extend_from_slice(b"content-length: ");
                push_decimal(length, self.out);
                self.out.extend_from_slice(b"\r\n");
            }
            Framing::Chunked => self.out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::None | Framing::Close | Framing::Head(None) | Framing::Given => {}
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Takes note of a field that concerns the server. Whether the field is to be written now.
    fn takes(&mut self, name: &[u8], value: &[u8]) -> Result<bool, FieldError> {
        let is = |known: &[u8]| name == known || name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"date") => self.has_date = true,
            10 if is(b"connection") => {
                self.closes |= list(value).any(|option| option.eq_ignore_ascii_case(b"close"));
                return Ok(matches!(self.status, 101 | 426));
            }
            10 if is(b"keep-alive") => return Ok(false),
            14 if is(b"content-length") => return self.note_content_length(value).map(|()| false),
            17 if is(b"transfer-encoding") => {
                self.has_transfer_encoding = !self.forbids_framing();
                return Ok(self.has_transfer_encoding);
            }
            _ => {}
        }
        Ok(true)
    }

    fn note_content_length(&mut self, value: &[u8]) -> Result<(), FieldError> {
        self.set_content_length(length_of(value)?)
    }

    fn set_content_length(&mut self, length: u64) -> Result<(), FieldError> {
        if self.content_length.replace(length).is_some_and(|other| other != length) {
            return Err(FieldError::ContentLength);
        }
        Ok(())
    }

    fn forbids_framing(&self) -> bool {
        self.status < 200 || self.status == 204
    }
}

fn push_status_line(status: u16, out: &mut Vec<u8>) {
    if status == 200 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[100, 10, 1].map(|place| b'0' + (status / place % 10) as u8));
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before the data of a chunk. A chunk of no data would end the body: write none instead, or
/// [`LAST_CHUNK`].
pub fn chunk_head(len: usize, out: &mut Vec<u8>) {
    push_hexadecimal(len as u64, out);
    out.extend_from_slice(b"\r\n");
}

/// Bytes that a chunk of `len` bytes of data takes, with its framing.
pub fn chunk_len(len: usize) -> usize {
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    digits + 2 + len + CHUNK_END.len()
}

/// What follows the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// What ends a chunked body, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// The head for these fields, without its date.
    fn written(status: u16, fields: &[(&str, &str)], framing: Framing, persistence: Persistence) -> String {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&mut out, status);
        for (name, value) in fields {
            writer.field(name.as_bytes(), value.as_bytes()).unwrap();
        }
        writer.finish(framing, persistence, DATE);
        String::from_utf8(out).unwrap().replace("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")
    }

    #[test]
    fn framings() {
        let table: &[(u16, Framing, &str)] = &[
            (200, Framing::None, "HTTP/1.1 200 OK\r\n\r\n"),
            (200, Framing::Length(0), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            (200, Framing::Length(u64::MAX), "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n"),
            (200, Framing::Chunked, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            (200, Framing::Close, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
            (200, Framing::Head(Some(7)), "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"),
            (200, Framing::Head(None), "HTTP/1.1 200 OK\r\n\r\n"),
            (304, Framing::Head(Some(7)), "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n"),
            (204, Framing::Length(0), "HTTP/1.1 204 No Content\r\n\r\n"),
            (101, Framing::Chunked, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            (299, Framing::None, "HTTP/1.1 299 \r\n\r\n"),
            (0, Framing::None, "HTTP/1.1 500 Internal Server Error\r\n\r\n"),
            (99, Framing::None, "HTTP/1.1 500 Internal Server Error\r\n\r\n"),
            (1000, Framing::None, "HTTP/1.1 500 Internal Server Error\r\n\r\n"),
        ];
        for (status, framing, text) in table {
            assert_eq!(written(*status, &[], *framing, Persistence::Default), *text, "{status} {framing:?}");
        }
    }

    #[test]
    fn persistence() {
        let table = [
            (("a", "b"), Persistence::Default, "a: b\r\n"),
            (("a", "b"), Persistence::KeepAlive, "a: b\r\nconnection: keep-alive\r\n"),
            (("a", "b"), Persistence::Close, "a: b\r\nconnection: close\r\n"),
            (("Connection", "Close"), Persistence::Default, "connection: close\r\n"),
            (("connection", "x, close"), Persistence::KeepAlive, "connection: close\r\n"),
            (("connection", "close"), Persistence::Close, "connection: close\r\n"),
            (("connection", "keep-alive"), Persistence::Default, ""),
            (("connection", "closed"), Persistence::Default, ""),
            (("Keep-Alive", "timeout=5"), Persistence::Default, ""),
        ];
        for (field, persistence, text) in table {
            let expected = format!("HTTP/1.1 200 OK\r\n{text}\r\n");
            assert_eq!(written(200, &[field], Framing::None, persistence), expected, "{field:?} {persistence:?}");
        }
    }

    #[test]
    fn fields_as_given() {
        let fields = [("X-Name", "a\tb caf\u{e9}"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Empty", "")];
        assert_eq!(
            written(200, &fields, Framing::None, Persistence::Default),
            "HTTP/1.1 200 OK\r\nx-name: a\tb caf\u{e9}\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nempty: \r\n\r\n"
        );
    }

    #[test]
    fn the_connection_field_passes_where_an_upgrade_needs_it() {
        let fields = [("upgrade", "websocket"), ("connection", "Upgrade")];
        for (status, passes) in [(101, true), (426, true), (200, false)] {
            let text = written(status, &fields, Framing::None, Persistence::Default);
            assert_eq!(text.contains("connection: Upgrade\r\n"), passes, "{text}");
        }
    }

    #[test]
    fn a_transfer_encoding_of_the_application_is_the_only_framing() {
        let fields = [("Transfer-Encoding", "gzip, chunked"), ("Content-Length", "5")];
        for framing in [Framing::Given, Framing::Length(5), Framing::Chunked] {
            assert_eq!(
                written(200, &fields, framing, Persistence::Default),
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
            );
        }
        assert_eq!(written(204, &fields, Framing::None, Persistence::Default), "HTTP/1.1 204 No Content\r\n\r\n");
    }

    #[test]
    fn chunks_take_as_much_as_they_say() {
        for len in [1, 9, 15, 16, 17, 255, 256, 1024, 4095, 4096, 65_535, 65_536] {
            let mut chunk = Vec::new();
            chunk_head(len, &mut chunk);
            chunk.resize(chunk.len() + len, b'x');
            chunk.extend_from_slice(CHUNK_END);
            assert_eq!(chunk_len(len), chunk.len(), "{len}");
        }
    }

    #[test]
    fn one_date() {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&mut out, 200);
        writer.field(b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT").unwrap();
        writer.finish(Framing::None, Persistence::Default, DATE);
        assert_eq!(out, b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n");
        out.clear();
        ResponseWriter::new(&mut out, 103).finish(Framing::None, Persistence::Default, DATE);
        assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\n\r\n");
    }

    #[test]
    fn tells_what_the_application_gave() {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&mut out, 200);
        assert_eq!((writer.content_length(), writer.has_transfer_encoding(), writer.closes()), (None, false, false));
        writer.field(b"Content-Length", b" 12 ").unwrap();
        writer.field(b"content-length", b"12").unwrap();
        writer.field(b"transfer-encoding", b"chunked").unwrap();
        writer.field(b"connection", b"close").unwrap();
        assert_eq!((writer.content_length(), writer.has_transfer_encoding(), writer.closes()), (Some(12), true, true));
        assert_eq!(writer.field(b"content-length", b"13"), Err(FieldError::ContentLength));
    }

    #[test]
    fn what_is_known_is_written_as_it_would_be_anew() {
        let fields: &[(&str, &str)] =
            &[("Content-Type", "text/plain"), ("X-A", ""), ("Content-Length", " 12 "), ("x-b", "caf\u{e9}\t")];
        type How = dyn Fn(&mut ResponseWriter<'_>, &[u8], &[u8]);
        let write = |how: &How| {
            let mut out = Vec::new();
            let mut writer = ResponseWriter::new(&mut out, 200);
            fields.iter().for_each(|(name, value)| how(&mut writer, name.as_bytes(), value.as_bytes()));
            assert_eq!(writer.content_length(), Some(12));
            writer.finish(Framing::Length(12), Persistence::Default, DATE);
            out
        };
        let anew = write(&|writer, name, value| writer.field(name, value).unwrap());
        let by_name = write(&|writer, name, value| writer.known_field(&FieldName::new(name).unwrap(), value).unwrap());
        let by_line = write(&|writer, name, value| {
            let line = FieldLine::new(&FieldName::new(name).unwrap(), value).unwrap();
            writer.known_line(&line).unwrap();
        });
        assert!(anew == by_name && anew == by_line);
    }

    #[test]
    fn what_is_known_is_checked_as_well() {
        for name in ["", "a b", "a:", "caf\u{e9}", "Date", "CONNECTION", "keep-alive", "Transfer-Encoding"] {
            assert!(FieldName::new(name.as_bytes()).is_none(), "{name:?}");
        }
        let (name, length) = (FieldName::new(b"x").unwrap(), FieldName::new(b"Content-Length").unwrap());
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&mut out, 200);
        for value in [&b"a\r\nb"[..], b"\n", b"\0", b"\x7f"] {
            assert_eq!(writer.known_field(&name, value), Err(FieldError::Value));
            assert_eq!(FieldLine::new(&name, value).err(), Some(FieldError::Value));
        }
        for value in [&b""[..], b"-1", b"1\n", b"18446744073709551616"] {
            assert_eq!(writer.known_field(&length, value), Err(FieldError::ContentLength));
            assert_eq!(FieldLine::new(&length, value).err(), Some(FieldError::ContentLength));
        }
        writer.known_field(&length, b"12").unwrap();
        let other = FieldLine::new(&length, b"13").unwrap();
        assert_eq!(writer.known_line(&other), Err(FieldError::ContentLength));
        assert_eq!(out, b"HTTP/1.1 200 OK\r\n");
    }

    #[test]
    fn refuses_what_would_split_or_spoil_the_head() {
        let table: &[(&[u8], &[u8], FieldError)] = &[
            (b"", b"a", FieldError::Name),
            (b"a b", b"a", FieldError::Name),
            (b"a:", b"a", FieldError::Name),
            (b"a\r\nb", b"a", FieldError::Name),
            (b"caf\xe9", b"a", FieldError::Name),
            (b"a", b"b\r\nc: d", FieldError::Value),
            (b"a", b"\n", FieldError::Value),
            (b"a", b"\r", FieldError::Value),
            (b"a", b"\0", FieldError::Value),
            (b"a", b"\x1b[0m", FieldError::Value),
            (b"a", b"\x7f", FieldError::Value),
            (b"content-length", b"", FieldError::ContentLength),
            (b"content-length", b"-1", FieldError::ContentLength),
            (b"content-length", b"1, 1", FieldError::ContentLength),
            (b"connection", b"close\r\n", FieldError::Value),
        ];
        for (name, value, error) in table {
            let mut out = Vec::new();
            let mut writer = ResponseWriter::new(&mut out, 200);
            assert_eq!(writer.field(name, value), Err(*error), "{} {}", name.escape_ascii(), value.escape_ascii());
            assert_eq!(out, b"HTTP/1.1 200 OK\r\n", "an error writes nothing");
        }
    }

    #[test]
    fn chunks() {
        let mut out = Vec::new();
        chunk_head(0xab_cdef, &mut out);
        assert_eq!(out, b"abcdef\r\n");
    }
}
