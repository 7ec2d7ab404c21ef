//! Why a request is refused.

use core::fmt;

/// Why a request is refused. Whatever the cause, the rest of the connection's bytes cannot be trusted: answer with
/// [`status`](Refusal::status) and close.
///
/// `Display` says what was wrong, for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// More empty lines before the request line than a careless client sends (RFC 9112 section 2.2).
    EmptyLines,
    /// The method is not a token (RFC 9110 section 9.1).
    Method,
    /// CONNECT: this server is no proxy (RFC 9110 section 9.3.6).
    Connect,
    /// The request target has none of the allowed forms, or a form its method may not use (RFC 9112 section 3.2).
    Target,
    /// The last part of the request line is not an HTTP version, or is followed by something (RFC 9112 section 2.3).
    RequestLine,
    /// A version other than 1.0 and 1.1, the HTTP/2 preface included.
    Version,
    /// The request line is longer than [`HeadLimits::line`](super::HeadLimits::line).
    RequestLineTooLong,
    /// A CR without LF, or a LF without CR (RFC 9112 section 2.2).
    LineEnd,
    /// NUL or another control character in a field line (RFC 9110 section 5.5).
    Control,
    /// A field line continued on the next line (RFC 9112 section 5.2).
    Folding,
    /// A field line without a colon, with an empty name, a name that is no token, or blanks before the colon
    /// (RFC 9112 section 5.1).
    FieldName,
    /// A field line longer than [`HeadLimits::line`](super::HeadLimits::line).
    FieldTooLong,
    /// More field lines than [`HeadLimits::fields`](super::HeadLimits::fields).
    TooManyFields,
    /// A head larger than [`HeadLimits::block`](super::HeadLimits::block).
    HeadTooLarge,
    /// HTTP/1.1 without a Host field (RFC 9112 section 3.2).
    MissingHost,
    /// More than one Host field (RFC 9112 section 3.2).
    RepeatedHost,
    /// The Host field, or the authority of an absolute target, is not `host [":" port]` (RFC 9110 section 7.2).
    Host,
    /// Content-Length is not a number below 2^64 (RFC 9110 section 8.6).
    ContentLength,
    /// More than one Content-Length field, equal or not (RFC 9112 section 6.3).
    RepeatedContentLength,
    /// Transfer-Encoding is anything but `chunked` once (RFC 9112 section 6.1).
    TransferEncoding,
    /// Transfer-Encoding in an HTTP/1.0 request, whose framing is then unsure (RFC 9112 section 6.1).
    TransferEncodingVersion,
    /// Both Content-Length and Transfer-Encoding: an attempt at request smuggling (RFC 9112 section 6.3).
    LengthAndEncoding,
    /// A transfer coding other than `chunked` (RFC 9112 section 6.1).
    UnknownCoding,
    /// The size of a chunk is not a hexadecimal number below 2^64 (RFC 9112 section 7.1).
    ChunkSize,
    /// A control character in a chunk extension, or more bytes of extensions than a body may carry
    /// (RFC 9112 section 7.1.1).
    ChunkExtension,
    /// The data of a chunk is not followed by CRLF (RFC 9112 section 7.1).
    ChunkEnd,
    /// A trailer line that is no field line (RFC 9112 section 7.1.2).
    Trailer,
    /// More trailer lines or bytes than a body may carry.
    TrailersTooLarge,
    /// The body is larger than the server takes.
    BodyTooLarge,
}

impl Refusal {
    /// The status to answer with: 400, 413, 414, 431, 501 or 505.
    pub fn status(self) -> u16 {
        match self {
            Refusal::BodyTooLarge => 413,
            Refusal::RequestLineTooLong => 414,
            Refusal::FieldTooLong | Refusal::TooManyFields | Refusal::HeadTooLarge | Refusal::TrailersTooLarge => 431,
            Refusal::Connect | Refusal::UnknownCoding => 501,
            Refusal::Version => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::EmptyLines => "too many empty lines before the request line",
            Refusal::Method => "the method is not a token",
            Refusal::Connect => "CONNECT is not supported: this server is no proxy",
            Refusal::Target => "malformed request target",
            Refusal::RequestLine => "malformed request line",
            Refusal::Version => "HTTP version other than 1.0 and 1.1",
            Refusal::RequestLineTooLong => "request line too long",
            Refusal::LineEnd => "line end other than CR LF",
            Refusal::Control => "control character in a field line",
            Refusal::Folding => "folded field line",
            Refusal::FieldName => "malformed field name",
            Refusal::FieldTooLong => "field line too long",
            Refusal::TooManyFields => "too many field lines",
            Refusal::HeadTooLarge => "request head too large",
            Refusal::MissingHost => "no Host field",
            Refusal::RepeatedHost => "more than one Host field",
            Refusal::Host => "malformed host",
            Refusal::ContentLength => "Content-Length is not a number",
            Refusal::RepeatedContentLength => "more than one Content-Length field",
            Refusal::TransferEncoding => "malformed Transfer-Encoding",
            Refusal::TransferEncodingVersion => "Transfer-Encoding in an HTTP/1.0 request",
            Refusal::LengthAndEncoding => "both Content-Length and Transfer-Encoding",
            Refusal::UnknownCoding => "transfer coding other than chunked",
            Refusal::ChunkSize => "malformed chunk size",
            Refusal::ChunkExtension => "malformed or oversized chunk extension",
            Refusal::ChunkEnd => "chunk data not followed by CR LF",
            Refusal::Trailer => "malformed trailer line",
            Refusal::TrailersTooLarge => "trailer section too large",
            Refusal::BodyTooLarge => "request body too large",
        })
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_byte() {
        assert_eq!(size_of::<Refusal>(), 1);
        assert_eq!(size_of::<Option<Refusal>>(), 1);
    }
}
