//! WebSockets and event streams: a handshake by the path, then frames in and bare writes out.
//!
//! `/echo` sends each message back. What comes by a WebSocket on `/publish` is framed once for WebSockets and once for
//! event streams, and written to every connection on `/subscribe`, one `write` each. Anything else is answered with
//! 200, so that whoever started the program can see that it is there. A socket that is full loses its connection: the
//! benchmark's clients read.

mod frames;
mod opening;

use std::io::{self, ErrorKind, Read, Write};

use mio::{
    Events, Interest, Poll, Token,
    event::Event,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

use frames::{encode, next_message};
use opening::{Opening, Role};

/// Serves until polling itself fails.
pub(crate) fn serve(mut listener: TcpListener) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut server = Server { connections: Slab::new(), input: vec![0; INPUT_BYTES].into(), output: Vec::new() };
    let mut events = Events::with_capacity(EVENTS);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        for event in &events {
            match event.token() {
                LISTENER => server.accept_all(&listener, &poll),
                Token(key) => server.handle(key, event),
            }
        }
    }
}

struct Server {
    connections: Slab<Connection>,
    /// What is read, shared by all connections.
    input: Box<[u8]>,
    /// What one turn of a connection writes.
    output: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// `None` before the request has come.
    role: Option<Role>,
    /// The part of a frame that has come.
    unfinished: Vec<u8>,
}

impl Server {
    fn accept_all(&mut self, listener: &TcpListener, poll: &Poll) {
        while let Ok((mut stream, _)) = listener.accept() {
            let entry = self.connections.vacant_entry();
            let registered = stream
                .set_nodelay(true)
                .and_then(|()| poll.registry().register(&mut stream, Token(entry.key()), Interest::READABLE));
            match registered {
                Ok(()) => drop(entry.insert(Connection { stream, role: None, unfinished: Vec::new() })),
                Err(error) => eprintln!("floor: cannot watch a connection: {error}"),
            }
        }
    }

    fn handle(&mut self, key: usize, event: &Event) {
        if self.turn(key).is_err() || event.is_read_closed() {
            self.connections.try_remove(key);
        }
    }

    /// Reads once and answers; an error ends the connection.
    fn turn(&mut self, key: usize) -> io::Result<()> {
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
            let length = match connection.stream.read(&mut self.input) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            match connection.role {
                None => connection.open(&self.input[..length])?,
                Some(Role::Echo) => connection.echo(&mut self.input[..length], &mut self.output)?,
                Some(Role::Publisher) => self.publish(key, length)?,
                Some(Role::Subscriber { .. }) => {}
            }
            if length < self.input.len() {
                return Ok(());
            }
        }
    }

    fn publish(&mut self, key: usize, length: usize) -> io::Result<()> {
        let mut bytes = std::mem::take(&mut self.connections[key].unfinished);
        bytes.extend_from_slice(&self.input[..length]);
        let mut rest = &mut bytes[..];
        while let Some(message) = next_message(&mut rest)? {
            let (mut frame, mut lines) = (Vec::new(), Vec::new());
            encode(message, &mut frame);
            write!(lines, "data: {}\r\n\r\n", String::from_utf8_lossy(message))?;
            for (_, connection) in &mut self.connections {
                match connection.role {
                    Some(Role::Subscriber { stream: false }) => connection.stream.write_all(&frame)?,
                    Some(Role::Subscriber { stream: true }) => connection.stream.write_all(&lines)?,
                    _ => {}
                }
            }
        }
        self.connections[key].unfinished = rest.to_vec();
        Ok(())
    }
}

impl Connection {
    /// Answers the request, which comes in one packet.
    fn open(&mut self, request: &[u8]) -> io::Result<()> {
        let Opening { role, answer } = Opening::of(request)?;
        self.role = role;
        self.stream.write_all(answer.as_bytes())
    }

    fn echo(&mut self, input: &mut [u8], output: &mut Vec<u8>) -> io::Result<()> {
        output.clear();
        if self.unfinished.is_empty() {
            self.unfinished = echo_all(input, output)?.to_vec();
        } else {
            let mut bytes = std::mem::take(&mut self.unfinished);
            bytes.extend_from_slice(input);
            self.unfinished = echo_all(&mut bytes, output)?.to_vec();
        }
        self.stream.write_all(output)
    }
}

/// Returns what is left behind the last whole message.
fn echo_all<'a>(mut input: &'a mut [u8], output: &mut Vec<u8>) -> io::Result<&'a [u8]> {
    while let Some(message) = next_message(&mut input)? {
        encode(message, output);
    }
    Ok(input)
}

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
const INPUT_BYTES: usize = 64 * 1024;
