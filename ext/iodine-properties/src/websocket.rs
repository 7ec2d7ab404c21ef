use iodine_proto::http1::{Head, HeadLimits, HeadReader};
use iodine_proto::websocket::{
    ClientHandshake, Deflate, DeflateSettings, Deflater, Encoder, Error, Event, Handshake, Kind, Reader, Role, Window,
    WindowBits,
};

use crate::input::{Input, cut, pieces};

const MAX: usize = 2000;

fn window(input: &mut Input<'_>) -> Window {
    let bits = WindowBits::new(8 + input.below(8) as u8).unwrap_or(WindowBits::MAX);
    Window { bits, takeover: input.any() }
}

fn deflate(input: &mut Input<'_>) -> Option<Deflate> {
    input.any::<bool>().then(|| {
        let window = window(input);
        Deflate { outgoing: window, incoming: window, min_size: u32::from(input.any::<u8>()) }
    })
}

fn events(pieces: &[&[u8]], mut reader: Reader) -> (Vec<Event>, Option<Error>) {
    let mut events = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match reader.read(&mut rest) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
        assert!(rest.is_empty(), "all is taken");
    }
    (events, None)
}

pub(crate) fn frames_may_be_cut_anywhere(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let role = if input.any() { Role::Client } else { Role::Server };
    let deflate = deflate(&mut input);
    let (whole, pieces) = cut(input.rest());
    let read = events(&pieces, Reader::new(role, MAX, deflate));
    assert_eq!(read, events(&[whole], Reader::new(role, MAX, deflate)));
    for event in read.0 {
        match event {
            Event::Text(text) => assert!(text.len() <= MAX && std::str::from_utf8(&text).is_ok()),
            Event::Binary(data) => assert!(data.len() <= MAX),
            Event::Ping(data) | Event::Pong(data) => assert!(data.len() <= 125),
            Event::Close(close) => assert!(close.reason.len() <= 123),
        }
    }
}

/// Messages whose bytes are taken for compressed ones: what comes of them does not depend on their fragments, and is not
/// larger than a message may be.
pub(crate) fn compressed_messages_may_be_cut_anywhere(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let window = window(&mut input);
    let deflate = Some(Deflate { outgoing: window, incoming: window, min_size: 0 });
    let (mut whole, mut fragments) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let is_text = input.any();
        let places: [u16; 3] = input.any();
        let payload = input.bytes();
        push_message(is_text, &[payload], &mut whole);
        push_message(is_text, &pieces(payload, places), &mut fragments);
    }
    let read = events(&[&whole], Reader::new(Role::Server, MAX, deflate));
    assert_eq!(read, events(&[&fragments], Reader::new(Role::Server, MAX, deflate)));
    for event in read.0 {
        match event {
            Event::Text(data) | Event::Binary(data) => assert!(data.len() <= MAX),
            other => panic!("nobody has sent {other:?}"),
        }
    }
}

/// A message in fragments, each a masked frame; the mask changes nothing.
fn push_message(is_text: bool, fragments: &[&[u8]], out: &mut Vec<u8>) {
    for (index, fragment) in fragments.iter().enumerate() {
        let fin = if index + 1 == fragments.len() { 0x80 } else { 0 };
        // A compressed message has RSV1 in its first frame (RFC 7692 section 6).
        let first = if index > 0 { 0 } else { 0x40 | if is_text { 1 } else { 2 } };
        out.extend_from_slice(&[fin | first, 0x80 | 126]);
        match u16::try_from(fragment.len()) {
            Ok(length) if length > 125 => out.extend_from_slice(&length.to_be_bytes()),
            // No length may be written longer than it is (RFC 6455 section 5.2).
            Ok(length) => *out.last_mut().expect("a header") = 0x80 | length as u8,
            Err(_) => panic!("inputs are shorter"),
        }
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(fragment);
    }
}

pub(crate) fn what_is_sent_is_read(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let deflate = deflate(&mut input);
    let (role, mask) = if input.any() { (Role::Client, None) } else { (Role::Server, Some(input.any())) };
    let mut shared = Deflater::new(&DeflateSettings::default());
    let mut encoder = Encoder::new(deflate);
    let (mut wire, mut sent) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let payload = input.bytes().repeat(1 + input.below(100));
        let kind = Kind::of(&payload);
        encoder.message(kind, &payload, mask, &mut shared, &mut wire);
        sent.push(match kind {
            Kind::Text => Event::Text(payload),
            Kind::Binary => Event::Binary(payload),
        });
    }
    assert_eq!(events(&[&wire], Reader::new(role, usize::MAX, deflate)), (sent, None));
}

/// A client of this library and a server of this library understand one another, or neither has a connection.
pub(crate) fn what_is_offered_is_agreed_to(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let settings = |input: &mut Input<'_>| {
        input.any::<bool>().then(|| DeflateSettings {
            outgoing: window(input),
            incoming: window(input),
            min_size: 0,
            level: 1,
        })
    };
    let (mine, theirs) = (settings(&mut input), settings(&mut input));
    let mut client = ClientHandshake::new(input.any(), mine);
    let field = (input.bytes(), input.bytes());
    let mut request = Vec::new();
    if client.request("/", "a", [field], &mut request).is_err() {
        return assert!(request.is_empty(), "nothing was written");
    }
    let mut head = Head::default();
    let read = HeadReader::new(HeadLimits::default()).read(&request, &mut head);
    // A field of the application may be one that a server refuses.
    let Ok(Some(_)) = read else { return };
    let Ok(server) = Handshake::accept(&head, theirs.as_ref()) else { return };
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    for (name, value) in server.fields() {
        answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    let opened = client.response(&answer).expect("an answer to what was asked").expect("all of it");
    let (here, there) = (opened.deflate, server.deflate());
    assert_eq!(here.is_some(), there.is_some());
    if let (Some(here), Some(there)) = (here, there) {
        assert!(here.outgoing.bits <= there.incoming.bits && there.outgoing.bits <= here.incoming.bits);
        assert!(there.incoming.takeover || !here.outgoing.takeover);
        assert!(here.incoming.takeover || !there.outgoing.takeover);
    }
}

/// What a server answers to a client: refused, or taken with the same bytes left, in whatever pieces it comes.
pub(crate) fn answers_may_be_cut_anywhere(bytes: &[u8]) {
    let (whole, pieces) = cut(bytes);
    let client = ClientHandshake::new([7; 16], Some(DeflateSettings::default()));
    let mut come = Vec::new();
    let mut answer = Ok(None);
    for piece in pieces {
        come.extend_from_slice(piece);
        answer = client.response(&come);
        if !matches!(answer, Ok(None)) {
            break;
        }
    }
    let expected = client.response(whole);
    assert_eq!(answer.is_ok_and(|opened| opened.is_some()), expected.is_ok_and(|opened| opened.is_some()));
}
