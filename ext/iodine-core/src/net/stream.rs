//! A connected stream of bytes, whatever carries it.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use mio::{Registry, Token};

use super::socket::Socket;
use super::tls::{Identity, Session};

/// What a connection reads from and writes to. Never blocks.
pub(crate) enum Stream {
    Plain(Socket),
    /// Boxed, because it is large and most connections, behind a proxy, are plain.
    Tls(Box<Session>),
}

impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(session) => session.read(buffer),
        }
    }

    /// Whether a read that did not fill its buffer has left something, so that no event will tell of it.
    pub(crate) fn has_more(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(session) => session.has_more(),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(session) => session.write_vectored(&[IoSlice::new(bytes)]),
        }
    }

    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Tls(session) => session.write_vectored(slices),
        }
    }

    /// Whether the stream itself has something to write, besides what it is given.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(session) => session.wants_write(),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// `WouldBlock` when the socket did not take all of it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(session) => session.flush(),
        }
    }

    /// The number of the socket.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.socket().as_fd().as_raw_fd()
    }

    /// Closes this side of the socket.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.socket().shutdown_write()
    }

    /// Tells the peer that what it has received is complete, where that takes more than closing. Nothing can be written
    /// after it.
    pub(crate) fn notify_close(&mut self) {
        if let Self::Tls(session) = self {
            session.notify_close();
        }
    }

    /// Whether the peers do not understand each other yet, so that nothing can be written.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Tls(session) if session.is_handshaking())
    }

    /// How long that may take. `None`: it is over, or needs nothing.
    pub(crate) fn handshake_timeout(&self) -> Option<Duration> {
        match self {
            Self::Tls(session) if session.is_handshaking() => Some(session.handshake_timeout()),
            _ => None,
        }
    }

    /// Whether the bytes of the socket are not those of the stream.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether nothing can be written any more, because the peer did not keep to the rules or was told of the end.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self, Self::Tls(session) if session.is_over() || session.is_plain())
    }

    /// Whether the peer was expected to speak TLS and does not.
    pub(crate) fn is_unexpectedly_plain(&self) -> bool {
        matches!(self, Self::Tls(session) if session.is_plain())
    }

    /// What the peers have agreed on by ALPN (RFC 7301).
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(session) => session.alpn(),
        }
    }

    /// Who the peer is, when it has shown a certificate.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(session) => session.identity(),
        }
    }

    /// Watches for both directions, edge-triggered: set once, never changed.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket_mut().register(registry, token)
    }

    /// A second descriptor of the socket, which is no longer watched under the first.
    pub(crate) fn release(&mut self, registry: &Registry) -> io::Result<OwnedFd> {
        self.socket_mut().release(registry)
    }

    /// The socket itself, below whatever encrypts.
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(session) => session.socket(),
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(session) => session.socket_mut(),
        }
    }
}

impl<S: Into<Socket>> From<S> for Stream {
    fn from(socket: S) -> Self {
        Self::Plain(socket.into())
    }
}

impl From<Session> for Stream {
    fn from(session: Session) -> Self {
        Self::Tls(Box::new(session))
    }
}
