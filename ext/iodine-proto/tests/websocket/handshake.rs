//! The opening handshake at a server.

use iodine_proto::http1::{Head, HeadLimits, HeadReader};
use iodine_proto::websocket::{DeflateSettings, Handshake, Refusal, is_upgrade};

use crate::feed::by_default;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";

fn head(line: &str, fields: &[&str]) -> Head {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let mut head = Head::default();
    let input = format!("{line}\r\nHost: a\r\n{fields}\r\n");
    HeadReader::new(HeadLimits::default()).read(input.as_bytes(), &mut head).unwrap().unwrap();
    head
}

fn accept(line: &str, fields: &[&str]) -> Result<String, Refusal> {
    let handshake = Handshake::accept(&head(line, fields), None)?;
    Ok(handshake.fields().map(|(name, value)| format!("{name}: {value}\n")).collect())
}

/// RFC 6455 section 1.3.
#[test]
fn the_example_of_the_standard() {
    let answer = accept("GET /chat HTTP/1.1", &[UPGRADE, CONNECTION, KEY, VERSION]);
    let expected = "upgrade: websocket\nconnection: Upgrade\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n";
    assert_eq!(answer.as_deref(), Ok(expected));
}

#[test]
fn requests() {
    let get = "GET / HTTP/1.1";
    let table: &[(&str, &[&str], Option<Refusal>)] = &[
        (get, &[UPGRADE, CONNECTION, KEY, VERSION], None),
        (get, &["Upgrade: WebSocket", "Connection: keep-alive, upgrade", KEY, VERSION], None),
        (get, &["Upgrade: h2c, websocket", CONNECTION, KEY, VERSION], None),
        (get, &[UPGRADE, CONNECTION, KEY, VERSION, "Sec-WebSocket-Extensions: foo; bar=\"1\", baz"], None),
        ("POST / HTTP/1.1", &[UPGRADE, CONNECTION, KEY, VERSION], Some(Refusal::Method)),
        ("HEAD / HTTP/1.1", &[UPGRADE, CONNECTION, KEY, VERSION], Some(Refusal::Method)),
        ("GET / HTTP/1.0", &[UPGRADE, CONNECTION, KEY, VERSION], Some(Refusal::Upgrade)),
        (get, &[CONNECTION, KEY, VERSION], Some(Refusal::Upgrade)),
        (get, &[UPGRADE, KEY, VERSION], Some(Refusal::Upgrade)),
        (get, &["Upgrade: websockets", CONNECTION, KEY, VERSION], Some(Refusal::Upgrade)),
        (get, &[UPGRADE, CONNECTION, VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, KEY, KEY, VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, "Sec-WebSocket-Key: ", VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=", VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl", VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==", VERSION], Some(Refusal::Key)),
        (get, &[UPGRADE, CONNECTION, KEY], Some(Refusal::Version)),
        (get, &[UPGRADE, CONNECTION, KEY, VERSION, VERSION], Some(Refusal::Version)),
        (get, &[UPGRADE, CONNECTION, KEY, "Sec-WebSocket-Version: 8"], Some(Refusal::OtherVersion)),
        (get, &[UPGRADE, CONNECTION, KEY, "Sec-WebSocket-Version: 13, 8"], Some(Refusal::OtherVersion)),
        (get, &[UPGRADE, CONNECTION, KEY, VERSION, "Sec-WebSocket-Extensions: foo;"], Some(Refusal::Extensions)),
    ];
    for (line, fields, refusal) in table {
        assert_eq!(accept(line, fields).err(), *refusal, "{line} {fields:?}");
    }
}

#[test]
fn what_a_refusal_answers() {
    assert_eq!((Refusal::Method.status(), Refusal::Method.fields()), (400, &[][..]));
    assert_eq!((Refusal::Version.status(), Refusal::Version.fields()), (400, &[("sec-websocket-version", "13")][..]));
    assert_eq!(Refusal::OtherVersion.status(), 426);
    assert!(Refusal::OtherVersion.fields().contains(&("upgrade", "websocket")));
}

#[test]
fn what_asks_for_a_websocket() {
    assert!(is_upgrade(&head("POST / HTTP/1.1", &[UPGRADE, CONNECTION])));
    assert!(is_upgrade(&head("GET / HTTP/1.1", &["Upgrade: foo/1, WEBSOCKET", CONNECTION])));
    assert!(!is_upgrade(&head("GET / HTTP/1.1", &["Upgrade: h2c", CONNECTION])));
    assert!(!is_upgrade(&head("GET / HTTP/1.1", &[UPGRADE])));
}

#[test]
fn offers_of_several_fields() {
    let fields =
        ["Sec-WebSocket-Extensions: foo", "sec-websocket-extensions: permessage-deflate; client_max_window_bits"];
    let request = head("GET / HTTP/1.1", &[&[UPGRADE, CONNECTION, KEY, VERSION], &fields[..]].concat());
    let settings = DeflateSettings::default();
    let handshake = Handshake::accept(&request, Some(&settings)).unwrap();
    assert_eq!(handshake.deflate(), by_default());
    assert_eq!(
        handshake.fields().last(),
        Some((
            "sec-websocket-extensions",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        ))
    );
    assert_eq!(Handshake::accept(&request, None).unwrap().deflate(), None);
    let unknown = head("GET / HTTP/1.1", &[UPGRADE, CONNECTION, KEY, VERSION, fields[0]]);
    let handshake = Handshake::accept(&unknown, Some(&settings)).unwrap();
    assert_eq!((handshake.deflate(), handshake.fields().count()), (None, 3));
}
