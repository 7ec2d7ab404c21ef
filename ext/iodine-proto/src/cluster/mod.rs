//! What the processes of a cluster tell each other, as bytes of a stream between two of them.
//!
//! A [`Packet`] is one thing told. [`Frames`] cuts packets into frames, so that a large one does not hold up small ones,
//! and a [`FrameReader`] puts them together again. Both ends are this program in the same version, so there is no
//! negotiation; but nothing that comes makes the reader panic, or use memory without a bound.
//!
//! ```
//! use iodine_proto::cluster::{FrameReader, Frames, Packet};
//!
//! let packet = Packet::Reply { call: 7, body: "done".into() };
//! let mut frames = Frames::default();
//! frames.push(b"", packet.encode());
//! let mut wire = Vec::new();
//! frames.write(usize::MAX, |bytes| wire.extend_from_slice(&bytes));
//!
//! let mut reader = FrameReader::default();
//! let mut input = &wire[..];
//! let bytes = reader.read(&mut input)?.expect("all of it is there");
//! assert_eq!(Packet::decode(&bytes)?, packet);
//! # Ok::<(), iodine_proto::cluster::Error>(())
//! ```

mod error;
mod frames;
mod packet;
mod reader;

pub use error::Error;
pub use frames::Frames;
pub use packet::{Filter, MAX_CHANNEL, MAX_MESSAGE, Packet, Publication, Reach};
pub use reader::FrameReader;

/// Payload of a frame, at most: so much of a large packet goes out before small ones have their turn.
const CHUNK: usize = 64 << 10;

/// A frame begins with the number of its stream (two bytes), its flags (two bytes) and the length of its payload (four
/// bytes), in network byte order.
const HEADER: usize = 8;

/// The flag of the last frame of a packet.
const LAST: u16 = 1;
