//! Connections that the application asks for, until they stand.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec::IntoIter;

use mio::{Registry, Token};
use slab::Slab;

use crate::client::Client;
use crate::connection::Handshake;
use crate::net::remote::Remote;
use crate::net::socket::Socket;
use crate::net::tls::TlsClient;
use crate::settings::WriteLimits;

/// A connection that is asked for.
pub struct Connect {
    /// Where to; tried in turn until one takes the connection.
    pub remotes: Vec<Remote>,
    /// How long that may take for all of them, and for the TLS handshake with the one that does. Each has its share of
    /// what is left.
    pub timeout: Duration,
    /// Whom the connection is for.
    pub client: Client,
    /// What may wait for the peer.
    pub writes: WriteLimits,
    /// What encrypts.
    pub tls: Option<Encryption>,
    /// How it becomes a WebSocket; none for a raw connection.
    pub handshake: Option<Handshake>,
}

/// TLS with a server.
pub struct Encryption {
    /// How it is encrypted.
    pub client: Arc<TlsClient>,
    /// The name that the certificate of the server has to be for.
    pub name: String,
    /// Names that are offered by ALPN (RFC 7301). The one that the server takes is told by the first event of a raw
    /// connection.
    pub protocols: Vec<Vec<u8>>,
}

/// Those that are under way.
#[derive(Default)]
pub(super) struct Dials(Slab<Dial>);

struct Dial {
    connect: Box<Connect>,
    left: IntoIter<Remote>,
    /// When the last one has had its turn.
    ends_at: Instant,
    attempt: Option<Attempt>,
    /// Why the one before has failed.
    reason: String,
}

struct Attempt {
    remote: Remote,
    /// `None`: a Unix socket takes nobody at the moment, and is to be asked again. TCP waits for that by itself.
    socket: Option<Socket>,
    /// When it is the next one's turn.
    deadline: Instant,
}

/// How it goes on.
pub(super) enum Dialed {
    /// Look at this number again at that time, or when there is an event.
    Wait(usize, Instant),
    /// It stands, and what is left to agree on should be by then. The socket is not watched.
    Connected(Box<Connect>, Socket, Instant),
    /// No place has taken the connection; why not the last one.
    Failed(Box<Connect>, String),
    /// It is over already.
    Nothing,
}

impl Dials {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins to connect.
    pub(super) fn start(&mut self, mut connect: Box<Connect>, now: Instant, registry: &Registry) -> Dialed {
        let left = std::mem::take(&mut connect.remotes).into_iter();
        let ends_at = now + connect.timeout;
        let dial = Dial { connect, left, ends_at, attempt: None, reason: "there is no address".to_owned() };
        let number = self.0.insert(dial);
        self.go_on(number, now, registry)
    }

    /// Looks how far it is.
    pub(super) fn look(&mut self, number: usize, now: Instant, registry: &Registry) -> Dialed {
        let Some(dial) = self.0.get_mut(number) else { return Dialed::Nothing };
        let Some(mut attempt) = dial.attempt.take() else { return Dialed::Nothing };
        match attempt.go_on(number, registry) {
            Ok(Some(socket)) => {
                let Dial { connect, ends_at, .. } = self.0.remove(number);
                return Dialed::Connected(connect, socket, ends_at);
            }
            Ok(None) if now < attempt.deadline => {
                let next_look = attempt.next_look(now);
                dial.attempt = Some(attempt);
                return Dialed::Wait(number, next_look);
            }
            Ok(None) => dial.note(&attempt.remote, &"no answer in time"),
            Err(error) => dial.note(&attempt.remote, &error),
        }
        self.go_on(number, now, registry)
    }

    /// Whom they are for.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.0.iter().map(|(_, dial)| &dial.connect.client)
    }

    /// Ends them all; gives back what was asked for.
    pub(super) fn end(&mut self) -> Vec<Connect> {
        self.0.drain().map(|dial| *dial.connect).collect()
    }

    fn go_on(&mut self, number: usize, now: Instant, registry: &Registry) -> Dialed {
        match self.0[number].try_next(number, now, registry) {
            Some(next_look) => Dialed::Wait(number, next_look),
            None => {
                let dial = self.0.remove(number);
                Dialed::Failed(dial.connect, dial.reason)
            }
        }
    }
}

impl Dial {
    /// Begins to connect to the next place that does not fail at once; when to look at it. `None`: there is none.
    fn try_next(&mut self, number: usize, now: Instant, registry: &Registry) -> Option<Instant> {
        while let Some(remote) = self.left.next() {
            match begin(&remote, number, registry) {
                Ok(socket) => {
                    let share = self.ends_at.saturating_duration_since(now) / (self.left.len() as u32 + 1);
                    let attempt = self.attempt.insert(Attempt { remote, socket, deadline: now + share });
                    return Some(attempt.next_look(now));
                }
                Err(error) => self.note(&remote, &error),
            }
        }
        None
    }

    fn note(&mut self, remote: &Remote, reason: &dyn Display) {
        self.reason = format!("{remote}: {reason}");
        log::debug!("could not connect to {}", self.reason);
    }
}

impl Attempt {
    /// Looks whether the connection stands; gives back its socket then, which is no longer watched.
    fn go_on(&mut self, number: usize, registry: &Registry) -> io::Result<Option<Socket>> {
        let Some(mut socket) = self.socket.take() else {
            self.socket = begin(&self.remote, number, registry)?;
            return Ok(None);
        };
        if !socket.is_connected()? {
            self.socket = Some(socket);
            return Ok(None);
        }
        socket.deregister(registry)?;
        Ok(Some(socket))
    }

    /// When to look at it, if there is no event before.
    fn next_look(&self, now: Instant) -> Instant {
        if self.socket.is_some() { self.deadline } else { self.deadline.min(now + PAUSE) }
    }
}

/// `None`: a Unix socket whose queue of connections is full (`EAGAIN` of connect(2)).
fn begin(remote: &Remote, number: usize, registry: &Registry) -> io::Result<Option<Socket>> {
    let mut socket = match remote.connect() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        connected => connected?,
    };
    socket.register(registry, Token(DIALS + number))?;
    Ok(Some(socket))
}

/// Until a Unix socket that takes nobody is asked again. No event tells when it does.
const PAUSE: Duration = Duration::from_millis(20);

/// Their tokens are those from here on.
pub(super) const DIALS: usize = 1 << (usize::BITS - 1);
