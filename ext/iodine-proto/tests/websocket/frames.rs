//! Well-formed frames in and out.

use iodine_proto::websocket::{
    Close, CloseCode, Event, Kind, Reader, Role, encode_close, encode_message, encode_ping, encode_pong,
};

use crate::feed::{self, KEY, masked, plain, text};

const SERVER: Role = Role::Server;

fn close(code: CloseCode, reason: &str) -> Event {
    Event::Close(Close { code, reason: reason.to_owned() })
}

#[test]
fn messages() {
    let long = "a".repeat(70_000);
    let table: &[(Vec<Vec<u8>>, Vec<Event>)] = &[
        (vec![], vec![]),
        (vec![masked(0x81, b"Hello")], vec![text("Hello")]),
        (vec![masked(0x81, b"")], vec![text("")]),
        (vec![masked(0x82, b"\xff\0\xfe")], vec![Event::Binary(b"\xff\0\xfe".to_vec())]),
        (vec![masked(0x82, b"")], vec![Event::Binary(vec![])]),
        (vec![masked(0x81, &[b'a'; 125])], vec![text(&long[..125])]),
        (vec![masked(0x81, &[b'a'; 126])], vec![text(&long[..126])]),
        (vec![masked(0x81, &[b'a'; 127])], vec![text(&long[..127])]),
        (vec![masked(0x81, &long.as_bytes()[..65535])], vec![text(&long[..65535])]),
        (vec![masked(0x81, &long.as_bytes()[..65536])], vec![text(&long[..65536])]),
        (
            vec![masked(0x81, b"a"), masked(0x82, b"b"), masked(0x81, b"c")],
            vec![text("a"), Event::Binary(b"b".to_vec()), text("c")],
        ),
        // Fragments, empty ones too, and control frames between them.
        (vec![masked(0x01, b"Hel"), masked(0x80, b"lo")], vec![text("Hello")]),
        (vec![masked(0x01, b""), masked(0x00, b""), masked(0x80, b"")], vec![text("")]),
        (
            vec![masked(0x02, b"a"), masked(0x00, b"b"), masked(0x00, b"c"), masked(0x80, b"d")],
            vec![Event::Binary(b"abcd".to_vec())],
        ),
        (
            vec![masked(0x01, b"Hel"), masked(0x89, b"x"), masked(0x00, b"l"), masked(0x8a, b""), masked(0x80, b"o")],
            vec![Event::Ping(b"x".to_vec()), Event::Pong(vec![]), text("Hello")],
        ),
        (vec![masked(0x89, &[7; 125])], vec![Event::Ping(vec![7; 125])]),
        // Characters cut by fragments.
        (vec![masked(0x01, b"\xe2"), masked(0x00, b"\x82"), masked(0x80, b"\xac")], vec![text("€")]),
        (vec![masked(0x81, "κόσμε 𝄞".as_bytes())], vec![text("κόσμε 𝄞")]),
        // Nothing comes after a close frame, whatever follows it.
        (
            vec![masked(0x88, b""), masked(0x81, b"late"), b"\xff\xff\xff\xff".to_vec()],
            vec![close(CloseCode::NO_STATUS, "")],
        ),
        (vec![masked(0x01, b"cut"), masked(0x88, b"\x03\xe9bye")], vec![close(CloseCode::GOING_AWAY, "bye")]),
    ];
    for (frames, events) in table {
        let outcome = feed::events(SERVER, &frames.concat());
        assert_eq!((outcome.events, outcome.error), (events.clone(), None));
    }
}

#[test]
fn a_client_reads_frames_that_are_not_masked() {
    let outcome = feed::events(Role::Client, &[plain(0x01, b"Hel"), plain(0x89, b""), plain(0x80, b"lo")].concat());
    assert_eq!((outcome.events, outcome.error), (vec![Event::Ping(vec![]), text("Hello")], None));
}

/// RFC 6455 section 5.7.
#[test]
fn the_examples_of_the_standard() {
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    let mask = Some(KEY);
    let table: &[(Vec<u8>, &[u8])] = &[
        (encoded(&|out| encode_message(Kind::Text, b"Hello", None, out)), b"\x81\x05Hello"),
        (
            encoded(&|out| encode_message(Kind::Text, b"Hello", mask, out)),
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        ),
        (encoded(&|out| encode_ping(b"Hello", None, out)), b"\x89\x05Hello"),
        (encoded(&|out| encode_pong(b"Hello", mask, out)), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        (encoded(&|out| encode_close(CloseCode::NO_STATUS, "unsaid", None, out)), b"\x88\x00"),
        (encoded(&|out| encode_close(CloseCode::GOING_AWAY, "", None, out)), b"\x88\x02\x03\xe9"),
    ];
    for (encoded, expected) in table {
        assert_eq!(encoded.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
    let mut long = Vec::new();
    encode_message(Kind::Binary, &[0; 256], None, &mut long);
    assert_eq!(&long[..4], b"\x82\x7e\x01\x00");
    long.clear();
    encode_message(Kind::Binary, &[0; 65536], None, &mut long);
    assert_eq!(&long[..10], b"\x82\x7f\0\0\0\0\0\x01\0\0");
}

#[test]
fn what_is_encoded_by_hand_and_here_is_the_same() {
    for length in [0, 1, 125, 126, 65535, 65536] {
        let payload = vec![b'x'; length];
        let (mut server, mut client) = (b"before".to_vec(), Vec::new());
        encode_message(Kind::Text, &payload, None, &mut server);
        encode_message(Kind::Binary, &payload, Some(KEY), &mut client);
        assert_eq!(server[6..], plain(0x81, &payload));
        assert_eq!(client, masked(0x82, &payload));
    }
}

#[test]
fn control_payloads_are_cut() {
    let mut out = Vec::new();
    encode_ping(&[1; 126], None, &mut out);
    encode_close(CloseCode::NORMAL, &"é".repeat(100), None, &mut out);
    let outcome = feed::events(Role::Client, &out);
    assert_eq!(outcome.events, [Event::Ping(vec![1; 125]), close(CloseCode::NORMAL, &"é".repeat(61))]);
}

#[test]
fn messages_as_large_as_they_may_be() {
    let reader = || Reader::new(SERVER, 10, None);
    let outcome = feed::everywhere(&masked(0x82, &[0; 10]), reader);
    assert_eq!(outcome.events, [Event::Binary(vec![0; 10])]);
    let outcome = feed::everywhere(&[masked(0x02, &[0; 9]), masked(0x80, &[0; 1])].concat(), reader);
    assert_eq!(outcome.events, [Event::Binary(vec![0; 10])]);
    let outcome = feed::everywhere(&masked(0x82, &[]), || Reader::new(SERVER, 0, None));
    assert_eq!(outcome.events, [Event::Binary(vec![])]);
}
