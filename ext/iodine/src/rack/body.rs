//! Writing a response body as it is produced: framing, and back-pressure from the peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use iodine_core::handle;
use iodine_proto::http1::{CHUNK_END, LAST_CHUNK, chunk_head, chunk_len};
use magnus::{Error, RString, Ruby};

use crate::gvl;
use crate::roots::{SHARED_FROM, shared_bytes};

/// Where the end of a produced body is known from.
pub(super) enum Produced {
    Chunked,
    /// The application gave a content-length; so many bytes are left of it.
    Counted(u64),
    /// The application framed the bytes itself, or the body ends with the connection.
    Plain,
}

/// The writing end of one response's body.
pub(super) struct Writer {
    stream: Arc<handle::Stream>,
    produced: Produced,
    written: u64,
    excess: bool,
}

impl Writer {
    pub(super) fn new(stream: handle::Stream, produced: Produced) -> Self {
        Self { stream: Arc::new(stream), produced, written: 0, excess: false }
    }

    /// Queues a chunk. Never waits: see [`wait_for_room`]. False: the peer is gone.
    pub(super) fn write(&mut self, chunk: RString) -> bool {
        let length = self.admitted(chunk.len());
        if length == 0 {
            return !self.stream.is_closed();
        }
        self.written += length as u64;
        let chunked = matches!(self.produced, Produced::Chunked);
        if length >= SHARED_FROM {
            let mut line = Vec::new();
            if chunked {
                chunk_head(length, &mut line);
            }
            let content = shared_bytes(chunk).slice(..length);
            let end = if chunked { Bytes::from_static(CHUNK_END) } else { Bytes::new() };
            return [line.into(), content, end].into_iter().all(|bytes| self.stream.write(bytes));
        }
        // As large as needed and no larger: what is exactly full becomes `Bytes` without another allocation.
        let mut bytes = Vec::with_capacity(if chunked { chunk_len(length) } else { length });
        if chunked {
            chunk_head(length, &mut bytes);
        }
        // SAFETY: no Ruby code runs while the content is copied.
        bytes.extend_from_slice(&unsafe { chunk.as_slice() }[..length]);
        if chunked {
            bytes.extend_from_slice(CHUNK_END);
        }
        self.stream.write(bytes)
    }

    /// What ends the body. `None`: it is not what the head has announced, and the connection has to be closed.
    pub(super) fn end(&self) -> Option<&'static [u8]> {
        match self.produced {
            Produced::Chunked => Some(LAST_CHUNK),
            Produced::Counted(0) | Produced::Plain => Some(b""),
            Produced::Counted(missing) => {
                log::error!("a response body is {missing} bytes shorter than its content-length");
                None
            }
        }
    }

    /// Bytes of the body so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// To be waited on without the writer.
    pub(super) fn stream(&self) -> &Arc<handle::Stream> {
        &self.stream
    }

    /// How much of a chunk may be sent: bytes beyond the content-length would be taken for the next response.
    fn admitted(&mut self, length: usize) -> usize {
        let Produced::Counted(left) = &mut self.produced else { return length };
        let admitted = usize::try_from(*left).unwrap_or(usize::MAX).min(length);
        *left -= admitted as u64;
        if admitted < length && !self.excess {
            self.excess = true;
            log::error!("a response body is longer than its content-length: the rest was not sent");
        }
        admitted
    }
}

/// Lets the peer catch up, without the lock. False: the peer is gone.
///
/// # Errors
/// When Ruby interrupts the thread.
pub(super) fn wait_for_room(ruby: &Ruby, stream: &handle::Stream) -> Result<bool, Error> {
    while stream.is_full() {
        let interrupted = AtomicBool::new(false);
        let unblock = || {
            interrupted.store(true, Ordering::SeqCst);
            stream.interrupt();
        };
        gvl::without(ruby, || stream.wait(|| interrupted.load(Ordering::SeqCst)), unblock);
        gvl::check_interrupts(ruby)?;
    }
    Ok(!stream.is_closed())
}
