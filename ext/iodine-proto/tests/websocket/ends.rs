//! A client and a server in memory: from the handshake to the close, with and without compression.

use iodine_proto::http1::{Framing, Head, HeadLimits, HeadReader, Persistence, ResponseWriter};
use iodine_proto::websocket::{
    ClientHandshake, Close, CloseCode, Deflate, DeflateSettings, Deflater, Encoder, Event, Handshake, Kind,
    Publication, Reader, Role, encode_close,
};

use crate::feed::{self, KEY, MAX, event, window};

/// One end after the handshake.
struct End {
    reader: Reader,
    encoder: Encoder,
    shared: Deflater,
}

impl End {
    fn new(role: Role, deflate: Option<Deflate>, settings: &DeflateSettings) -> Self {
        End { reader: Reader::new(role, MAX, deflate), encoder: Encoder::new(deflate), shared: Deflater::new(settings) }
    }

    fn send(&mut self, kind: Kind, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        self.encoder.message(kind, payload, mask, &mut self.shared, &mut out);
        out
    }

    fn receive(&mut self, mut input: &[u8]) -> Event {
        let event = self.reader.read(&mut input).unwrap().unwrap();
        assert_eq!(self.reader.read(&mut input), Ok(None));
        event
    }
}

/// Shakes hands. What both agreed to must be the same, seen from either end.
fn connect(client: Option<DeflateSettings>, server: Option<DeflateSettings>) -> (Option<Deflate>, Option<Deflate>) {
    let mut request = Vec::new();
    let mut handshake = ClientHandshake::new(*b"sixteen bytes...", client);
    handshake.request("/chat?a=b", "localhost:3000", [], &mut request).unwrap();

    let mut head = Head::default();
    let consumed = HeadReader::new(HeadLimits::default()).read(&request, &mut head).unwrap();
    assert_eq!(consumed, Some(request.len()));
    let accepted = Handshake::accept(&head, server.as_ref()).unwrap();
    let mut response = Vec::new();
    let mut writer = ResponseWriter::new(&mut response, 101);
    for (name, value) in accepted.fields() {
        writer.field(name.as_bytes(), value.as_bytes()).unwrap();
    }
    writer.finish(Framing::None, Persistence::Default, b"Thu, 01 Jan 1970 00:00:00 GMT");

    for end in 0..response.len() {
        assert_eq!(handshake.response(&response[..end]), Ok(None));
    }
    let length = response.len();
    response.extend_from_slice(b"\x81\x00");
    let opened = handshake.response(&response).unwrap().unwrap();
    assert_eq!(opened.consumed, length);
    (opened.deflate, accepted.deflate())
}

fn talk(client: DeflateSettings, server: DeflateSettings) {
    let (at_client, at_server) = connect(Some(client), Some(server));
    let what = format!("{at_client:?} {at_server:?}");
    let mut client = End::new(Role::Client, at_client, &client);
    let mut server = End::new(Role::Server, at_server, &server);
    for (kind, payload) in messages() {
        let frame = client.send(kind, &payload, Some(KEY));
        assert_eq!(server.receive(&frame), event(kind, &payload), "{what}");
        let frame = server.send(kind, &payload, None);
        assert_eq!(client.receive(&frame), event(kind, &payload), "{what}");
        // Between the messages of the connection, one that all connections get.
        let mut publication = Publication::new(kind, &payload);
        let frame = server.encoder.publication(&mut publication, &mut server.shared);
        assert_eq!(client.receive(&frame), event(kind, &payload), "{what}");
    }
    let mut out = Vec::new();
    encode_close(CloseCode::NORMAL, "done", None, &mut out);
    let close = Close { code: CloseCode::NORMAL, reason: "done".to_owned() };
    assert_eq!(client.receive(&out), Event::Close(close));
}

/// Messages that repeat themselves and each other, near and far.
fn messages() -> Vec<(Kind, Vec<u8>)> {
    let words: Vec<String> = (0..3000u32).map(|at| format!("{:x} ", at.wrapping_mul(2_654_435_761) >> 20)).collect();
    let long = words.concat();
    let noise: Vec<u8> =
        (0..20_000u32).map(|at| (at.wrapping_mul(at).wrapping_mul(2_654_435_761) >> 15) as u8).collect();
    vec![
        (Kind::Text, b"Hello".to_vec()),
        (Kind::Text, b"Hello".to_vec()),
        (Kind::Text, vec![]),
        (Kind::Text, vec![]),
        (Kind::Binary, vec![0; 200]),
        (Kind::Text, long.as_bytes()[..250].to_vec()),
        (Kind::Text, long.as_bytes()[..600].to_vec()),
        (Kind::Text, long.as_bytes().to_vec()),
        (Kind::Text, long.as_bytes().to_vec()),
        (Kind::Binary, noise.clone()),
        (Kind::Binary, noise),
        (Kind::Text, "𝄞€é ".repeat(3000).into_bytes()),
        (Kind::Binary, vec![b'z'; 40_000]),
        (Kind::Text, b"Hello".to_vec()),
    ]
}

fn settings(outgoing: (u8, bool), incoming: (u8, bool), min_size: u32, level: u8) -> DeflateSettings {
    let (outgoing, incoming) = (window(outgoing.0, outgoing.1), window(incoming.0, incoming.1));
    DeflateSettings { outgoing, incoming, min_size, level }
}

#[test]
fn every_window_with_and_without_context() {
    for bits in 8..=15 {
        for (here, there) in [(true, true), (true, false), (false, true), (false, false)] {
            let client = settings((bits, here), (23 - bits, there), 0, 6);
            talk(client, settings((15, true), (15, true), 0, 6));
            talk(settings((15, true), (15, true), 0, 6), settings((23 - bits, there), (bits, here), 0, 6));
        }
    }
}

#[test]
fn every_level() {
    for level in 0..=10 {
        let both = settings((15, true), (15, false), 0, level);
        talk(both, both);
    }
}

#[test]
fn some_messages_compressed_and_some_not() {
    let both = settings((15, true), (15, true), 300, 6);
    talk(both, both);
    talk(DeflateSettings::default(), DeflateSettings::default());
}

#[test]
fn without_compression_at_one_end() {
    let some = Some(DeflateSettings::default());
    for (client, server) in [(None, None), (some, None), (None, some)] {
        assert_eq!(connect(client, server), (None, None));
    }
    let mut client = End::new(Role::Client, None, &DeflateSettings::default());
    let mut server = End::new(Role::Server, None, &DeflateSettings::default());
    for (kind, payload) in messages() {
        let frame = client.send(kind, &payload, Some(KEY));
        assert_eq!(server.receive(&frame), event(kind, &payload));
        let frame = server.send(kind, &payload, None);
        assert_eq!(client.receive(&frame), event(kind, &payload));
    }
}

#[test]
fn both_ends_see_the_same_agreement() {
    let kept = settings((15, true), (15, true), 0, 6);
    let (client, server) = connect(Some(settings((12, true), (11, false), 0, 6)), Some(kept));
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!((client.outgoing, client.incoming), (server.incoming, server.outgoing));
    assert_eq!((client.outgoing, client.incoming), (window(12, true), window(11, false)));
    assert_eq!(feed::by_default(), connect(Some(kept), Some(DeflateSettings::default())).1);
}

/// Connections may move between threads.
#[test]
fn ends_are_send() {
    fn assert_send<T: Send>(_: &T) {}
    let settings = DeflateSettings::default();
    let End { reader, encoder, shared } = End::new(Role::Server, feed::both(15, true), &settings);
    assert_send(&reader);
    assert_send(&encoder);
    assert_send(&shared);
}
