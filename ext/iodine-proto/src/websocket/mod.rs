//! WebSocket (RFC 6455) with compression of messages (RFC 7692), both ends of it.
//!
//! A server shows the request to [`Handshake::accept`] and sends the answer. From then on a [`Reader`] makes [`Event`]s of
//! what comes, and an [`Encoder`] frames of what goes out; pings, pongs and close frames are functions. A [`Publication`]
//! is framed once for all its receivers. One [`Deflater`] serves all connections of a thread.
//!
//! ```
//! use iodine_proto::http1::{Head, HeadLimits, HeadReader};
//! use iodine_proto::websocket::{
//!     DeflateSettings, Deflater, Encoder, Event, Handshake, Kind, Reader, Role, encode_close, encode_pong,
//! };
//!
//! let settings = DeflateSettings::default();
//! let mut deflater = Deflater::new(&settings);
//! let mut head = Head::default();
//! let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
//!     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
//! HeadReader::new(HeadLimits::default()).read(request, &mut head)?;
//! let handshake = Handshake::accept(&head, Some(&settings))?;
//! // Here `handshake.fields()` go out with status 101.
//!
//! let mut reader = Reader::new(Role::Server, 262_144, handshake.deflate());
//! let mut encoder = Encoder::new(handshake.deflate());
//! let mut out = Vec::new();
//! let mut input = &b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..];
//! loop {
//!     match reader.read(&mut input) {
//!         Ok(None) => break,
//!         Ok(Some(Event::Text(data))) => encoder.message(Kind::Text, &data, None, &mut deflater, &mut out),
//!         Ok(Some(Event::Binary(data))) => encoder.message(Kind::Binary, &data, None, &mut deflater, &mut out),
//!         Ok(Some(Event::Ping(data))) => encode_pong(&data, None, &mut out),
//!         Ok(Some(Event::Pong(_))) => {}
//!         // Unless a close frame was sent before: then the connection ends here.
//!         Ok(Some(Event::Close(close))) => encode_close(close.code, "", None, &mut out),
//!         Err(error) => {
//!             encode_close(error.close_code(), &error.to_string(), None, &mut out);
//!             break;
//!         }
//!     }
//! }
//! assert_eq!(out, b"\x81\x05Hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod close;
mod deflate;
mod encoder;
mod error;
mod extensions;
mod frame;
mod handshake;
mod inflate;
mod mask;
mod message;
mod negotiation;
mod reader;

pub use client::{ClientHandshake, Opened, RequestError, ResponseError};
pub use close::{Close, CloseCode};
pub use deflate::Deflater;
pub use encoder::{Encoder, Publication};
pub use error::Error;
pub use frame::{encode_close, encode_message, encode_ping, encode_pong};
pub use handshake::{Handshake, Refusal, is_upgrade};
pub use mask::MaskKey;
pub use negotiation::{Deflate, DeflateSettings, Window, WindowBits};
pub use reader::{Event, Reader};

/// Which end this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads masked frames and sends frames that are not (RFC 6455 section 5.1).
    Server,
    /// The other way round.
    Client,
}

/// What a message consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    /// Text if the bytes are UTF-8, else binary.
    pub fn of(payload: &[u8]) -> Kind {
        if simdutf8::basic::from_utf8(payload).is_ok() { Kind::Text } else { Kind::Binary }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert_eq!(Kind::of(b""), Kind::Text);
        assert_eq!(Kind::of("€".as_bytes()), Kind::Text);
        assert_eq!(Kind::of(b"\xe2\x82"), Kind::Binary);
    }
}
