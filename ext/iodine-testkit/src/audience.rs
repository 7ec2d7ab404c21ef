//! WebSockets by the thousand, on one thread, that listen to what is published: numbers, of which none may be missing,
//! doubled or out of order.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, SockRef, Socket, Type};

/// How long a server may take for a handshake.
const PATIENCE: Duration = Duration::from_secs(20);
/// Each address of a machine has some 28,000 ports for outgoing connections, and one that was closed is in use for a
/// minute more.
const ADDRESSES: usize = 8;

/// An audience, and what it has heard.
pub struct Audience {
    poll: Poll,
    events: Events,
    server: SocketAddr,
    seats: Slab<Seat>,
    /// Who has come first: the place, and the how manieth it was. Some have left since.
    order: VecDeque<(usize, usize)>,
    opened: usize,
    /// What it has heard.
    pub heard: Heard,
    spread: BTreeMap<u64, (Instant, Instant)>,
}

/// Sums over all connections, those that are gone as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Messages.
    pub messages: u64,
    /// Pings, each of which was answered.
    pub pings: u64,
    /// Connections that the server has closed by the rules.
    pub farewells: u64,
    /// Connections that the server has closed without a word.
    pub ends: u64,
}

struct Seat {
    number: usize,
    stream: mio::net::TcpStream,
    input: Vec<u8>,
    latest: Option<u64>,
    is_ready: bool,
    farewell: bool,
}

/// How somebody leaves.
#[derive(Clone, Copy)]
enum Leave {
    ByCloseFrame,
    Silently,
    ByReset,
}

impl Audience {
    /// Nobody yet, for a server.
    ///
    /// # Errors
    /// What the system says to a new poll.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(4096));
        let (seats, order) = (Slab::new(), VecDeque::new());
        Ok(Self { poll, events, server, seats, order, opened: 0, heard: Heard::default(), spread: BTreeMap::new() })
    }

    /// How many are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// How many have come, those that have left as well.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.opened
    }

    /// One more connection, up to the end of its handshake.
    ///
    /// # Errors
    /// When it is not there, or its answer is not 101.
    pub fn open(&mut self) -> io::Result<()> {
        let (stream, input) = shake_hands(self.server, self.opened)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        let entry = self.seats.vacant_entry();
        let key = entry.key();
        self.poll.registry().register(&mut stream, Token(key), Interest::READABLE)?;
        entry.insert(Seat { number: self.opened, stream, input, latest: None, is_ready: false, farewell: false });
        self.order.push_back((key, self.opened));
        self.opened += 1;
        self.take(key)
    }

    /// Has the one leave that has been there for the longest time, in one of three ways.
    ///
    /// # Errors
    /// What the socket says.
    pub fn leave(&mut self) -> io::Result<()> {
        let way = [Leave::ByCloseFrame, Leave::Silently, Leave::ByReset][self.opened % 3];
        let Some(mut seat) = self.first() else { return Ok(()) };
        match way {
            Leave::ByCloseFrame => seat.stream.write_all(&frame(0x88, &1000_u16.to_be_bytes())),
            Leave::Silently => Ok(()),
            Leave::ByReset => SockRef::from(&seat.stream).set_linger(Some(Duration::ZERO)),
        }
    }

    fn first(&mut self) -> Option<Seat> {
        while let Some((key, number)) = self.order.pop_front() {
            if self.seats.get(key).is_some_and(|seat| seat.number == number) {
                return self.seats.try_remove(key);
            }
        }
        None
    }

    /// Listens for so long.
    ///
    /// # Errors
    /// When a message is missing, doubled or none that is expected; when a connection breaks.
    pub fn listen(&mut self, wait: Duration) -> io::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = self.poll.poll(&mut events, Some(wait));
        let heard = polled.and_then(|()| events.iter().try_for_each(|event| self.hear(event.token().0)));
        self.events = events;
        match heard {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            heard => heard,
        }
    }

    /// Whether everybody is subscribed.
    #[must_use]
    pub fn are_all_ready(&self) -> bool {
        self.seats.iter().all(|(_, seat)| seat.is_ready)
    }

    /// Whether everybody has heard this number.
    #[must_use]
    pub fn have_all_heard(&self, number: u64) -> bool {
        self.seats.iter().all(|(_, seat)| seat.latest == Some(number))
    }

    /// Half of the messages needed no longer than this from the first who had heard them to the last.
    #[must_use]
    pub fn spread(&self) -> Duration {
        let mut all: Vec<Duration> = self.spread.values().map(|(first, last)| *last - *first).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }

    fn hear(&mut self, key: usize) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            // It may have left in this turn.
            let Some(seat) = self.seats.get_mut(key) else { return Ok(()) };
            match seat.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    seat.input.extend_from_slice(&buffer[..length]);
                    self.take(key)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
            }
        }
        self.end(key);
        Ok(())
    }

    /// The server has closed a connection.
    fn end(&mut self, key: usize) {
        if self.seats.remove(key).farewell {
            self.heard.farewells += 1;
        } else {
            self.heard.ends += 1;
        }
    }

    /// Takes whole frames, which are short and not masked (RFC 6455 section 5.2).
    fn take(&mut self, key: usize) -> io::Result<()> {
        let seat = &mut self.seats[key];
        let input = std::mem::take(&mut seat.input);
        let mut rest = &input[..];
        while let [first, length, tail @ ..] = rest
            && tail.len() >= *length as usize
        {
            let (payload, next) = tail.split_at(*length as usize);
            match first {
                0x81 => take_message(seat, payload, &mut self.heard, &mut self.spread)?,
                0x89 => {
                    self.heard.pings += 1;
                    answer(seat, &frame(0x8A, payload));
                }
                0x88 => {
                    seat.farewell = true;
                    answer(seat, &frame(0x88, payload));
                }
                _ => return Err(unexpected(rest)),
            }
            rest = next;
        }
        seat.input = rest.to_vec();
        Ok(())
    }
}

/// Whether the server takes it is found out by the next read.
fn answer(seat: &mut Seat, bytes: &[u8]) {
    let _ = seat.stream.write_all(bytes);
}

/// "ready" says that it is subscribed, and all else is numbers.
fn take_message(
    seat: &mut Seat,
    payload: &[u8],
    heard: &mut Heard,
    spread: &mut BTreeMap<u64, (Instant, Instant)>,
) -> io::Result<()> {
    if payload == b"ready" && !seat.is_ready {
        seat.is_ready = true;
        return Ok(());
    }
    let number = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
    let number: u64 = number.ok_or_else(|| unexpected(payload))?;
    if seat.latest.is_some_and(|latest| number != latest + 1) {
        let text = format!("{number} came after {:?}", seat.latest);
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let now = Instant::now();
    seat.latest = Some(number);
    heard.messages += 1;
    spread.entry(number).or_insert((now, now)).1 = now;
    Ok(())
}

/// A connection from one of the machine's addresses; what came behind the head.
fn shake_hands(server: SocketAddr, number: usize) -> io::Result<(TcpStream, Vec<u8>)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let ours = Ipv4Addr::new(127, 0, 0, 1 + (number % ADDRESSES) as u8);
    socket.bind(&SocketAddr::from((ours, 0)).into())?;
    socket.connect(&server.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = "GET /news HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut input = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => input.extend_from_slice(&buffer[..length]),
        }
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let behind = input.split_off(end + 4);
            if !input.starts_with(b"HTTP/1.1 101 ") {
                return Err(unexpected(&input));
            }
            stream.set_nonblocking(true)?;
            return Ok((stream, behind));
        }
    }
}

/// A short frame, masked by nothing but zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

fn unexpected(bytes: &[u8]) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("unexpected: {:?}", String::from_utf8_lossy(bytes)))
}
