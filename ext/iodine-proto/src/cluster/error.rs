//! What may be wrong with the bytes of a cluster.

use core::fmt;

/// Bytes that this version does not send: the stream cannot be read any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A frame is larger than frames are.
    FrameLength,
    /// A packet is larger than the largest message.
    PacketLength,
    /// More packets have begun at the same time than are ever sent.
    Streams,
    /// A packet of no known kind, or with fields that do not fit into it.
    Packet,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Error::FrameLength => "a frame is too long",
            Error::PacketLength => "a packet is too long",
            Error::Streams => "too many packets have begun",
            Error::Packet => "a packet is malformed",
        })
    }
}

impl std::error::Error for Error {}
