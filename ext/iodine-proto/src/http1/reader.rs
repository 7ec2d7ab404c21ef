//! Finds request heads in a stream of bytes.

use super::{Head, Refusal};

/// How large a request head may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the request line or of one field line, without its CRLF. Default 8192.
    pub line: usize,
    /// Field lines. Default 128.
    pub fields: usize,
    /// Bytes of the whole head: request line and fields, with all line ends. Default 32 KiB.
    pub block: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { line: 8192, fields: 128, block: 32 * 1024 }
    }
}

/// Finds the end of a head across packets, and fills a [`Head`].
pub struct HeadReader {
    limits: HeadLimits,
    scanned: usize,
}

impl HeadReader {
    /// A reader at the start of a message.
    pub fn new(limits: HeadLimits) -> Self {
        HeadReader { limits, scanned: 0 }
    }

    /// `input`: all bytes of this message so far. Some(consumed) when `head` is filled.
    pub fn read(&mut self, input: &[u8], head: &mut Head) -> Result<Option<usize>, Refusal> {
        head.clear();
        self.scanned = input.len();
        if input.len() > self.limits.block { Err(Refusal::HeadTooLarge) } else { Ok(None) }
    }

    /// Whether nothing of a next message was seen.
    pub fn is_idle(&self) -> bool {
        self.scanned == 0
    }
}
