//! A descriptor that the application gives away.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};

/// A socket, a pipe, a terminal: what can be waited for.
#[derive(Debug)]
pub struct Descriptor(OwnedFd);

impl Descriptor {
    /// Tries whether it can be polled, without a change to it.
    ///
    /// # Errors
    /// For files, folders and devices like `/dev/null`, which are always ready.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&descriptor.as_raw_fd()), Token(0), Interest::READABLE)?;
        Ok(Self(descriptor))
    }

    pub(crate) fn into_inner(self) -> OwnedFd {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_can_be_waited_for() {
        let (socket, _other) = UnixStream::pair().unwrap();
        let (pipe, _writer) = io::pipe().unwrap();
        assert!(Descriptor::new(socket.into()).is_ok());
        assert!(Descriptor::new(pipe.into()).is_ok());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_always_ready() {
        for path in ["/", "/dev/null", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let refused = Descriptor::new(File::open(path).unwrap().into()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
    }
}
