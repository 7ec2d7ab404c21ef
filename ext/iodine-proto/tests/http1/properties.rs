//! Whatever comes: no panic, and the same outcome however it is cut.

use iodine_proto::http1::{BodyLength, HeadLimits};
use proptest::prelude::*;

use crate::feed;

/// Bytes that are HTTP more often than chance would have it.
fn fragments(of: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        8 => prop::sample::select(of).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(fragment, 0..16).prop_map(|fragments| fragments.concat())
}

/// The input in pieces, cut at these places.
fn cut<'a>(input: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(input.len() + 1)).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}

fn places() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..6)
}

/// Heads of which many have the same field lines, some of them refused.
fn whole_head() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::sample::select(REQUEST_LINES);
    (lines, prop::sample::select(BLOCKS)).prop_map(|(line, block)| format!("{line}\r\n{block}\r\n").into_bytes())
}

const REQUEST_LINES: &[&str] = &[
    "GET / HTTP/1.1",
    "GET /a/longer/path?with=a&query HTTP/1.1",
    "HEAD / HTTP/1.0",
    "GET http://other:1/ HTTP/1.1",
    "POST / HTTP/1.1",
    "OPTIONS * HTTP/1.1",
];

const BLOCKS: &[&str] = &[
    "Host: a\r\n",
    "Host: a:80\r\nConnection: keep-alive\r\nAccept: */*\r\n",
    "Host:\r\nX-Empty:\r\n",
    "Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
    "Host: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n",
    "Host: a\r\nTransfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_heads(input in prop::collection::vec(any::<u8>(), 0..300), places in places()) {
        let limits = HeadLimits::default();
        prop_assert_eq!(feed::heads_of_pieces(&cut(&input, &places), limits), feed::heads_of_pieces(&[&input], limits));
    }

    #[test]
    fn likely_bytes_as_heads(input in fragments(HEAD), places in places(), line in 10..60usize, block in 40..160usize) {
        for limits in [HeadLimits::default(), HeadLimits { line, fields: 3, block }] {
            let whole = feed::heads_of_pieces(&[&input], limits);
            prop_assert_eq!(feed::heads_of_pieces(&cut(&input, &places), limits), whole);
        }
    }

    #[test]
    fn a_head_means_the_same_behind_others(heads in prop::collection::vec(whole_head(), 1..8), block in 60..200usize) {
        for limits in [HeadLimits::default(), HeadLimits { block, ..HeadLimits::default() }] {
            let mut alone = Vec::new();
            for head in &heads {
                let outcome = feed::heads_of_pieces(&[head], limits);
                alone.extend(outcome.read);
                if outcome.end.is_err() {
                    break;
                }
            }
            prop_assert_eq!(feed::heads_of_pieces(&[&heads.concat()], limits).read, alone);
        }
    }

    #[test]
    fn any_bytes_as_a_body(input in prop::collection::vec(any::<u8>(), 0..300), places in places(), max in any::<u64>()) {
        for length in [BodyLength::None, BodyLength::Sized(max / 2), BodyLength::Sized(100), BodyLength::Chunked] {
            let whole = feed::body_of_pieces(&[&input], length, max);
            prop_assert_eq!(feed::body_of_pieces(&cut(&input, &places), length, max), whole);
        }
    }

    #[test]
    fn likely_bytes_as_a_body(input in fragments(CHUNKED), places in places(), max in 0..40u64) {
        let whole = feed::body_of_pieces(&[&input], BodyLength::Chunked, max);
        prop_assert_eq!(feed::body_of_pieces(&cut(&input, &places), BodyLength::Chunked, max), whole);
    }

    #[test]
    fn encoded_chunks_decode(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8)) {
        let mut input = Vec::new();
        for chunk in &chunks {
            iodine_proto::http1::chunk_head(chunk.len(), &mut input);
            input.extend_from_slice(chunk);
            input.extend_from_slice(iodine_proto::http1::CHUNK_END);
        }
        input.extend_from_slice(iodine_proto::http1::LAST_CHUNK);
        let outcome = feed::body(&input, BodyLength::Chunked, u64::MAX);
        prop_assert_eq!(outcome.read, (chunks.concat(), true));
        prop_assert_eq!(outcome.end, Ok(input.len()));
    }
}

const HEAD: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"GET /a?b HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.0\r\n",
    b"GET ",
    b"http://a:1/b ",
    b"/%41 ",
    b"HTTP/1.1\r\n",
    b"HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Host:",
    b"[::1]:80",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close, upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"A: b\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const CHUNKED: &[&[u8]] = &[
    b"0\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5\r\n",
    b"hello",
    b"a",
    b"ffff",
    b"00000000",
    b";a=b",
    b"A: b\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b"\0",
];
