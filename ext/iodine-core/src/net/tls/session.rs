//! TLS on one socket: ciphertext on one side, plaintext on the other.

use std::io::{self, IoSlice, Read, Write};
use std::time::Duration;

use rustls::Connection;

use super::beginning::{Beginning, Noted};
use super::error::Failure;
use super::identity::Identity;
use crate::net::socket::Socket;

/// Reads from the socket in one call, 4 KiB each: a peer whose records carry nothing does not keep the reactor.
const MOST_READS: usize = 64;

/// A socket, and what encrypts on it.
///
/// It keeps to the rules of an edge-triggered socket. [`read`](Self::read) fills the buffer, unless the socket is empty
/// and no plaintext is left in here, or [`has_more`](Self::has_more) says otherwise. [`write`](Self::write_vectored)
/// takes nothing while ciphertext waits for the socket, and else 64 KiB at most: what waits for a slow peer waits with
/// its owner.
pub(crate) struct Session {
    socket: Socket,
    tls: Connection,
    stage: Stage,
    /// How long the handshake may take.
    timeout: Duration,
    /// The first bytes that came.
    beginning: Beginning,
    has_more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Open,
    /// The peer has begun with something else than TLS: bytes go as they are.
    Plain,
    /// Our side is closed, or has failed: what comes is not decrypted any more, for it will be thrown away.
    Over,
}

impl Session {
    pub(super) fn new(socket: Socket, tls: Connection, timeout: Duration) -> Self {
        Self { socket, tls, stage: Stage::Handshake, timeout, beginning: Beginning::default(), has_more: false }
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Whether application data has to wait.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.stage == Stage::Handshake
    }

    /// How long that may take.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the peer did not speak TLS from its first byte on. What is written now is not encrypted.
    pub(crate) fn is_plain(&self) -> bool {
        self.stage == Stage::Plain
    }

    /// Whether nothing is encrypted or decrypted any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// What the peers have agreed on by ALPN.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// Who the peer is, when it has shown a certificate.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.tls.peer_certificates()?.first().map(Identity::of)
    }

    /// Whether a read that did not fill its buffer has left something.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Reads plaintext. Zero: the peer has ended its side, with or without saying so by close_notify; the protocols
    /// above know by themselves whether something is missing.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is empty, `Interrupted` when it has given enough for one call and nothing to show,
    /// `InvalidData` when the peer does not keep to TLS; others as the socket's.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.stage, Stage::Plain | Stage::Over) {
            return self.socket.read(buffer);
        }
        self.has_more = false;
        let mut filled = 0;
        for _ in 0..MOST_READS {
            filled += self.take_plaintext(&mut buffer[filled..])?;
            if filled == buffer.len() || self.has_more {
                return Ok(filled);
            }
            match self.receive() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
        self.has_more = true;
        if filled > 0 { Ok(filled) } else { Err(io::ErrorKind::Interrupted.into()) }
    }

    /// Encrypts and writes. Says how much plaintext it took.
    ///
    /// # Errors
    /// `WouldBlock` when nothing was taken; others as the socket's.
    pub(crate) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.stage {
            Stage::Plain => return self.socket.write_vectored(slices),
            Stage::Over => return Err(io::ErrorKind::BrokenPipe.into()),
            Stage::Handshake | Stage::Open => self.flush()?,
        }
        if self.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.tls.writer().write_vectored(slices)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Whether ciphertext waits to be written.
    pub(crate) fn wants_write(&self) -> bool {
        matches!(self.stage, Stage::Handshake | Stage::Open) && self.tls.wants_write()
    }

    /// Writes ciphertext that waits.
    ///
    /// # Errors
    /// `WouldBlock` when the socket did not take all of it; others as the socket's.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says by close_notify that nothing more will be written (RFC 8446, 6.1), if the socket takes it.
    pub(crate) fn notify_close(&mut self) {
        if self.stage == Stage::Open {
            self.tls.send_close_notify();
            // A peer that does not read will find out by the end of the connection.
            let _ = self.flush();
        }
        if !self.is_plain() {
            self.stage = Stage::Over;
        }
    }

    /// Plaintext that is there, as much as fits. Notes the end behind it.
    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.tls.reader().read(&mut buffer[filled..]) {
                Ok(0) => {
                    self.has_more = true;
                    break;
                }
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    log::debug!("a peer closed its connection without close_notify");
                    self.has_more = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Takes in what the socket has, some KiB at most.
    fn receive(&mut self) -> io::Result<()> {
        self.tls.read_tls(&mut Noted { socket: &mut self.socket, beginning: &mut self.beginning })?;
        match self.tls.process_new_packets() {
            Ok(_) => {
                if self.stage == Stage::Handshake && !self.tls.is_handshaking() {
                    self.stage = Stage::Open;
                }
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// The peer does not keep to TLS: it is told by an alert, once, if the socket takes it.
    fn fail(&mut self, error: rustls::Error) -> io::Error {
        let begins = matches!(self.tls, Connection::Server(_)) && self.is_handshaking();
        self.stage = Stage::Over;
        if begins && self.beginning.is_request() {
            self.stage = Stage::Plain;
        } else if let Some(alert) = self.beginning.too_old().filter(|_| begins) {
            let _ = self.socket.write(&alert);
        } else {
            let _ = self.tls.write_tls(&mut self.socket);
        }
        io::Error::new(io::ErrorKind::InvalidData, Failure(error))
    }
}
