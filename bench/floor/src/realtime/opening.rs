//! What a connection is for, by its request.

use std::io::{self, ErrorKind};

use tungstenite::handshake::derive_accept_key;

/// What is done with a connection's messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// They are sent back.
    Echo,
    /// They go to all subscribers.
    Publisher,
    /// It has none; `stream`: it is an event stream and no WebSocket.
    Subscriber { stream: bool },
}

/// The answer to a request, and what becomes of its connection.
pub(super) struct Opening {
    pub(super) role: Option<Role>,
    pub(super) answer: String,
}

impl Opening {
    pub(super) fn of(request: &[u8]) -> io::Result<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Request::new(&mut fields);
        match head.parse(request) {
            Ok(httparse::Status::Complete(_)) => {}
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        let key = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("sec-websocket-key"));
        Ok(match (head.path.unwrap_or_default(), key) {
            ("/echo", Some(key)) => switch(Role::Echo, key.value),
            ("/publish", Some(key)) => switch(Role::Publisher, key.value),
            ("/subscribe", Some(key)) => switch(Role::Subscriber { stream: false }, key.value),
            ("/subscribe", None) => Self { role: Some(Role::Subscriber { stream: true }), answer: STREAM.to_owned() },
            _ => Self { role: None, answer: OK.to_owned() },
        })
    }
}

fn switch(role: Role, key: &[u8]) -> Opening {
    let accept = derive_accept_key(key);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    Opening { role: Some(role), answer }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
