//! Why what a peer sent ends the connection.

use core::fmt;

use super::CloseCode;

/// Why what a peer sent ends the connection: send a close frame with [`close_code`](Error::close_code), and close without
/// reading on (RFC 6455 section 7.1.7).
///
/// `Display` says what was wrong, for the log and as the reason of the close frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// RSV2 or RSV3 is set, or RSV1 where it has no meaning: without permessage-deflate, on a continuation, or on a
    /// control frame (RFC 6455 section 5.2, RFC 7692 section 6.1).
    ReservedBits,
    /// An opcode without meaning (RFC 6455 section 5.2).
    Opcode,
    /// A frame of a client without masking (RFC 6455 section 5.1).
    Unmasked,
    /// A frame of a server with masking (RFC 6455 section 5.1).
    Masked,
    /// A payload length in more bytes than it needs, or of more than 63 bits (RFC 6455 section 5.2).
    Length,
    /// A control frame that is not the last of its message (RFC 6455 section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (RFC 6455 section 5.5).
    LongControl,
    /// A continuation of no message (RFC 6455 section 5.4).
    StrayContinuation,
    /// A new message within a fragmented one (RFC 6455 section 5.4).
    Interleaved,
    /// A close frame with a payload of one byte (RFC 6455 section 5.5.1).
    CloseLength,
    /// A close frame with a code that must not be sent (RFC 6455 section 7.4).
    CloseCode,
    /// A text or a close reason that is not UTF-8 (RFC 6455 section 8.1).
    Utf8,
    /// Data that cannot be inflated (RFC 7692 section 7.2.2).
    Deflate,
    /// A message larger than the reader takes.
    TooBig,
}

impl Error {
    /// The code to close with: 1002, 1007 or 1009 (RFC 6455 section 7.4.1).
    pub fn close_code(self) -> CloseCode {
        match self {
            Error::Utf8 | Error::Deflate => CloseCode::INVALID_DATA,
            Error::TooBig => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::ReservedBits => "reserved bits are set",
            Error::Opcode => "unknown opcode",
            Error::Unmasked => "a client's frame is not masked",
            Error::Masked => "a server's frame is masked",
            Error::Length => "malformed payload length",
            Error::FragmentedControl => "fragmented control frame",
            Error::LongControl => "control frame of more than 125 bytes",
            Error::StrayContinuation => "continuation of no message",
            Error::Interleaved => "new message within a fragmented one",
            Error::CloseLength => "close frame of one byte",
            Error::CloseCode => "close code that must not be sent",
            Error::Utf8 => "text is not UTF-8",
            Error::Deflate => "compressed data is corrupt",
            Error::TooBig => "message too big",
        })
    }
}

impl std::error::Error for Error {}
