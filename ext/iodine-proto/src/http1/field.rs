//! Field lines of responses: what may be written, and lines that are written often.

use core::fmt;

use super::number::parse_decimal;
use super::syntax::{is_value, token_in_lower_case, trim};

/// Why a response field cannot be written: a mistake of the application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldError {
    /// The name is not a token (RFC 9110 section 5.1).
    Name,
    /// The value has a CR, LF, NUL or other control character (RFC 9110 section 5.5).
    Value,
    /// A content-length that is not a number below 2^64, or that contradicts an earlier one.
    ContentLength,
}

/// The name of a field, checked, for who writes it often. What [`ResponseWriter::field`](super::ResponseWriter::field) takes note of is none of these,
/// but for content-length.
pub struct FieldName {
    /// In lower case, with what separates it from the value.
    pub(super) start: Box<[u8]>,
    pub(super) is_content_length: bool,
}

/// A field line, checked, for who writes it often.
pub struct FieldLine {
    pub(super) bytes: Box<[u8]>,
    pub(super) content_length: Option<u64>,
}

impl FieldName {
    /// `None` for what is not a token, and for the names that concern the server.
    pub fn new(name: &[u8]) -> Option<Self> {
        const OTHERS: [&[u8]; 4] = [b"date", b"connection", b"keep-alive", b"transfer-encoding"];
        let mut start = Vec::with_capacity(name.len() + 2);
        push_name(name, &mut start).ok()?;
        if OTHERS.contains(&start.as_slice()) {
            return None;
        }
        let is_content_length = start == b"content-length";
        start.extend_from_slice(b": ");
        Some(FieldName { start: start.into(), is_content_length })
    }
}

impl FieldLine {
    /// The line of this name and value.
    ///
    /// # Errors
    ///
    /// As those of [`ResponseWriter::field`](super::ResponseWriter::field).
    pub fn new(name: &FieldName, value: &[u8]) -> Result<Self, FieldError> {
        if name.is_content_length {
            return Ok(FieldLine { bytes: Box::default(), content_length: Some(length_of(value)?) });
        }
        if !is_value(value) {
            return Err(FieldError::Value);
        }
        Ok(FieldLine { bytes: [&name.start, value, b"\r\n"].concat().into(), content_length: None })
    }
}

pub(super) fn length_of(value: &[u8]) -> Result<u64, FieldError> {
    parse_decimal(trim(value)).ok_or(FieldError::ContentLength)
}

/// Writes the name of a field in lower case, unless it is no token.
pub(super) fn push_name(name: &[u8], out: &mut Vec<u8>) -> Result<(), FieldError> {
    let start = out.len();
    out.extend(name.iter().map(|byte| token_in_lower_case(*byte)));
    if name.is_empty() || out[start..].contains(&0) {
        out.truncate(start);
        return Err(FieldError::Name);
    }
    Ok(())
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
