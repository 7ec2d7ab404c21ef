//! Heads that are served, and what is understood of them.

use iodine_proto::http1::{BodyLength, Head, HeadLimits, HeadReader, Version};

use crate::feed;

/// The one head in `input`, described.
fn described(input: &str) -> String {
    let outcome = feed::heads(input.as_bytes(), HeadLimits::default());
    assert_eq!(outcome.end, Ok(input.len()), "{input:?}");
    assert_eq!(outcome.read.len(), 1, "{input:?}");
    outcome.read[0].clone()
}

/// The head of a request with these field lines.
fn with(version: &str, fields: &str) -> Head {
    let input = format!("POST /a HTTP/{version}\r\n{fields}\r\n");
    described(&input);
    let mut head = Head::default();
    HeadReader::new(HeadLimits::default()).read(input.as_bytes(), &mut head).unwrap();
    head
}

#[test]
fn served() {
    let table = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / ?  HTTP/1.1 | a : - | None keep - - | Host=a"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / ?  HTTP/1.0 |  : - | None close - -"),
        ("HEAD /? HTTP/1.1\r\nhOsT:a:80\r\n\r\n", "HEAD / ?  HTTP/1.1 | a : 80 | None keep - - | hOsT=a:80"),
        (
            "get /a%20b?c=d HTTP/1.1\r\nHost:\t [::1]:3000 \t\r\nX: \r\nx:y z\r\n\r\n",
            "get /a%20b ? c=d HTTP/1.1 | [::1] : 3000 | None keep - - | Host=[::1]:3000 | X= | x=y z",
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", //
            "OPTIONS * ?  HTTP/1.1 | a : - | None keep - - | Host=a",
        ),
        ("GET http://b:81/c?d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c ? d HTTP/1.1 | b : 81 | None keep - - | Host=a"),
        ("GET http://b?d HTTP/1.0\r\n\r\n", "GET / ? d HTTP/1.0 | b : - | None close - -"),
        ("GET http://b HTTP/1.1\r\nHost:\r\n\r\n", "GET / ?  HTTP/1.1 | b : - | None keep - - | Host="),
        ("GET / HTTP/1.1\r\nHost: \r\n\r\n", "GET / ?  HTTP/1.1 |  : - | None keep - - | Host="),
        ("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / ?  HTTP/1.1 | a : - | None keep - - | Host=a"),
        (
            "POST / HTTP/1.1\r\nA: \u{e9}\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n",
            "POST / ?  HTTP/1.1 | a : - | Sized(5) keep continue - | \
             A=\\xc3\\xa9 | Host=a | Expect=100-Continue | Content-Length=5",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n",
            "GET / ?  HTTP/1.1 | a : - | None keep - websocket | \
             Host=a | Upgrade=websocket | Connection=keep-alive, Upgrade",
        ),
        (
            "GET /[\"<>\\^`{|}] HTTP/1.1\r\n!#$%&'*+-.^_`|~0aZ: \"(),/:;<=>?@[\\]{}\r\nHost: a\r\n\r\n",
            "GET /[\\\"<>\\\\^`{|}] ?  HTTP/1.1 | a : - | None keep - - | \
             !#$%&\\'*+-.^_`|~0aZ=\\\"(),/:;<=>?@[\\\\]{} | Host=a",
        ),
    ];
    for (input, description) in table {
        assert_eq!(described(input), description, "{input:?}");
    }
}

#[test]
fn raw_bytes_in_the_target_are_kept() {
    let mut head = Head::default();
    let input = b"GET /caf\xe9?\xff HTTP/1.0\r\n\r\n";
    assert_eq!(HeadReader::new(HeadLimits::default()).read(input, &mut head), Ok(Some(input.len())));
    assert_eq!((head.path(), head.query()), (&b"/caf\xe9"[..], &b"\xff"[..]));
}

#[test]
fn body_lengths() {
    let table = [
        ("", BodyLength::None),
        ("Content-Length: 0\r\n", BodyLength::Sized(0)),
        ("content-length:\t007 \r\n", BodyLength::Sized(7)),
        ("Content-Length: 18446744073709551615\r\n", BodyLength::Sized(u64::MAX)),
        ("Transfer-Encoding: chunked\r\n", BodyLength::Chunked),
        ("TRANSFER-ENCODING: Chunked \r\n", BodyLength::Chunked),
        // Names that only look like those of framing fields.
        ("Content_Length: 5\r\nTransfer_Encoding: chunked\r\n", BodyLength::None),
        ("Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", BodyLength::Sized(5)),
        ("X-Content-Length: 5\r\nContent-Lengthy: 6\r\n", BodyLength::None),
        ("Content-Length: 5\r\nTE: chunked\r\n", BodyLength::Sized(5)),
    ];
    for (fields, length) in table {
        assert_eq!(with("1.1", &format!("Host: a\r\n{fields}")).body_length(), length, "{fields:?}");
    }
}

#[test]
fn persistence() {
    let table = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: foo,\tClose ,\r\n", false),
        ("1.1", "Connection: foo\r\nConnection: close\r\n", false),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: closed, \"close\"\r\n", true),
        ("1.1", "Connection: Upgrade\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
    ];
    for (version, fields, keep_alive) in table {
        let head = with(version, &format!("Host: a\r\n{fields}"));
        assert_eq!(head.keep_alive(), keep_alive, "{version} {fields:?}");
    }
}

#[test]
fn expectations() {
    let table = [
        ("1.1", "", false),
        ("1.1", "Expect: 100-continue\r\n", true),
        ("1.1", "EXPECT: 100-CONTINUE\r\n", true),
        ("1.1", "Expect: 100-continued\r\n", false),
        ("1.0", "Expect: 100-continue\r\n", false),
    ];
    for (version, fields, expected) in table {
        let head = with(version, &format!("Host: a\r\n{fields}"));
        assert_eq!(head.expects_continue(), expected, "{version} {fields:?}");
    }
}

#[test]
fn upgrades() {
    let table = [
        ("1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", Some("websocket")),
        ("1.1", "Connection: keep-alive, upgrade\r\nupgrade: WebSocket\r\n", Some("WebSocket")),
        ("1.1", "Upgrade: h2c, websocket\r\nUpgrade: other\r\nConnection: upgrade\r\n", Some("h2c, websocket")),
        ("1.1", "Upgrade: websocket\r\n", None),
        ("1.1", "Upgrade: websocket\r\nConnection: keep-alive\r\n", None),
        ("1.1", "Connection: Upgrade\r\n", None),
        ("1.0", "Upgrade: websocket\r\nConnection: Upgrade\r\n", None),
    ];
    for (version, fields, expected) in table {
        let head = with(version, &format!("Host: a\r\n{fields}"));
        assert_eq!(head.upgrade(), expected.map(str::as_bytes), "{version} {fields:?}");
    }
}

#[test]
fn fields_are_found_by_name() {
    let head = with("1.1", "Host: a\r\nAccept: one\r\naccept: two\r\nX_Y: under\r\n");
    assert_eq!(head.field("ACCEPT"), Some(&b"one"[..]));
    assert_eq!(head.field("x-y"), None);
    assert_eq!(head.field("x_y"), Some(&b"under"[..]));
    assert_eq!(head.fields().count(), 4);
}

#[test]
fn pipelined_heads_are_consumed_exactly() {
    let first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let second = "\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let third = "GET /3 HTTP/1.0\r\n\r\n";
    let input = format!("{first}{second}{third}GET /4 HT");
    let outcome = feed::heads(input.as_bytes(), HeadLimits::default());
    assert_eq!(outcome.end, Ok(first.len() + second.len() + third.len()));
    let methods: Vec<&str> = outcome.read.iter().map(|head| &head[..6]).collect();
    assert_eq!(methods, ["GET /1", "GET /2", "GET /3"]);
}

#[test]
fn what_follows_a_head_is_not_looked_at() {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let mut head = Head::default();
    let input = format!("{request}\0\n\r\r");
    assert_eq!(HeadReader::new(HeadLimits::default()).read(input.as_bytes(), &mut head), Ok(Some(request.len())));
}

#[test]
fn idle_until_the_request_line_begins() {
    let mut reader = HeadReader::new(HeadLimits::default());
    let mut head = Head::default();
    for (input, idle) in [("", true), ("\r", true), ("\r\n", true), ("\r\nG", false), ("\r\nGET ", false)] {
        assert_eq!(reader.read(input.as_bytes(), &mut head), Ok(None));
        assert_eq!(reader.is_idle(), idle, "{input:?}");
    }
    assert!(reader.read(b"\r\nGET / HTTP/1.0\r\n\r\n", &mut head).unwrap().is_some());
    assert!(reader.is_idle());
}

#[test]
fn a_head_is_recycled() {
    let mut head = with("1.1", "Host: a:1\r\nContent-Length: 5\r\nConnection: close\r\n");
    head.clear();
    assert_eq!(feed::describe(&head), feed::describe(&Head::default()));
    let mut reader = HeadReader::new(HeadLimits::default());
    reader.read(b"HEAD /b HTTP/1.0\r\nA: b\r\n\r\n", &mut head).unwrap();
    assert_eq!(feed::describe(&head), "HEAD /b ?  HTTP/1.0 |  : - | None close - - | A=b");
    assert!(head.is_head());
    assert_eq!(head.version(), Version::Http10);
}
