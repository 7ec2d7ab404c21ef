//! Heads that must be refused, each with its cause and status.

use iodine_proto::http1::{Head, HeadLimits, HeadReader, Refusal};

use crate::feed;

fn assert_refused(input: &[u8], refusal: Refusal) {
    let outcome = feed::heads(input, HeadLimits::default());
    assert_eq!(outcome.end, Err(refusal), "{}", input.escape_ascii());
    assert!(outcome.read.is_empty(), "{}", input.escape_ascii());
}

#[test]
fn request_lines() {
    let table: &[(&[u8], Refusal)] = &[
        (b"\r\n\r\n\r\n\r\n\r\n", Refusal::EmptyLines),
        (b"\n", Refusal::LineEnd),
        (b"\rG", Refusal::LineEnd),
        (b" GET / HTTP/1.1\r\n", Refusal::Method),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Refusal::Method),
        (b"\0", Refusal::Method),
        (b"G\xc3\x89T / HTTP/1.1\r\n", Refusal::Method),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::Version),
        (b"CONNECT example.com:443 HTTP/1.1\r\n", Refusal::Connect),
        (b"GET\r\n", Refusal::RequestLine),
        (b"GET /\r\n", Refusal::RequestLine),
        (b"GET / \r\n", Refusal::RequestLine),
        (b"GET / HTTP/1.1\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1\r\r\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1\rHost: a\r\n", Refusal::LineEnd),
        (b"GET / HTTP/1.1 \r\n", Refusal::RequestLine),
        (b"GET / HTTP/1.1  x\r\n", Refusal::RequestLine),
        (b"GET  / HTTP/1.1\r\n", Refusal::Target),
        (b"GET\t/ HTTP/1.1\r\n", Refusal::Method),
        (b"GET /  HTTP/1.1\r\n", Refusal::RequestLine),
        (b"GET /\tHTTP/1.1\r\n", Refusal::Target),
        (b"GET /a b HTTP/1.1\r\n", Refusal::RequestLine),
        (b"GET / http/1.1\r\n", Refusal::RequestLine),
        (b"GET / HTTP/1\r\n", Refusal::RequestLine),
        (b"GET / HTTP/11\r\n", Refusal::RequestLine),
        (b"GET / HTTP/1.1.1\r\n", Refusal::RequestLine),
        (b"GET / HTTP/+1.1\r\n", Refusal::RequestLine),
        (b"GET / HTTPS/1.1\r\n", Refusal::RequestLine),
        (b"GET / HTTP/1.2\r\n", Refusal::Version),
        (b"GET / HTTP/2.0\r\n", Refusal::Version),
        (b"GET / HTTP/0.9\r\n", Refusal::Version),
        (b"GET /\0 HTTP/1.1\r\n", Refusal::Target),
        (b"GET /\x7f HTTP/1.1\r\n", Refusal::Target),
        (b"GET /#a HTTP/1.1\r\n", Refusal::Target),
        (b"GET /%0 HTTP/1.1\r\n", Refusal::Target),
        (b"GET /?%gg HTTP/1.1\r\n", Refusal::Target),
        (b"GET * HTTP/1.1\r\n", Refusal::Target),
        (b"GET a HTTP/1.1\r\n", Refusal::Target),
        (b"GET ftp://a/ HTTP/1.1\r\n", Refusal::Target),
        (b"GET http://u@a/ HTTP/1.1\r\n", Refusal::Host),
    ];
    for (input, refusal) in table {
        assert_refused(input, *refusal);
    }
}

#[test]
fn field_lines() {
    let table: &[(&[u8], Refusal)] = &[
        (b"a\n", Refusal::LineEnd),
        (b"a: b\n", Refusal::LineEnd),
        (b"a: b\rc: d\r\n", Refusal::LineEnd),
        (b"a: b\r\r\n", Refusal::LineEnd),
        (b"\n", Refusal::LineEnd),
        (b"a: b\r\n\n", Refusal::LineEnd),
        (b"a: b\r\n\r\r\n", Refusal::LineEnd),
        (b"a: \0", Refusal::Control),
        (b"a: \x01", Refusal::Control),
        (b"a: b\x7fc", Refusal::Control),
        (b"a\0: b", Refusal::Control),
        (b" a: b", Refusal::Folding),
        (b"a: b\r\n c", Refusal::Folding),
        (b"a: b\r\n\tc", Refusal::Folding),
        (b"a: b\r\n \r\n", Refusal::Folding),
        (b"a : b\r\n", Refusal::FieldName),
        (b"a\t: b\r\n", Refusal::FieldName),
        (b"a\r\n", Refusal::FieldName),
        (b": b\r\n", Refusal::FieldName),
        (b":\r\n", Refusal::FieldName),
        (b"a b: c\r\n\r\n", Refusal::FieldName),
        (b"a(b): c\r\n\r\n", Refusal::FieldName),
        (b"a\"b: c\r\n\r\n", Refusal::FieldName),
        (b"caf\xc3\xa9: c\r\n\r\n", Refusal::FieldName),
        (b"\xef\xbb\xbfa: c\r\n\r\n", Refusal::FieldName),
    ];
    for (fields, refusal) in table {
        assert_refused(&[b"GET / HTTP/1.1\r\nHost: a\r\n", *fields].concat(), *refusal);
        assert_refused(&[b"GET / HTTP/1.0\r\n", *fields].concat(), *refusal);
    }
}

#[test]
fn hosts() {
    let table = [
        ("1.1", "", Refusal::MissingHost),
        ("1.1", "X-Host: a\r\n", Refusal::MissingHost),
        ("1.1", "Host: a\r\nHost: a\r\n", Refusal::RepeatedHost),
        ("1.1", "Host: a\r\nX: y\r\nhost: b\r\n", Refusal::RepeatedHost),
        ("1.1", "Host:\r\nHost: a\r\n", Refusal::RepeatedHost),
        ("1.0", "Host: a\r\nHost: a\r\n", Refusal::RepeatedHost),
        ("1.1", "Host: a, b\r\n", Refusal::Host),
        ("1.1", "Host: a b\r\n", Refusal::Host),
        ("1.1", "Host: u@a\r\n", Refusal::Host),
        ("1.1", "Host: a/b\r\n", Refusal::Host),
        ("1.1", "Host: http://a\r\n", Refusal::Host),
        ("1.1", "Host: a:65536\r\n", Refusal::Host),
        ("1.1", "Host: a:b\r\n", Refusal::Host),
        ("1.1", "Host: ::1\r\n", Refusal::Host),
        ("1.1", "Host: [::1\r\n", Refusal::Host),
        ("1.0", "Host: <a>\r\n", Refusal::Host),
    ];
    for (version, fields, refusal) in table {
        for target in ["/", "http://b/"] {
            assert_refused(format!("GET {target} HTTP/{version}\r\n{fields}\r\n").as_bytes(), refusal);
        }
    }
}

#[test]
fn framing() {
    let table = [
        ("Content-Length:\r\n", Refusal::ContentLength),
        ("Content-Length: +5\r\n", Refusal::ContentLength),
        ("Content-Length: -5\r\n", Refusal::ContentLength),
        ("Content-Length: 0x5\r\n", Refusal::ContentLength),
        ("Content-Length: 5 5\r\n", Refusal::ContentLength),
        ("Content-Length: 5, 5\r\n", Refusal::ContentLength),
        ("Content-Length: 5,\r\n", Refusal::ContentLength),
        ("Content-Length: 5.0\r\n", Refusal::ContentLength),
        ("Content-Length: 1e3\r\n", Refusal::ContentLength),
        ("Content-Length: 18446744073709551616\r\n", Refusal::ContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", Refusal::RepeatedContentLength),
        ("Content-Length: 5\r\ncontent-length: 6\r\n", Refusal::RepeatedContentLength),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Refusal::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Refusal::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Refusal::LengthAndEncoding),
        ("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", Refusal::LengthAndEncoding),
        ("Transfer-Encoding:\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunkedx\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked;q=1\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked,\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: ,chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked, gzip\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: gzip\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: identity\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: \x0bchunked\r\n", Refusal::Control),
        ("Transfer-Encoding: a b, chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Refusal::TransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", Refusal::UnknownCoding),
        ("Transfer-Encoding: a,b , CHUNKED\r\n", Refusal::UnknownCoding),
    ];
    for (fields, refusal) in table {
        assert_refused(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes(), refusal);
    }
    assert_refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::TransferEncodingVersion);
    assert_refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::TransferEncodingVersion);
}

#[test]
fn refused_without_waiting_for_the_end() {
    // Each ends right after the byte that spoils it.
    let table: &[&[u8]] = &[
        b"\x16",
        b"PRI ",
        b"CONNECT ",
        b"GET x",
        b"GET / X",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\n ",
        b"GET / HTTP/1.1\r\nHost: a\0",
        b"GET / HTTP/1.1\r\nHost: a\n",
        b"GET / HTTP/1.1\r\nHost: a\rb",
        b"GET / HTTP/1.1\r\nHost: a\r\n\t",
        b"GET / HTTP/1.1\r\nHost : a\r\n",
    ];
    for input in table {
        let mut reader = HeadReader::new(HeadLimits::default());
        let mut head = Head::default();
        let before = &input[..input.len() - 1];
        assert_eq!(reader.read(before, &mut head), Ok(None), "{}", before.escape_ascii());
        assert!(reader.read(input, &mut head).is_err(), "{}", input.escape_ascii());
    }
}

#[test]
fn statuses() {
    let table = [
        (Refusal::LineEnd, 400),
        (Refusal::MissingHost, 400),
        (Refusal::LengthAndEncoding, 400),
        (Refusal::BodyTooLarge, 413),
        (Refusal::RequestLineTooLong, 414),
        (Refusal::FieldTooLong, 431),
        (Refusal::TooManyFields, 431),
        (Refusal::HeadTooLarge, 431),
        (Refusal::UnknownCoding, 501),
        (Refusal::Connect, 501),
        (Refusal::Version, 505),
    ];
    for (refusal, status) in table {
        assert_eq!(refusal.status(), status, "{refusal}");
    }
}
