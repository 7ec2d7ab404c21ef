//! The opening handshake at a client.

use iodine_proto::websocket::{ClientHandshake, DeflateSettings, Opened, RequestError, ResponseError};

use crate::feed::by_default;

const NONCE: [u8; 16] = *b"the sample nonce";
const LINE: &str = "HTTP/1.1 101 Switching Protocols";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Fields<'a> = &'a [(&'a str, &'a str)];

fn request(
    handshake: &mut ClientHandshake,
    target: &str,
    host: &str,
    fields: Fields<'_>,
) -> Result<String, RequestError> {
    let mut out = b"before".to_vec();
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let result = handshake.request(target, host, fields, &mut out);
    let written = String::from_utf8(out[6..].to_vec()).unwrap();
    result.map(|()| written.clone()).inspect_err(|_| assert_eq!(written, "", "an error writes nothing"))
}

fn response(handshake: &ClientHandshake, lines: &[&str]) -> Result<Option<Opened>, ResponseError> {
    let input: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let whole = handshake.response(input.as_bytes());
    for end in 0..input.len() {
        let part = handshake.response(&input.as_bytes()[..end]);
        assert!(part == Ok(None) || part == whole, "{lines:?} to {end}: {part:?}");
    }
    whole
}

#[test]
fn requests() {
    let mut handshake = ClientHandshake::new(NONCE, None);
    assert_eq!(
        request(&mut handshake, "/a?b=c", "[::1]:3000", &[("Cookie", "a=b"), ("Origin", "http://a")]).unwrap(),
        "GET /a?b=c HTTP/1.1\r\n\
         host: [::1]:3000\r\n\
         upgrade: websocket\r\n\
         connection: Upgrade\r\n\
         sec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Cookie: a=b\r\n\
         Origin: http://a\r\n\
         \r\n"
    );
    let mut handshake = ClientHandshake::new(NONCE, Some(DeflateSettings::default()));
    let offer = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits\r\n";
    assert!(request(&mut handshake, "/", "a", &[]).unwrap().contains(offer));
}

#[test]
fn requests_that_cannot_be_written() {
    let table: &[(&str, &str, Fields<'_>, RequestError)] = &[
        ("", "a", &[], RequestError::Target),
        ("a", "a", &[], RequestError::Target),
        ("/a b", "a", &[], RequestError::Target),
        ("/\r\n", "a", &[], RequestError::Target),
        ("/a#b", "a", &[], RequestError::Target),
        ("/", "", &[], RequestError::Host),
        ("/", "a\r\nb: c", &[], RequestError::Host),
        ("/", "a", &[("", "a")], RequestError::FieldName),
        ("/", "a", &[("a:", "a")], RequestError::FieldName),
        ("/", "a", &[("Host", "a")], RequestError::FieldName),
        ("/", "a", &[("Sec-WebSocket-Key", "a")], RequestError::FieldName),
        ("/", "a", &[("Content-Length", "0")], RequestError::FieldName),
        ("/", "a", &[("a", "b"), ("c", "d\r\ne: f")], RequestError::FieldValue),
    ];
    for (target, host, fields, error) in table {
        let mut handshake = ClientHandshake::new(NONCE, None);
        assert_eq!(request(&mut handshake, target, host, fields), Err(*error), "{target} {host} {fields:?}");
    }
}

#[test]
fn responses() {
    let mut handshake = ClientHandshake::new(NONCE, None);
    request(&mut handshake, "/", "a", &[("Sec-WebSocket-Protocol", "chat, soap"), ("sec-websocket-protocol", "x")])
        .unwrap();
    let protocol = |protocol: Option<&str>| Ok(protocol.map(str::to_owned));
    type Row<'a> = (&'a [&'a str], Result<Option<String>, ResponseError>);
    let table: &[Row<'_>] = &[
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, ""], protocol(None)),
        (
            &["HTTP/1.1 100 Continue", "", "HTTP/1.1 103 ", "a: b", "", LINE, UPGRADE, CONNECTION, ACCEPT, ""],
            protocol(None),
        ),
        (&[LINE, "upgrade: WebSocket", "connection: keep-alive, upgrade", ACCEPT, ""], protocol(None)),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: soap", ""], protocol(Some("soap"))),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: x", ""], protocol(Some("x"))),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: ", ""], Err(ResponseError::Protocol)),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: soap, x", ""], Err(ResponseError::Protocol)),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: Chat", ""], Err(ResponseError::Protocol)),
        (
            &[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: soap", "Sec-WebSocket-Protocol: x", ""],
            Err(ResponseError::Protocol),
        ),
        (&[LINE, CONNECTION, ACCEPT, ""], Err(ResponseError::Upgrade)),
        (&[LINE, UPGRADE, ACCEPT, ""], Err(ResponseError::Upgrade)),
        (&[LINE, "Upgrade: h2c", CONNECTION, ACCEPT, ""], Err(ResponseError::Upgrade)),
        (&[LINE, UPGRADE, CONNECTION, ""], Err(ResponseError::Accept)),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, ACCEPT, ""], Err(ResponseError::Accept)),
        (
            &[LINE, UPGRADE, CONNECTION, "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ""],
            Err(ResponseError::Accept),
        ),
        (
            &[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate", ""],
            Err(ResponseError::Extensions),
        ),
        (&[LINE, UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: ;", ""], Err(ResponseError::Extensions)),
        (&["HTTP/1.1 200 OK", UPGRADE, CONNECTION, ACCEPT, ""], Err(ResponseError::Status(200))),
        (&["HTTP/1.1 302 Found", "Location: /", ""], Err(ResponseError::Status(302))),
        (&["HTTP/1.1 426 Upgrade Required", "Sec-WebSocket-Version: 8", ""], Err(ResponseError::Status(426))),
        (&["HTTP/1.0 101 Switching Protocols", UPGRADE, CONNECTION, ACCEPT, ""], Err(ResponseError::Status(101))),
        (&["SSH-2.0-OpenSSH", ""], Err(ResponseError::Malformed)),
        (&[LINE, "a b: c", ""], Err(ResponseError::Malformed)),
    ];
    for (lines, expected) in table {
        let opened = response(&handshake, lines);
        assert_eq!(opened.map(|opened| opened.unwrap().protocol), *expected, "{lines:?}");
    }
}

#[test]
fn compression_is_what_was_offered() {
    let handshake = ClientHandshake::new(NONCE, Some(DeflateSettings::default()));
    let answer = |extensions: &str| {
        let extensions = format!("Sec-WebSocket-Extensions: {extensions}");
        response(&handshake, &[LINE, UPGRADE, CONNECTION, ACCEPT, &extensions, ""])
            .map(|opened| opened.unwrap().deflate)
    };
    assert_eq!(answer(""), Ok(None));
    assert_eq!(answer("permessage-deflate; server_no_context_takeover"), Ok(by_default()));
    for wrong in [
        "permessage-deflate",
        "permessage-bzip2",
        "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; unknown",
    ] {
        assert_eq!(answer(wrong), Err(ResponseError::Extensions), "{wrong}");
    }
}

#[test]
fn endless_responses() {
    let handshake = ClientHandshake::new(NONCE, None);
    let mut input = b"HTTP/1.1 101 x\r\n".to_vec();
    input.resize(32 * 1024, b'a');
    assert_eq!(handshake.response(&input), Ok(None));
    input.push(b'a');
    assert_eq!(handshake.response(&input), Err(ResponseError::TooLarge));
    let fields = format!("{LINE}\r\n{}\r\n", "a: b\r\n".repeat(129));
    assert_eq!(handshake.response(fields.as_bytes()), Err(ResponseError::TooLarge));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2000);
    assert_eq!(handshake.response(interim.as_bytes()), Err(ResponseError::TooLarge));
}
