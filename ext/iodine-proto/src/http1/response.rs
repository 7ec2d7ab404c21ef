//! Writes response heads.

use core::fmt;

/// Writes one response head to the end of a buffer.
pub struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
    status: u16,
    content_length: Option<u64>,
    transfer_encoding: bool,
    close: bool,
    dated: bool,
}

/// How the receiver knows where the body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// No body and no word about one: 1xx, 204, 304 without a length.
    None,
    /// `content-length`, and so many bytes.
    Length(u64),
    /// `transfer-encoding: chunked`.
    Chunked,
    /// The body ends with the connection; says `connection: close`.
    Close,
    /// No body, but the length it would have, if known: the answer to HEAD, or 304.
    Head(Option<u64>),
    /// The application framed the body itself: its transfer-encoding was written as given.
    Given,
}

/// What the response says about the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// Nothing: HTTP/1.1 keeps the connection.
    Default,
    /// `connection: keep-alive`, for an HTTP/1.0 client that asked for it.
    KeepAlive,
    /// `connection: close`.
    Close,
}

/// Why a response field cannot be written: the application's mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldError {
    /// The name is not a token (RFC 9110 section 5.1).
    Name,
    /// The value has a CR, LF, NUL or other control character (RFC 9110 section 5.5).
    Value,
    /// A content-length that is not a number, or contradicts an earlier one.
    ContentLength,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldError::Name => "the name of a response header is not a token",
            FieldError::Value => "the value of a response header has a control character",
            FieldError::ContentLength => "content-length is not a number, or contradicts an earlier one",
        })
    }
}

impl std::error::Error for FieldError {}

impl<'a> ResponseWriter<'a> {
    /// Writes the status line.
    pub fn new(out: &'a mut Vec<u8>, status: u16) -> Self {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(super::reason(status).as_bytes());
        out.extend_from_slice(b"\r\n");
        ResponseWriter { out, status, content_length: None, transfer_encoding: false, close: false, dated: false }
    }

    /// Writes one field line.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), FieldError> {
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The content-length given so far.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether a transfer-encoding was written.
    pub fn has_transfer_encoding(&self) -> bool {
        self.transfer_encoding
    }

    /// Whether the application asked to close the connection.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// Writes what is still missing and ends the head.
    pub fn finish(self, framing: Framing, persistence: Persistence, date: &[u8; 29]) {
        if !self.dated && self.status >= 200 {
            self.out.extend_from_slice(b"date: ");
            self.out.extend_from_slice(date);
            self.out.extend_from_slice(b"\r\n");
        }
        if framing == Framing::Close || persistence == Persistence::Close {
            self.out.extend_from_slice(b"connection: close\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Writes the line before the data of a chunk.
pub fn chunk_head(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{len:x}\r\n").as_bytes());
}

/// What follows the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// What ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
