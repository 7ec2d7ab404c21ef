//! A connection that comes back.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use mio::net::{TcpStream, UnixStream};
use mio::{Registry, Token};

use super::Settings;
use super::backoff::Backoff;
use super::session::{Failure, Session};
use super::url::{Encryption, Server};
use crate::net::address::Address;
use crate::net::socket::Socket;
use crate::net::stream::Stream;

/// A session, or the pause until the next one.
pub(super) struct Link<T> {
    token: Token,
    state: State<T>,
    backoff: Backoff,
    /// How many addresses the host has, and how many of them have failed in a row.
    addresses: usize,
    tried: usize,
}

enum State<T> {
    Down { retry: Instant },
    Up(Box<Session<T>>),
}

/// What is left of a session that has failed.
pub(super) struct Failed<T> {
    /// It, unless there was none yet.
    pub(super) session: Option<Box<Session<T>>>,
    /// Whether nothing else can be done at once.
    pub(super) is_final: bool,
}

/// A session that was ready for less than this counts as one more failure.
const LASTING: Duration = Duration::from_secs(2);

impl<T> Link<T> {
    /// A link that connects at once.
    pub(super) fn new(token: Token, now: Instant) -> Self {
        Self { token, state: State::Down { retry: now }, backoff: Backoff::default(), addresses: 1, tried: 0 }
    }

    pub(super) fn session(&mut self) -> Option<&mut Session<T>> {
        match &mut self.state {
            State::Up(session) => Some(session),
            State::Down { .. } => None,
        }
    }

    /// The session, once it is greeted.
    pub(super) fn ready(&mut self) -> Option<&mut Session<T>> {
        self.session().filter(|session| session.is_ready())
    }

    /// Connects, if it is time to. Only the look-up of a name may take a while. The server has `timeout` for its answers.
    ///
    /// # Errors
    /// When that failed at once.
    pub(super) fn connect(
        &mut self,
        server: &Server,
        timeout: Duration,
        registry: &Registry,
        now: Instant,
    ) -> Result<(), Failure> {
        if !matches!(self.state, State::Down { retry } if retry <= now) {
            return Ok(());
        }
        let socket = match &server.address {
            Address::Unix(path) => UnixStream::connect(path).map(Socket::Unix).map_err(Failure::Broken)?,
            Address::Tcp { host, port } => open(self.choose(host.as_deref().unwrap_or_default(), *port)?)?,
        };
        let mut stream = encrypted(socket, server, timeout)?;
        stream.register(registry, self.token).map_err(Failure::Broken)?;
        self.state = State::Up(Box::new(Session::new(stream, server, now)));
        Ok(())
    }

    /// Ends the session. The next address of the host is tried at once, the first one again after a pause.
    pub(super) fn fail(&mut self, now: Instant) -> Failed<T> {
        let before = std::mem::replace(&mut self.state, State::Down { retry: now });
        let session = match before {
            State::Up(session) => Some(session),
            State::Down { .. } => None,
        };
        let was_ready = session.as_ref().is_some_and(|session| session.is_ready());
        if session.as_ref().is_some_and(|session| session.has_lasted(LASTING, now)) {
            self.backoff.reset();
        }
        self.tried = if was_ready { 0 } else { self.tried + 1 };
        let is_final = was_ready || self.tried >= self.addresses;
        if is_final {
            self.tried = 0;
            self.state = State::Down { retry: now + self.backoff.next() };
        }
        Failed { session, is_final }
    }

    /// Does not wait for the end of a pause.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let State::Down { retry } = &mut self.state {
            *retry = now;
        }
    }

    /// When there is something to do, unless Redis says something before.
    pub(super) fn alarm(&self, settings: &Settings) -> Instant {
        match &self.state {
            State::Down { retry } => *retry,
            State::Up(session) => session.alarm(settings.ping, settings.timeout),
        }
    }

    /// The first address of a host that has not failed.
    fn choose(&mut self, host: &str, port: u16) -> Result<SocketAddr, Failure> {
        let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(Failure::Unresolved)?.collect();
        self.addresses = addresses.len();
        let address = addresses.get(self.tried).or(addresses.first());
        address.copied().ok_or_else(|| Failure::Unresolved(io::ErrorKind::NotFound.into()))
    }
}

/// With TLS, if the server's URL asks for it.
fn encrypted(socket: Socket, server: &Server, timeout: Duration) -> Result<Stream, Failure> {
    let refused = |reason: String| Failure::Broken(io::Error::new(io::ErrorKind::InvalidInput, reason));
    match (&server.encryption, &server.address) {
        (Encryption::None, _) => Ok(Stream::Plain(socket)),
        (Encryption::Tls(tls), Address::Tcp { host, .. }) => {
            let session = tls.connect(socket, host.as_deref().unwrap_or("localhost"), timeout, Vec::new());
            session.map(Stream::from).map_err(|error| refused(error.to_string()))
        }
        // Never without what was asked for.
        (Encryption::Wanted | Encryption::Tls(_), _) => Err(refused("there is no TLS for its URL".into())),
    }
}

fn open(address: SocketAddr) -> Result<Socket, Failure> {
    let stream = TcpStream::connect(address).map_err(Failure::Broken)?;
    // Commands are written in batches already; a short one should not wait for the answer to the one before.
    stream.set_nodelay(true).map_err(Failure::Broken)?;
    Ok(Socket::Tcp(stream))
}
