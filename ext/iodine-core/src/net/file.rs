//! File bytes on their way to a socket.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::stream::Stream;

/// Most bytes of a file handed to the kernel at once, so that one connection does not keep the reactor.
#[cfg(target_os = "linux")]
const PORTION: u64 = 1 << 20;
/// Most bytes of a file read at once when they cannot stay in the kernel: what TLS takes in one write.
const READ: usize = 64 << 10;

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
    pub(crate) fn send(&mut self, stream: &mut Stream) -> io::Result<usize> {
        match stream {
            #[cfg(target_os = "linux")]
            Stream::Plain(socket) => {
                let portion = self.remaining.min(PORTION) as usize;
                let sent = rustix::fs::sendfile(socket, &*self.file, Some(&mut self.offset), portion)?;
                self.remaining -= sent as u64;
                Ok(sent)
            }
            _ => self.copy(stream),
        }
    }

    fn copy(&mut self, stream: &mut Stream) -> io::Result<usize> {
        // Nothing is read for a stream that takes nothing.
        stream.flush()?;
        let mut buffer = [0; READ];
        let portion = self.remaining.min(READ as u64) as usize;
        let read = self.file.read_at(&mut buffer[..portion], self.offset)?;
        let sent = if read == 0 { 0 } else { stream.write(&buffer[..read])? };
        self.offset += sent as u64;
        self.remaining -= sent as u64;
        Ok(sent)
    }
}
