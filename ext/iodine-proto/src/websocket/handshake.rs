//! The opening handshake at a server (RFC 6455 section 4.2).

use core::fmt;

use tungstenite::handshake::derive_accept_key;

use super::extensions;
use super::{Deflate, DeflateSettings};
use crate::http1::Head;
use crate::http1::syntax::list;

/// Whether a request asks to change to the WebSocket protocol: GET or not, well-formed or not.
pub fn is_upgrade(head: &Head) -> bool {
    head.upgrade().is_some_and(|protocols| list(protocols).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")))
}

/// A handshake that a server may accept: what it agreed to, and what it answers.
///
/// The answer is a response of status 101 with [`fields`](Handshake::fields) and those of the application, without body.
/// Which subprotocol to answer with is up to the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handshake {
    accept: String,
    deflate: Option<Deflate>,
    extensions: Option<String>,
}

/// Why a handshake is refused. Answer with [`status`](Refusal::status) and [`fields`](Refusal::fields); the connection may
/// serve further requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The method is not GET.
    Method,
    /// The Upgrade and Connection fields do not ask for a WebSocket, or the version is HTTP/1.0.
    Upgrade,
    /// No Sec-WebSocket-Key, more than one, or one that is not 16 bytes in base64.
    Key,
    /// No Sec-WebSocket-Version, or more than one.
    Version,
    /// A Sec-WebSocket-Version other than 13.
    OtherVersion,
    /// Sec-WebSocket-Extensions is malformed (RFC 6455 section 9.1).
    Extensions,
}

impl Handshake {
    /// Checks the request of a client. `deflate` is what is wanted of compression; without it, none is agreed to.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] (RFC 6455 section 4.2.1).
    pub fn accept(head: &Head, deflate: Option<&DeflateSettings>) -> Result<Handshake, Refusal> {
        if !is_upgrade(head) {
            return Err(Refusal::Upgrade);
        }
        if head.method() != b"GET" {
            return Err(Refusal::Method);
        }
        match only(head, "sec-websocket-version").ok_or(Refusal::Version)? {
            b"13" => {}
            _ => return Err(Refusal::OtherVersion),
        }
        let key = only(head, "sec-websocket-key").filter(|key| is_key(key)).ok_or(Refusal::Key)?;
        let offers = extensions::parse(values(head, "sec-websocket-extensions")).ok_or(Refusal::Extensions)?;
        let (deflate, extensions) = deflate.and_then(|settings| settings.accept(&offers)).unzip();
        Ok(Handshake { accept: derive_accept_key(key), deflate, extensions })
    }

    /// The compression to make the [`Reader`](super::Reader) and the [`Encoder`](super::Encoder) with.
    pub fn deflate(&self) -> Option<Deflate> {
        self.deflate
    }

    /// The fields of the response, by names in lower case (RFC 6455 section 4.2.2).
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fixed = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", &self.accept[..])];
        fixed.into_iter().chain(self.extensions.iter().map(|value| ("sec-websocket-extensions", &value[..])))
    }
}

impl Refusal {
    /// The status to answer with: 400 or 426.
    pub fn status(self) -> u16 {
        if self == Refusal::OtherVersion { 426 } else { 400 }
    }

    /// Fields of the response that tell a client what it should have sent, by names in lower case (RFC 6455 section 4.4,
    /// RFC 9110 section 15.5.22).
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        const FIELDS: &[(&str, &str)] =
            &[("sec-websocket-version", "13"), ("upgrade", "websocket"), ("connection", "Upgrade")];
        match self {
            Refusal::OtherVersion => FIELDS,
            Refusal::Version => &FIELDS[..1],
            _ => &[],
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Method => "the method of a WebSocket handshake is not GET",
            Refusal::Upgrade => "the request does not ask to change to the WebSocket protocol",
            Refusal::Key => "missing or malformed Sec-WebSocket-Key",
            Refusal::Version => "no or more than one Sec-WebSocket-Version",
            Refusal::OtherVersion => "WebSocket version other than 13",
            Refusal::Extensions => "malformed Sec-WebSocket-Extensions",
        })
    }
}

impl std::error::Error for Refusal {}

/// The value of the field, if there is one and no other of that name.
fn only<'a>(head: &'a Head, name: &'a str) -> Option<&'a [u8]> {
    let mut values = values(head, name);
    values.next().filter(|_| values.next().is_none())
}

fn values<'a>(head: &'a Head, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    head.fields().filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
}

/// 16 bytes in base64 (RFC 6455 section 4.1).
fn is_key(value: &[u8]) -> bool {
    let mut nonce = [0; 18];
    value.len() == 24 && data_encoding::BASE64.decode_mut(value, &mut nonce).is_ok_and(|length| length == 16)
}
