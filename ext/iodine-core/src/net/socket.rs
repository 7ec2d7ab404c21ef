//! A connected socket of any kind, or what else bytes go through.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::descriptor::Descriptor;

/// A non-blocking socket for bytes as they are on the wire.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// What the application has attached: a socket, a pipe, a terminal.
    Other(OwnedFd),
}

impl Socket {
    /// What the application gives away.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub(crate) fn attach(descriptor: Descriptor) -> io::Result<Self> {
        let descriptor = descriptor.into_inner();
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self::Other(descriptor))
    }

    /// Whether the connection stands.
    ///
    /// # Errors
    /// Why it does not, and will not.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let (error, peer) = match self {
            Self::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Self::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Self::Other(_) => (None, Ok(())),
        };
        match (error, peer) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(true),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            (None, Err(error)) => Err(error),
        }
    }

    /// Tells the peer that nothing more will be written.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Other(descriptor) => Ok(rustix::net::shutdown(descriptor, rustix::net::Shutdown::Write)?),
        }
    }

    /// Watches for both directions, edge-triggered: set once, never changed.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interest),
            Self::Unix(stream) => stream.register(registry, token, interest),
            Self::Other(descriptor) => SourceFd(&descriptor.as_raw_fd()).register(registry, token, interest),
        }
    }

    /// Watches no longer.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
            Self::Other(descriptor) => SourceFd(&descriptor.as_raw_fd()).deregister(registry),
        }
    }

    /// A second descriptor of the socket, which is no longer watched under the first.
    pub(crate) fn release(&mut self, registry: &Registry) -> io::Result<OwnedFd> {
        self.deregister(registry)?;
        self.as_fd().try_clone_to_owned()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Other(descriptor) => Ok(rustix::io::read(descriptor, buffer)?),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Other(descriptor) => Ok(rustix::io::write(descriptor, bytes)?),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
            Self::Other(descriptor) => Ok(rustix::io::writev(descriptor, slices)?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Other(descriptor) => descriptor.as_fd(),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}
