//! File bytes on their way to a socket.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::stream::Stream;

/// Most bytes of a file handed to the kernel at once, so that one connection does not keep the reactor.
const PORTION: u64 = 1 << 20;

/// A part of an open file that is still to be sent.
pub(crate) struct FilePart {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) remaining: u64,
}

impl FilePart {
    /// Sends a portion. Zero: the file is shorter than announced.
    ///
    /// # Errors
    /// As the socket's write; `WouldBlock` when the peer has to read first.
    #[cfg(target_os = "linux")]
    pub(crate) fn send(&mut self, stream: &mut Stream) -> io::Result<usize> {
        let portion = self.remaining.min(PORTION) as usize;
        let sent = rustix::fs::sendfile(stream.socket(), &*self.file, Some(&mut self.offset), portion)?;
        self.remaining -= sent as u64;
        Ok(sent)
    }

    /// Sends a portion. Zero: the file is shorter than announced.
    ///
    /// # Errors
    /// As the socket's write; `WouldBlock` when the peer has to read first.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn send(&mut self, stream: &mut Stream) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let mut buffer = [0; 16 << 10];
        let portion = self.remaining.min(PORTION).min(buffer.len() as u64) as usize;
        let read = self.file.read_at(&mut buffer[..portion], self.offset)?;
        let sent = if read == 0 { 0 } else { stream.write(&buffer[..read])? };
        self.offset += sent as u64;
        self.remaining -= sent as u64;
        Ok(sent)
    }
}
