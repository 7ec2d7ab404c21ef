//! Feeds a reader in pieces. However the bytes are cut, the outcome must be the same.

use iodine_proto::websocket::{
    Deflate, DeflateSettings, Error, Event, Kind, MaskKey, Reader, Role, Window, WindowBits,
};

/// What a reader made of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<Error>,
}

pub(crate) const KEY: MaskKey = [0x37, 0xfa, 0x21, 0x3d];

/// The largest message in these tests, in bytes.
pub(crate) const MAX: usize = 100_000;

/// What a reader without compression makes of `input`, fed whole, byte by byte, and in any two pieces.
pub(crate) fn events(role: Role, input: &[u8]) -> Outcome {
    everywhere(input, || Reader::new(role, MAX, None))
}

/// The same for a reader of any kind.
pub(crate) fn everywhere(input: &[u8], reader: impl Fn() -> Reader) -> Outcome {
    let whole = pieces(&[input], reader());
    let bytes: Vec<&[u8]> = (0..input.len()).map(|at| &input[at..=at]).chain([&b""[..]]).collect();
    assert_eq!(pieces(&bytes, reader()), whole, "byte by byte: {}", input.escape_ascii());
    // Of a long input, the middle is filler.
    for cut in (1..input.len()).filter(|cut| *cut < 128 || input.len() - cut < 128) {
        let (first, second) = input.split_at(cut);
        assert_eq!(pieces(&[first, second], reader()), whole, "cut at {cut}: {}", input.escape_ascii());
    }
    whole
}

pub(crate) fn pieces(pieces: &[&[u8]], mut reader: Reader) -> Outcome {
    let mut outcome = Outcome { events: Vec::new(), error: None };
    for piece in pieces {
        let mut input = *piece;
        loop {
            match reader.read(&mut input) {
                Ok(Some(event)) => outcome.events.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.read(&mut &b"\x81\x80\0\0\0\0"[..]), Err(error), "sticky");
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
        assert_eq!(input, b"", "all is taken");
    }
    outcome
}

/// A frame made by hand: its first byte, its payload, and the masking of a client.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0x80, payload.len());
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A frame made by hand: that of a server.
pub(crate) fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, 0, payload.len());
    frame.extend(payload);
    frame
}

pub(crate) fn text(text: &str) -> Event {
    Event::Text(text.into())
}

pub(crate) fn event(kind: Kind, payload: &[u8]) -> Event {
    match kind {
        Kind::Text => Event::Text(payload.to_vec()),
        Kind::Binary => Event::Binary(payload.to_vec()),
    }
}

pub(crate) fn window(bits: u8, takeover: bool) -> Window {
    Window { bits: WindowBits::new(bits).unwrap(), takeover }
}

/// An agreement about both directions, to compress all messages.
pub(crate) fn both(bits: u8, takeover: bool) -> Option<Deflate> {
    Some(Deflate { outgoing: window(bits, takeover), incoming: window(bits, takeover), min_size: 0 })
}

/// What is agreed to by default.
pub(crate) fn by_default() -> Option<Deflate> {
    both(15, false).map(|deflate| Deflate { min_size: DeflateSettings::default().min_size, ..deflate })
}

fn header(first: u8, mask: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(mask | length as u8),
        126..=0xffff => {
            header.push(mask | 126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}
