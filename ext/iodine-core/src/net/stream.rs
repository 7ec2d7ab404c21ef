//! A connected stream of bytes, whatever carries it.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::OwnedFd;

use mio::{Registry, Token};

use super::socket::Socket;

/// What a connection reads from and writes to. Never blocks.
pub(crate) enum Stream {
    Plain(Socket),
}

impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
        }
    }

    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
        }
    }

    /// Tells the peer that nothing more will be written.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.socket().shutdown_write()
    }

    /// Watches for both directions, edge-triggered: set once, never changed.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.register(registry, token),
        }
    }

    /// A second descriptor of the socket, which is no longer watched under the first.
    pub(crate) fn release(&mut self, registry: &Registry) -> io::Result<OwnedFd> {
        match self {
            Self::Plain(socket) => socket.release(registry),
        }
    }

    /// The socket itself, below whatever encrypts.
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
        }
    }
}

impl<S: Into<Socket>> From<S> for Stream {
    fn from(socket: S) -> Self {
        Self::Plain(socket.into())
    }
}
