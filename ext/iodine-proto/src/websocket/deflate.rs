//! Compressing messages (RFC 7692 section 7.2.1).

use flate2::{Compress, Compression, FlushCompress, Status};

use super::DeflateSettings;
use super::inflate::TAIL;
use super::{Window, WindowBits};

/// A compressor for the messages of any number of connections of one thread, each compressed without context.
///
/// It takes no memory before its first message, and 245 KiB (window of 9 bits) to 371 KiB (15 bits) from then on. Making a
/// new one for a message would take longer than compressing it does.
pub struct Deflater {
    stream: Option<Compress>,
    level: Compression,
    bits: WindowBits,
    /// Whether the stream has a context that the next message must not refer to.
    is_stale: bool,
}

impl Deflater {
    /// A compressor of these settings' level and outgoing window.
    pub fn new(settings: &DeflateSettings) -> Self {
        Deflater {
            stream: None,
            level: Compression::new(settings.level.clamp(1, 9).into()),
            bits: settings.outgoing.bits,
            is_stale: false,
        }
    }

    /// The window of what it compresses.
    pub(super) fn bits(&self) -> WindowBits {
        self.bits
    }

    /// A compressor of the same settings for a smaller window.
    pub(super) fn with_bits(&self, bits: WindowBits) -> Self {
        Deflater { stream: None, bits, ..*self }
    }

    /// Whether a receiver with that window can inflate a message of that many bytes which was compressed without context.
    pub(super) fn fits(&self, window: Window, length: usize) -> bool {
        self.bits.usable() <= window.bits.get() || length <= 1 << window.bits.get()
    }

    /// Makes the next message one without context.
    pub(super) fn forget(&mut self) {
        self.is_stale = true;
    }

    /// Appends the compressed payload of a message, which may refer to the messages since [`forget`](Deflater::forget).
    pub(super) fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let (level, bits) = (self.level, self.bits.usable());
        let stream = self.stream.get_or_insert_with(|| Compress::new_with_window_bits(level, false, bits));
        if self.is_stale {
            stream.reset();
            self.is_stale = false;
        }
        let start = out.len();
        flush(stream, payload, out);
        if out[start..].ends_with(TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        if out.len() == start {
            // An empty message after an empty one: nothing to flush (RFC 7692 section 7.2.3.6).
            out.push(0);
        }
    }
}

/// Compresses all of the payload, up to and with the empty block that ends a flush.
fn flush(stream: &mut Compress, mut payload: &[u8], out: &mut Vec<u8>) {
    loop {
        // Room for the marks of a flush, lest they be written twice.
        out.reserve((payload.len() / 2).max(64));
        let before = stream.total_in();
        let status = stream.compress_vec(payload, out, FlushCompress::Sync).expect("no stream is ever finished");
        payload = &payload[(stream.total_in() - before) as usize..];
        let is_flushed = status == Status::BufError || out.len() < out.capacity();
        if payload.is_empty() && is_flushed {
            return;
        }
    }
}
