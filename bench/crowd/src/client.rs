//! Connections, from the handshake to the messages, whose bytes are known.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
};

/// What a client speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    EventStream,
}

impl Kind {
    /// The bytes by which a server sends a message.
    pub(crate) fn incoming(self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::WebSocket => frame(payload, None),
            Self::EventStream => [b"data: ", payload, b"\r\n\r\n"].concat(),
        }
    }
}

/// The bytes by which a client sends a message.
pub(crate) fn outgoing(payload: &[u8]) -> Vec<u8> {
    frame(payload, Some([0x12, 0x34, 0x56, 0x78]))
}

/// A text message of less than 64 KiB as one frame (RFC 6455 section 5.2).
fn frame(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x81];
    match payload.len() {
        length @ 0..126 => frame.push(bit | length as u8),
        length => {
            frame.push(bit | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    let mask = mask.inspect(|mask| frame.extend_from_slice(mask)).unwrap_or_default();
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Opens so many connections, one after the other, each up to the end of its handshake.
pub(crate) fn open_all(port: u16, path: &str, kind: Kind, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| open(port, path, kind)).collect()
}

fn open(port: u16, path: &str, kind: Kind) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let (fields, status) = match kind {
        Kind::WebSocket => (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "HTTP/1.1 101",
        ),
        Kind::EventStream => ("Accept: text/event-stream\r\n", "HTTP/1.1 200"),
    };
    // In one packet.
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n").as_bytes())?;
    let head = read_head(&mut stream)?;
    if !head.starts_with(status) {
        let line = head.lines().next().unwrap_or_default();
        return Err(io::Error::new(ErrorKind::InvalidData, format!("{path} was answered by {line:?}")));
    }
    Ok(stream)
}

/// Reads up to the end of a head; nothing may follow it.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
