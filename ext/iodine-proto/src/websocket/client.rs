//! The opening handshake at a client (RFC 6455 section 4.1).

use core::fmt;

use data_encoding::BASE64;
use httparse::{EMPTY_HEADER, Header, Status};
use tungstenite::handshake::derive_accept_key;

use super::extensions;
use super::{Deflate, DeflateSettings};
use crate::http1::syntax::{is_token, is_value, is_visible, list};

/// The handshake of a client: writes the request, then reads the response.
pub struct ClientHandshake {
    key: String,
    deflate: Option<DeflateSettings>,
    protocols: Vec<String>,
}

/// What the server agreed to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Bytes of the input that were the response. Those after it are frames.
    pub consumed: usize,
    /// The compression to make the [`Reader`](super::Reader) and the [`Encoder`](super::Encoder) with.
    pub deflate: Option<Deflate>,
    /// The subprotocol, one of those that were asked for.
    pub protocol: Option<String>,
}

/// Why a request cannot be written: a mistake of the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestError {
    /// The target is not a path that begins with `/`, or has a blank, a control character or a `#`.
    Target,
    /// The host is empty, or has a blank or a control character.
    Host,
    /// The name of a field is not a token, or is one that the handshake sets itself.
    FieldName,
    /// The value of a field has a control character.
    FieldValue,
}

/// Why the response of a server opens no WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseError {
    /// It is no HTTP/1.1 response head.
    Malformed,
    /// Its head is larger than 32 KiB or has more than 128 fields.
    TooLarge,
    /// Its status, which is not 101: the server refuses, redirects or wants a password.
    Status(u16),
    /// Its Upgrade and Connection fields do not say that the protocol is WebSocket now.
    Upgrade,
    /// Its Sec-WebSocket-Accept does not answer the key.
    Accept,
    /// An extension that was not asked for, or not in this form (RFC 6455 section 4.1, RFC 7692 section 7.1).
    Extensions,
    /// A subprotocol that was not asked for.
    Protocol,
}

impl ClientHandshake {
    /// A handshake with a random `nonce`, new for each connection. `deflate` is what is wanted of compression; without it,
    /// none is offered.
    pub fn new(nonce: [u8; 16], deflate: Option<DeflateSettings>) -> Self {
        ClientHandshake { key: BASE64.encode(&nonce), deflate, protocols: Vec::new() }
    }

    /// Appends the request. `target` is the path and query; `host` has the port if that is not the scheme's; `fields` are
    /// those of the application, such as `origin`, `cookie` and `sec-websocket-protocol`.
    ///
    /// # Errors
    ///
    /// A [`RequestError`]; nothing was written.
    pub fn request<'a>(
        &mut self,
        target: &str,
        host: &str,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        out: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        let start = out.len();
        let result = self.write(target, host, fields, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Looks for the response at the start of `input`, which is all that has come so far: after `Ok(None)`, call again
    /// with the same bytes and more. Interim responses before it are skipped (RFC 9110 section 15.2).
    ///
    /// # Errors
    ///
    /// A [`ResponseError`]: close the connection.
    pub fn response(&self, input: &[u8]) -> Result<Option<Opened>, ResponseError> {
        let mut consumed = 0;
        loop {
            let mut fields = [EMPTY_HEADER; MAX_FIELDS];
            let mut response = httparse::Response::new(&mut fields);
            let Status::Complete(length) = response.parse(&input[consumed..])? else {
                return if input.len() > MAX_HEAD { Err(ResponseError::TooLarge) } else { Ok(None) };
            };
            consumed += length;
            if consumed > MAX_HEAD {
                return Err(ResponseError::TooLarge);
            }
            match response.code {
                Some(101) if response.version == Some(1) => return self.check(response.headers, consumed).map(Some),
                Some(100 | 102..=199) => {}
                status => return Err(status.map_or(ResponseError::Malformed, ResponseError::Status)),
            }
        }
    }

    fn write<'a>(
        &mut self,
        target: &str,
        host: &str,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        out: &mut Vec<u8>,
    ) -> Result<(), RequestError> {
        if !target.starts_with('/') || !is_visible(target.as_bytes()) || target.contains('#') {
            return Err(RequestError::Target);
        }
        if host.is_empty() || !is_visible(host.as_bytes()) {
            return Err(RequestError::Host);
        }
        out.extend([b"GET ", target.as_bytes(), b" HTTP/1.1\r\n"].concat());
        push("host", host.as_bytes(), out);
        push("upgrade", b"websocket", out);
        push("connection", b"Upgrade", out);
        push("sec-websocket-version", b"13", out);
        push("sec-websocket-key", self.key.as_bytes(), out);
        if let Some(settings) = &self.deflate {
            push("sec-websocket-extensions", settings.offer().as_bytes(), out);
        }
        self.protocols.clear();
        for (name, value) in fields {
            self.write_field(name, value, out)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn write_field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), RequestError> {
        let name = str::from_utf8(name).ok().filter(|name| is_token(name.as_bytes()) && !is_own(name));
        let name = name.ok_or(RequestError::FieldName)?;
        if !is_value(value) {
            return Err(RequestError::FieldValue);
        }
        if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            self.protocols.extend(list(value).map(|protocol| String::from_utf8_lossy(protocol).into_owned()));
        }
        push(name, value, out);
        Ok(())
    }

    /// RFC 6455 section 4.1, the numbered list about the response.
    fn check(&self, fields: &[Header<'_>], consumed: usize) -> Result<Opened, ResponseError> {
        let is_member = |name, member: &str| {
            values(fields, name).flat_map(list).any(|other| other.eq_ignore_ascii_case(member.as_bytes()))
        };
        if !is_member("upgrade", "websocket") || !is_member("connection", "upgrade") {
            return Err(ResponseError::Upgrade);
        }
        let accept = derive_accept_key(self.key.as_bytes());
        if !values(fields, "sec-websocket-accept").eq([accept.as_bytes()]) {
            return Err(ResponseError::Accept);
        }
        Ok(Opened { consumed, deflate: self.agreed(fields)?, protocol: self.protocol(fields)? })
    }

    fn agreed(&self, fields: &[Header<'_>]) -> Result<Option<Deflate>, ResponseError> {
        let extensions =
            extensions::parse(values(fields, "sec-websocket-extensions")).ok_or(ResponseError::Extensions)?;
        match (&extensions[..], &self.deflate) {
            ([], _) => Ok(None),
            ([extension], Some(settings)) => settings.agree(extension).map(Some).ok_or(ResponseError::Extensions),
            _ => Err(ResponseError::Extensions),
        }
    }

    fn protocol(&self, fields: &[Header<'_>]) -> Result<Option<String>, ResponseError> {
        let mut values = values(fields, "sec-websocket-protocol");
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let asked = self.protocols.iter().find(|protocol| protocol.as_bytes() == value);
        asked.filter(|_| values.next().is_none()).cloned().map(Some).ok_or(ResponseError::Protocol)
    }
}

impl From<httparse::Error> for ResponseError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => ResponseError::TooLarge,
            _ => ResponseError::Malformed,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RequestError::Target => "the target is not a path, or has a character that must be percent-encoded",
            RequestError::Host => "the host is empty, or has a blank or a control character",
            RequestError::FieldName => "the name of a field is not a token, or belongs to the handshake",
            RequestError::FieldValue => "the value of a field has a control character",
        })
    }
}

impl std::error::Error for RequestError {}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponseError::Malformed => "the server's answer is not HTTP/1.1",
            ResponseError::TooLarge => "the server's answer is too large",
            ResponseError::Status(status) => return write!(f, "the server answers with status {status}, not 101"),
            ResponseError::Upgrade => "the server does not change to the WebSocket protocol",
            ResponseError::Accept => "Sec-WebSocket-Accept does not answer the key",
            ResponseError::Extensions => "the server uses an extension that was not offered",
            ResponseError::Protocol => "the server uses a subprotocol that was not offered",
        })
    }
}

impl std::error::Error for ResponseError {}

fn push(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
}

/// Whether the handshake sets the field itself, or no handshake has it.
fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn values<'a>(fields: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

const OWN: &[&str] = &[
    "host",
    "upgrade",
    "connection",
    "sec-websocket-version",
    "sec-websocket-key",
    "sec-websocket-extensions",
    "sec-websocket-accept",
    "content-length",
    "transfer-encoding",
];

const MAX_HEAD: usize = 32 * 1024;
const MAX_FIELDS: usize = 128;
