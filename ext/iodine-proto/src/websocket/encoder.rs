//! What one end sends: messages for one peer, and publications for many.

use bytes::Bytes;

use super::frame::{encode_compressed, encode_message};
use super::{Deflate, Deflater, Kind, MaskKey, Window, WindowBits};

/// Encodes the messages of one connection, compressed as far as the peers agreed to it.
///
/// It takes 16 bytes, and no memory elsewhere unless the connection keeps its context between messages; then it has a
/// [`Deflater`] of its own from the first message that is compressed.
pub struct Encoder {
    window: Option<Window>,
    min_size: u32,
    /// The context that the peer has too. Invariant: `None` unless the window is taken over.
    own: Option<Box<Deflater>>,
}

/// A message for many connections of a server, framed once, and compressed at most once for each size of the window.
pub struct Publication {
    kind: Kind,
    plain: Bytes,
    /// Where the payload begins in the plain frame.
    payload: usize,
    /// By window: the compressed frame, or none if that is not smaller.
    compressed: Vec<(WindowBits, Option<Bytes>)>,
}

impl Encoder {
    /// An encoder for what the handshake agreed to.
    pub fn new(deflate: Option<Deflate>) -> Self {
        Encoder {
            window: deflate.map(|deflate| deflate.outgoing),
            min_size: deflate.map_or(0, |deflate| deflate.min_size),
            own: None,
        }
    }

    /// Appends a message as one frame. A text is taken to be UTF-8; `mask` is as for [`encode_message`].
    ///
    /// It is compressed if the peers agreed to that, and if it has at least the [`min_size`](Deflate::min_size). The peer must
    /// get the messages in the order in which they were encoded.
    pub fn message(
        &mut self,
        kind: Kind,
        payload: &[u8],
        mask: Option<MaskKey>,
        shared: &mut Deflater,
        out: &mut Vec<u8>,
    ) {
        let is_written = match self.window.filter(|_| self.takes(payload.len())) {
            Some(Window { bits, takeover: true }) => {
                let own = self.own.get_or_insert_with(|| Box::new(shared.with_bits(bits)));
                encode_compressed(kind, mask, out, |out| own.compress(payload, out));
                true
            }
            Some(window) => shared.fits(window, payload.len()) && compress_alone(kind, payload, mask, shared, out),
            None => false,
        };
        if !is_written {
            encode_message(kind, payload, mask, out);
        }
    }

    /// The frame of a publication for this connection of a server. The frame is shared, not copied.
    pub fn publication(&mut self, publication: &mut Publication, shared: &mut Deflater) -> Bytes {
        let length = publication.payload().len();
        let compresses = self.window.is_some_and(|window| self.takes(length) && shared.fits(window, length));
        if !compresses {
            return publication.plain.clone();
        }
        let Some(frame) = publication.compressed(shared) else {
            return publication.plain.clone();
        };
        // The peer's context has this message now, and that of this end has not.
        if let Some(own) = &mut self.own {
            own.forget();
        }
        frame
    }

    /// Whether a message of that many bytes is worth compressing.
    fn takes(&self, length: usize) -> bool {
        length >= self.min_size as usize
    }
}

impl Publication {
    /// A message for many. A text is taken to be UTF-8.
    pub fn new(kind: Kind, payload: &[u8]) -> Self {
        let mut plain = Vec::new();
        encode_message(kind, payload, None, &mut plain);
        let start = plain.len() - payload.len();
        Publication { kind, plain: plain.into(), payload: start, compressed: Vec::new() }
    }

    /// The frame that is not compressed. Shared, not copied.
    pub fn plain(&self) -> Bytes {
        self.plain.clone()
    }

    /// What the message consists of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without its frame.
    pub fn payload(&self) -> &[u8] {
        &self.plain[self.payload..]
    }

    /// The compressed frame, if that is smaller.
    fn compressed(&mut self, shared: &mut Deflater) -> Option<Bytes> {
        let bits = shared.bits();
        if let Some((_, frame)) = self.compressed.iter().find(|(window, _)| *window == bits) {
            return frame.clone();
        }
        let mut out = Vec::new();
        let is_smaller = compress_alone(self.kind, self.payload(), None, shared, &mut out);
        let frame = is_smaller.then(|| Bytes::from(out));
        self.compressed.push((bits, frame.clone()));
        frame
    }
}

/// Appends a message compressed without context. If that makes it no smaller, writes nothing and tells so by `false`.
fn compress_alone(kind: Kind, payload: &[u8], mask: Option<MaskKey>, shared: &mut Deflater, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    shared.forget();
    encode_compressed(kind, mask, out, |out| shared.compress(payload, out));
    let is_smaller = out.len() - start < payload.len();
    if !is_smaller {
        out.truncate(start);
    }
    is_smaller
}
