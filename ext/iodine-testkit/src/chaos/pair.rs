//! A connection of a client, and the one to the server that belongs to it.

use std::{
    io,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token, event::Event, net::TcpStream};
use socket2::SockRef;

use super::{
    faults::{End, Fate, Faults, Way},
    lane::Lane,
    random::Random,
};

pub(super) struct Pair {
    pub(super) number: u64,
    /// The port of the client, by which it knows itself.
    pub(super) port: u16,
    client: TcpStream,
    server: TcpStream,
    to_server: Lane,
    to_client: Lane,
    fate: Option<Fate>,
    random: Random,
}

/// What a turn has come to.
pub(super) enum Outcome {
    /// The connection lives, and wants another turn at this time at the latest.
    Lives(Option<Instant>),
    /// It has met its fate just now, and lives on.
    Harmed(Fate, Option<Instant>),
    /// It has just ended by its fate.
    Killed(Fate),
    /// It has ended by itself.
    Over,
}

impl Pair {
    pub(super) fn new(number: u64, port: u16, client: TcpStream, server: TcpStream, faults: &Faults) -> Self {
        let (fate, random) = (faults.fate(number), faults.random(!number));
        Self { number, port, client, server, to_server: Lane::default(), to_client: Lane::default(), fate, random }
    }

    pub(super) fn register(&mut self, registry: &Registry, client: Token, server: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.client, client, both)?;
        registry.register(&mut self.server, server, both)
    }

    /// Notes what an event says.
    pub(super) fn note(&mut self, event: &Event, of: Way) {
        let (reads, writes) = match of {
            Way::ToServer => (&mut self.to_server, &mut self.to_client),
            Way::ToClient => (&mut self.to_client, &mut self.to_server),
        };
        reads.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        writes.writable |= event.is_writable();
    }

    /// Lets it come to no bad end any more.
    pub(super) fn spare(&mut self) {
        self.fate = None;
    }

    /// Does what can be done now.
    pub(super) fn turn(&mut self, now: Instant, faults: &Faults) -> Outcome {
        match self.pass(now, faults) {
            Ok(Some(fate)) => self.meet(fate, now),
            Ok(None) if self.to_server.is_over() && self.to_client.is_over() => Outcome::Over,
            Ok(None) => Outcome::Lives(self.due(now)),
            // What one side has broken is broken for the other one, too.
            Err(_) => {
                self.reset();
                Outcome::Over
            }
        }
    }

    /// Moves bytes both ways. Some: the time for the connection's fate has come.
    fn pass(&mut self, now: Instant, faults: &Faults) -> io::Result<Option<Fate>> {
        let limit = |way| self.fate.filter(|fate| fate.way == way).map(|fate| fate.after);
        let (outward, homeward) = (limit(Way::ToServer), limit(Way::ToClient));
        self.to_server.pull(&self.client, now, faults, &mut self.random)?;
        self.to_client.pull(&self.server, now, faults, &mut self.random)?;
        let reached =
            self.to_server.push(&self.server, now, outward)? || self.to_client.push(&self.client, now, homeward)?;
        Ok(if reached { self.fate.take() } else { None })
    }

    fn meet(&mut self, fate: Fate, now: Instant) -> Outcome {
        match fate.end {
            End::Close => return Outcome::Killed(fate),
            End::Reset => {
                self.reset();
                return Outcome::Killed(fate);
            }
            End::HalfClose => {}
        }
        let closed = match fate.way {
            Way::ToServer => self.to_server.close(&self.server),
            Way::ToClient => self.to_client.close(&self.client),
        };
        match closed {
            Ok(()) => Outcome::Harmed(fate, self.due(now)),
            Err(_) => Outcome::Killed(fate),
        }
    }

    /// Has both sockets reset when they are dropped.
    fn reset(&self) {
        for socket in [&self.client, &self.server] {
            // It fails for a socket that is gone, which is what was wanted.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        [self.to_server.due(now), self.to_client.due(now)].into_iter().flatten().min()
    }
}
