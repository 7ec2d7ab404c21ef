//! HTTP/1.1: accept, read into one shared buffer, count the requests in it, write that many answers.
//!
//! Edge-triggered and registered once for both directions, so a turn costs one poll, one read and one write. A read
//! or write that came up short has drained or filled the socket and needs no second call to hear `WouldBlock`.

mod answer;
mod requests;

use std::{
    error::Error,
    io::{self, ErrorKind, Read, Write},
    time::SystemTime,
};

use mio::{
    Events, Interest, Poll, Token,
    event::Event,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

use answer::Answer;
pub(crate) use answer::HELLO_BYTES;
use requests::Requests;

/// Answers every request with `response_bytes` bytes. Returns only when polling itself fails.
pub(crate) fn serve(listener: TcpListener, response_bytes: usize) -> Result<(), Box<dyn Error>> {
    let answer = Answer::of_size(response_bytes)?;
    Server::new(listener, answer)?.run()?;
    Ok(())
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    input: Box<[u8]>,
    answer: Answer,
}

impl Server {
    fn new(mut listener: TcpListener, answer: Answer) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let input = vec![0; INPUT_BYTES].into_boxed_slice();
        Ok(Self { poll, listener, connections: Slab::with_capacity(EVENTS), input, answer })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            self.answer.refresh(SystemTime::now());
            for event in &events {
                self.handle(event);
            }
        }
    }

    fn handle(&mut self, event: &Event) {
        if event.token() == LISTENER {
            return self.accept_all();
        }
        let key = event.token().0;
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.turn(event, &mut self.input, &self.answer).is_err() {
            self.connections.remove(key);
        }
    }

    fn accept_all(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return eprintln!("floor: cannot accept a connection: {error}"),
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream) {
        let entry = self.connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = stream
            .set_nodelay(true)
            .and_then(|()| self.poll.registry().register(&mut stream, Token(entry.key()), interest));
        match registered {
            Ok(()) => drop(entry.insert(Connection::new(stream))),
            Err(error) => eprintln!("floor: cannot watch a connection: {error}"),
        }
    }
}

struct Connection {
    stream: TcpStream,
    requests: Requests,
    /// Bytes of answers still to be written.
    owed: usize,
    /// Bytes already written of the answer that is under way.
    sent: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, requests: Requests::default(), owed: 0, sent: 0 }
    }

    /// Reads and answers what the event announces; an error ends the connection.
    fn turn(&mut self, event: &Event, input: &mut [u8], answer: &Answer) -> io::Result<()> {
        if event.is_readable() {
            self.owed += self.read(input)? * answer.len();
        }
        self.write(answer)?;
        // A short read hides the end of the stream behind the data; the event tells of it.
        if event.is_read_closed() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// The number of requests completed by what the socket holds.
    fn read(&mut self, input: &mut [u8]) -> io::Result<usize> {
        let mut completed = 0;
        loop {
            let kept = self.requests.restore(input);
            let filled = match self.stream.read(&mut input[kept..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => kept + count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(completed),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            completed += self.requests.consume(&input[..filled])?;
            if filled < input.len() {
                return Ok(completed);
            }
        }
    }

    fn write(&mut self, answer: &Answer) -> io::Result<()> {
        while self.owed > 0 {
            let bytes = answer.slice(self.sent, self.owed);
            match self.stream.write(bytes) {
                Ok(count) => {
                    self.owed -= count;
                    self.sent = (self.sent + count) % answer.len();
                    if count < bytes.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;

/// The read buffer shared by all connections: room for a few large request bodies a call.
const INPUT_BYTES: usize = 64 * 1024;
