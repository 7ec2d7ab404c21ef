//! What the fields of a head mean for its framing, its connection and its host.

use super::authority::Authority;
use super::number::parse_decimal;
use super::span::Span;
use super::syntax::{is_token, list, trim};
use super::{BodyLength, Refusal, Version};

/// What the fields say, gathered one by one.
///
/// The fields that decide framing are known by their exact names, so `Content_Length` or a name with a stray character
/// is some other field.
#[derive(Default)]
pub(super) struct Meaning {
    /// Host and port of the Host field. `Some(None)` if that is empty.
    host: Option<Option<(Span, Option<Span>)>>,
    content_length: Option<u64>,
    transfer_encoding: Option<Result<(), Refusal>>,
    connection: Connection,
    expects_continue: bool,
    upgrade: Option<Span>,
}

/// The options of the Connection field that concern a server (RFC 9110 section 7.6.1).
#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Meaning {
    /// Takes note of one field of the head `bytes`.
    pub(super) fn note(&mut self, name: &str, value: &[u8], bytes: &[u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => self.note_host(value, bytes)?,
            6 if is("expect") => self.expects_continue |= has_member(value, b"100-continue"),
            7 if is("upgrade") => self.upgrade = self.upgrade.or(Some(Span::locate(value, bytes))),
            10 if is("connection") => self.connection.note(value),
            14 if is("content-length") => self.note_content_length(value)?,
            17 if is("transfer-encoding") => self.note_transfer_encoding(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The host and port of the request: of the target, if that names them, else of the Host field
    /// (RFC 9112 sections 3.2 and 3.2.2).
    pub(super) fn host(
        &self,
        target: Option<(Span, Option<Span>)>,
        version: Version,
    ) -> Result<(Span, Option<Span>), Refusal> {
        if self.host.is_none() && version == Version::Http11 {
            return Err(Refusal::MissingHost);
        }
        Ok(target.or(self.host.flatten()).unwrap_or_default())
    }

    /// RFC 9112 section 6.3, and of its choices the strict ones.
    pub(super) fn body_length(&self, version: Version) -> Result<BodyLength, Refusal> {
        match (self.transfer_encoding, self.content_length) {
            (None, None) => Ok(BodyLength::None),
            (None, Some(length)) => Ok(BodyLength::Sized(length)),
            (Some(_), Some(_)) => Err(Refusal::LengthAndEncoding),
            (Some(_), None) if version == Version::Http10 => Err(Refusal::TransferEncodingVersion),
            (Some(coding), None) => coding.map(|()| BodyLength::Chunked),
        }
    }

    /// RFC 9112 section 9.3.
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.connection.close && (version == Version::Http11 || self.connection.keep_alive)
    }

    /// RFC 9110 section 10.1.1: the expectation of an HTTP/1.0 client is ignored.
    pub(super) fn expects_continue(&self, version: Version) -> bool {
        self.expects_continue && version == Version::Http11
    }

    /// RFC 9110 section 7.8: ignored in HTTP/1.0, and without the connection option.
    pub(super) fn upgrade(&self, version: Version) -> Option<Span> {
        self.upgrade.filter(|_| self.connection.upgrade && version == Version::Http11)
    }

    fn note_host(&mut self, value: &[u8], bytes: &[u8]) -> Result<(), Refusal> {
        if self.host.is_some() {
            return Err(Refusal::RepeatedHost);
        }
        // An empty field is what a client sends whose target has no authority (RFC 9110 section 7.2).
        self.host = Some(None);
        if !value.is_empty() {
            let Authority { host, port } = Authority::parse(value)?;
            self.host = Some(Some((Span::locate(host, bytes), port.map(|port| Span::locate(port, bytes)))));
        }
        Ok(())
    }

    fn note_content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.content_length.is_some() {
            return Err(Refusal::RepeatedContentLength);
        }
        self.content_length = Some(parse_decimal(value).ok_or(Refusal::ContentLength)?);
        Ok(())
    }

    fn note_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.transfer_encoding.is_some() {
            return Err(Refusal::TransferEncoding);
        }
        self.transfer_encoding = Some(check_codings(value));
        Ok(())
    }
}

impl Connection {
    fn note(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }
}

/// `chunked` alone is understood. Codings before a final `chunked` are unknown ones, and anything else leaves the end of
/// the body open (RFC 9112 sections 6.1 and 6.3).
fn check_codings(value: &[u8]) -> Result<(), Refusal> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(());
    }
    let mut codings = value.rsplit(|byte| *byte == b',').map(trim);
    let ends_with_chunked = codings.next().is_some_and(is_chunked);
    if ends_with_chunked && codings.all(|coding| is_token(coding) && !is_chunked(coding)) {
        Err(Refusal::UnknownCoding)
    } else {
        Err(Refusal::TransferEncoding)
    }
}

fn has_member(value: &[u8], member: &[u8]) -> bool {
    list(value).any(|other| other.eq_ignore_ascii_case(member))
}
