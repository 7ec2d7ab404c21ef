//! What the clients do, all on one thread.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token};

use crate::client::{Kind, outgoing};

/// What was done in the time.
pub(crate) struct Outcome {
    messages: u64,
    duration: Duration,
}

impl Outcome {
    pub(crate) fn print(&self) {
        println!("result messages={} duration_us={}", self.messages, self.duration.as_micros());
    }
}

/// Each client sends a message when it has received the one before.
pub(crate) fn echo(clients: Vec<TcpStream>, payload: &[u8], length: Duration) -> io::Result<Outcome> {
    let message = outgoing(payload);
    let mut crowd = Crowd::new(clients, Kind::WebSocket.incoming(payload))?;
    for at in 0..crowd.clients.len() {
        crowd.clients[at].stream.write_all(&message)?;
    }
    let began = Instant::now();
    let mut messages = 0;
    while began.elapsed() < length {
        let arrived = crowd.wait()?;
        messages += arrived.len() as u64;
        for at in arrived {
            crowd.clients[at].stream.write_all(&message)?;
        }
    }
    Ok(Outcome { messages, duration: began.elapsed() })
}

/// The publisher sends a message when all have received the one before. Counts the messages that were received.
pub(crate) fn fan_out(
    clients: Vec<TcpStream>,
    publisher: Vec<TcpStream>,
    kind: Kind,
    payload: &[u8],
    length: Duration,
) -> io::Result<Outcome> {
    let message = outgoing(payload);
    let mut crowd = Crowd::new(clients, kind.incoming(payload))?;
    let began = Instant::now();
    let mut messages = 0;
    while began.elapsed() < length {
        for mut publisher in &publisher {
            publisher.write_all(&message)?;
        }
        let mut awaited = crowd.clients.len();
        while awaited > 0 {
            awaited -= crowd.wait()?.len();
        }
        messages += crowd.clients.len() as u64;
    }
    Ok(Outcome { messages, duration: began.elapsed() })
}

/// Clients that all wait for the same message.
struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    expected: Vec<u8>,
}

struct Client {
    stream: mio::net::TcpStream,
    /// Bytes of the message that have come.
    received: usize,
}

impl Crowd {
    fn new(streams: Vec<TcpStream>, expected: Vec<u8>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(streams.len());
        for (at, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
            clients.push(Client { stream, received: 0 });
        }
        Ok(Self { poll, events: Events::with_capacity(1024), clients, expected })
    }

    /// Waits, and tells who has received its message.
    fn wait(&mut self) -> io::Result<Vec<usize>> {
        match self.poll.poll(&mut self.events, Some(PATIENCE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Vec::new()),
            outcome => outcome?,
        }
        if self.events.is_empty() {
            return Err(io::Error::new(ErrorKind::TimedOut, "messages do not come any more"));
        }
        let mut arrived = Vec::new();
        for event in &self.events {
            let Token(at) = event.token();
            if self.clients[at].receive(&self.expected)? {
                arrived.push(at);
            }
        }
        Ok(arrived)
    }
}

impl Client {
    /// Whether the message is complete.
    fn receive(&mut self, expected: &[u8]) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has closed a connection")),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let end = self.received + length;
        if expected.get(self.received..end) != Some(&buffer[..length]) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            return Err(io::Error::new(ErrorKind::InvalidData, format!("unexpected: {text:?}")));
        }
        self.received = end % expected.len();
        Ok(self.received == 0)
    }
}

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);
