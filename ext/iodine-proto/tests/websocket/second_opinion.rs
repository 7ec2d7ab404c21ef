//! Another implementation must read what this one writes, and the other way round.

use std::io::{Cursor, Read, Result, Write};

use iodine_proto::websocket::{
    Close, CloseCode, Event, Kind, Role, encode_close, encode_message, encode_ping, encode_pong,
};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::{Message, WebSocket, WebSocketConfig};

use crate::feed::{self, KEY};

/// What the other end is to read, and what it wrote.
struct Wire {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn other(role: tungstenite::protocol::Role, input: Vec<u8>) -> WebSocket<Wire> {
    let config = WebSocketConfig::default().read_buffer_size(4096);
    WebSocket::from_raw_socket(Wire { input: Cursor::new(input), output: Vec::new() }, role, Some(config))
}

/// Messages of every size of header, and the frames between them.
fn conversation() -> Vec<Event> {
    let mut events: Vec<Event> = [0, 1, 2, 3, 7, 8, 9, 125, 126, 127, 1000, 65_535, 65_536, 90_000]
        .into_iter()
        .flat_map(|length| [Event::Text(vec![b'x'; length]), Event::Binary((0..length).map(|at| at as u8).collect())])
        .collect();
    events.extend([Event::Ping(vec![]), Event::Ping(b"ping".to_vec()), Event::Pong(vec![9; 125])]);
    events.push(Event::Close(Close { code: CloseCode::GOING_AWAY, reason: "bye €".to_owned() }));
    events
}

fn encode(event: &Event, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    match event {
        Event::Text(data) => encode_message(Kind::Text, data, mask, out),
        Event::Binary(data) => encode_message(Kind::Binary, data, mask, out),
        Event::Ping(data) => encode_ping(data, mask, out),
        Event::Pong(data) => encode_pong(data, mask, out),
        Event::Close(close) => encode_close(close.code, &close.reason, mask, out),
    }
}

fn to_message(event: &Event) -> Message {
    match event {
        Event::Text(data) => Message::text(str::from_utf8(data).unwrap()),
        Event::Binary(data) => Message::binary(data.clone()),
        Event::Ping(data) => Message::Ping(data.clone().into()),
        Event::Pong(data) => Message::Pong(data.clone().into()),
        Event::Close(close) => {
            Message::Close(Some(CloseFrame { code: close.code.get().into(), reason: close.reason.as_str().into() }))
        }
    }
}

#[test]
fn the_other_reads_what_is_written_here() {
    for (role, mask) in [(tungstenite::protocol::Role::Server, Some(KEY)), (tungstenite::protocol::Role::Client, None)]
    {
        let mut wire = Vec::new();
        conversation().iter().for_each(|event| encode(event, mask, &mut wire));
        let mut other = other(role, wire);
        for event in conversation() {
            assert_eq!(other.read().unwrap(), to_message(&event));
        }
    }
}

#[test]
fn what_the_other_writes_is_read_here() {
    for (theirs, ours) in
        [(tungstenite::protocol::Role::Server, Role::Client), (tungstenite::protocol::Role::Client, Role::Server)]
    {
        let mut other = other(theirs, Vec::new());
        for event in conversation() {
            other.send(to_message(&event)).unwrap();
        }
        let outcome = feed::events(ours, &other.get_ref().output);
        assert_eq!((outcome.events, outcome.error), (conversation(), None));
    }
}

/// Whatever the other refuses is refused here.
#[test]
fn refusals_of_the_other() {
    for first in 0..=255u8 {
        for payload in [&b""[..], b"a", b"\x03\xe8", b"\xff\xff", &[b'b'; 126]] {
            let input = feed::masked(first, payload);
            let refuses = matches!(
                other(tungstenite::protocol::Role::Server, input.clone()).read(),
                Err(tungstenite::Error::Protocol(error)) if error != tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
            );
            let error = feed::events(Role::Server, &input).error;
            assert!(!refuses || error.is_some(), "{}", input.escape_ascii());
        }
    }
}
