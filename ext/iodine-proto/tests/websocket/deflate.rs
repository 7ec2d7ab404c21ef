//! Compressed messages (RFC 7692).

use iodine_proto::websocket::{
    Deflate, DeflateSettings, Deflater, Encoder, Error, Event, Kind, Publication, Reader, Role, Window, WindowBits,
};

use crate::feed::{self, MAX, both, everywhere, masked, plain, text};

fn keeping() -> Reader {
    Reader::new(Role::Server, MAX, both(15, true))
}

fn forgetting() -> Reader {
    Reader::new(Role::Server, MAX, both(15, false))
}

fn eager() -> DeflateSettings {
    DeflateSettings { min_size: 0, ..DeflateSettings::default() }
}

/// RFC 7692 section 7.2.3.
#[test]
fn the_examples_of_the_standard() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let table: &[(Vec<Vec<u8>>, Vec<Event>)] = &[
        (vec![masked(0xc1, hello)], vec![text("Hello")]),
        (vec![masked(0x41, &hello[..3]), masked(0x80, &hello[3..])], vec![text("Hello")]),
        (
            vec![masked(0x41, &hello[..3]), masked(0x89, b"p"), masked(0x00, b""), masked(0x80, &hello[3..])],
            vec![Event::Ping(b"p".to_vec()), text("Hello")],
        ),
        // A block that is not compressed, a final block, and two blocks.
        (vec![masked(0xc1, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")], vec![text("Hello")]),
        (vec![masked(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")], vec![text("Hello")]),
        (vec![masked(0xc1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")], vec![text("Hello")]),
        // Messages that are not compressed between those that are.
        (vec![masked(0x81, b"Hello"), masked(0xc1, hello), masked(0x81, b"Hello")], vec![text("Hello"); 3]),
        // Empty messages, as the standard has them and as nothing at all.
        (vec![masked(0xc1, b"\x00"), masked(0xc1, hello)], vec![text(""), text("Hello")]),
        (vec![masked(0xc2, b""), masked(0xc1, hello)], vec![Event::Binary(vec![]), text("Hello")]),
        (vec![masked(0x41, b""), masked(0x80, b""), masked(0xc1, hello)], vec![text(""), text("Hello")]),
        (vec![masked(0xc1, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), masked(0xc1, hello)], vec![text("Hello"); 2]),
    ];
    for (frames, events) in table {
        for reader in [keeping, forgetting] {
            let outcome = everywhere(&frames.concat(), reader);
            assert_eq!((outcome.events, outcome.error), (events.clone(), None));
        }
    }
    // The second refers to the first.
    let input = [masked(0xc1, hello), masked(0xc1, b"\xf2\x00\x11\x00\x00")].concat();
    assert_eq!(everywhere(&input, keeping).events, vec![text("Hello"); 2]);
    let outcome = everywhere(&input, forgetting);
    assert_eq!((outcome.events, outcome.error), (vec![text("Hello")], Some(Error::Deflate)));
}

#[test]
fn corrupt_data() {
    let table: &[(&[u8], Error)] = &[
        // A block of the type that does not exist.
        (b"\x06", Error::Deflate),
        // Lengths of a stored block that do not match.
        (b"\x00\x05\x00\x00\x00Hello\x00", Error::Deflate),
        // It refers to bytes before the first.
        (b"\xf2\x00\x11\x00\x00", Error::Deflate),
        // Text that is not UTF-8, stored; cut, and cut by a final block.
        (b"\x00\x02\x00\xfd\xffa\xff\x00", Error::Utf8),
        (b"\x00\x02\x00\xfd\xffa\xc3\x00", Error::Utf8),
        (b"\x01\x02\x00\xfd\xffa\xc3\x00", Error::Utf8),
        // The first mistake counts.
        (b"\x00\x01\x00\xfe\xff\xff\x06", Error::Utf8),
        (b"\x00\x01\x00\xfe\xffa\x06\xff\xff", Error::Deflate),
    ];
    for (payload, error) in table {
        for reader in [keeping, forgetting] {
            let outcome = everywhere(&masked(0xc1, payload), reader);
            assert_eq!((outcome.events, outcome.error), (vec![], Some(*error)), "{}", payload.escape_ascii());
        }
    }
    // Data that ends within a block.
    for end in 1..7 {
        let outcome = everywhere(&masked(0xc2, &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..end]), forgetting);
        assert_eq!((outcome.events, outcome.error), (vec![], Some(Error::Deflate)), "{end}");
    }
}

#[test]
fn text_is_checked_as_it_comes() {
    // A stored block of 100 bytes, of which three have come.
    let outcome = everywhere(b"\xc1\xe9\0\0\0\0\x00\x64\x00\x9b\xffab\xff", keeping);
    assert_eq!(outcome.error, Some(Error::Utf8));
}

#[test]
fn inflated_size() {
    let payload = vec![b'z'; 1001];
    let mut frames = Vec::new();
    Encoder::new(both(15, false)).message(
        Kind::Text,
        &payload,
        Some(feed::KEY),
        &mut Deflater::new(&eager()),
        &mut frames,
    );
    assert!(frames.len() < 50);
    for takeover in [true, false] {
        let with_max = |max| everywhere(&frames, || Reader::new(Role::Server, max, both(15, takeover)));
        assert_eq!(with_max(1000).error, Some(Error::TooBig));
        assert_eq!(with_max(0).error, Some(Error::TooBig));
        assert_eq!(with_max(1001).events, [Event::Text(payload.clone())]);
        assert_eq!(with_max(usize::MAX).events, [Event::Text(payload.clone())]);
    }
}

#[test]
fn small_messages_and_those_that_would_grow_are_sent_as_they_are() {
    let mut shared = Deflater::new(&DeflateSettings::default());
    let mut encoder = Encoder::new(both(15, false).map(|deflate| Deflate { min_size: 100, ..deflate }));
    let noise: Vec<u8> = (0..200u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let table: &[(&[u8], bool)] = &[(b"", false), (&[0; 99], false), (&[0; 100], true), (&noise, false)];
    for (payload, compresses) in table {
        let mut out = Vec::new();
        encoder.message(Kind::Binary, payload, None, &mut shared, &mut out);
        assert_eq!(out[0], if *compresses { 0xc2 } else { 0x82 }, "{}", payload.len());
        let publication = encoder.publication(&mut Publication::new(Kind::Binary, payload), &mut shared);
        assert_eq!(publication, out, "{}", payload.len());
    }
}

#[test]
fn without_agreement_nothing_is_compressed() {
    let mut shared = Deflater::new(&eager());
    let mut out = Vec::new();
    Encoder::new(None).message(Kind::Text, &[b'a'; 5000], None, &mut shared, &mut out);
    assert_eq!(out, plain(0x81, &[b'a'; 5000]));
    let mut publication = Publication::new(Kind::Text, &[b'a'; 5000]);
    assert_eq!(Encoder::new(None).publication(&mut publication, &mut shared), out);
    assert_eq!(publication.payload(), [b'a'; 5000]);
}

#[test]
fn a_publication_is_encoded_once() {
    let mut shared = Deflater::new(&eager());
    let mut publication = Publication::new(Kind::Text, &[b'a'; 5000]);
    let mut frame = |deflate| Encoder::new(deflate).publication(&mut publication, &mut shared);
    let (first, second) = (frame(both(15, false)), frame(both(15, true)));
    assert_eq!(first.as_ptr(), second.as_ptr());
    assert_eq!(first[0], 0xc1);
    assert_eq!(frame(None).as_ptr(), frame(None).as_ptr());
    // A window too small for what the shared compressor did.
    assert_eq!(frame(both(12, false)).as_ptr(), frame(None).as_ptr());
    assert_eq!(frame(both(13, false)).as_ptr(), first.as_ptr());
}

#[test]
fn a_publication_is_compressed_once_for_each_window() {
    let mut publication = Publication::new(Kind::Text, &[b'a'; 5000]);
    let frames: Vec<_> = [15, 12, 15, 12]
        .into_iter()
        .map(|bits| {
            let window = Window { bits: WindowBits::new(bits).unwrap(), takeover: false };
            let mut shared = Deflater::new(&DeflateSettings { outgoing: window, ..eager() });
            Encoder::new(both(bits, false)).publication(&mut publication, &mut shared)
        })
        .collect();
    assert!(frames.iter().all(|frame| frame[0] == 0xc1));
    assert_eq!((frames[0].as_ptr(), frames[1].as_ptr()), (frames[2].as_ptr(), frames[3].as_ptr()));
    assert_ne!(frames[0].as_ptr(), frames[1].as_ptr());
}

#[test]
fn a_context_is_worth_it() {
    let mut shared = Deflater::new(&eager());
    let mut encoder = Encoder::new(both(15, true));
    let message = br#"{"identifier":"{\"channel\":\"RoomChannel\"}","message":{"from":"ann","text":"hi"}}"#;
    let sizes: Vec<usize> = (0..3)
        .map(|_| {
            let mut out = Vec::new();
            encoder.message(Kind::Text, message, None, &mut shared, &mut out);
            out.len()
        })
        .collect();
    assert!(sizes[1] < sizes[0] / 4 && sizes[2] <= sizes[1], "{sizes:?}");
    // A publication costs the context once.
    encoder.publication(&mut Publication::new(Kind::Text, &[b'a'; 500]), &mut shared);
    let mut size = || {
        let mut out = Vec::new();
        encoder.message(Kind::Text, message, None, &mut shared, &mut out);
        out.len()
    };
    assert_eq!([size(), size()], sizes[..2]);
}

/// RFC 7692 section 7.2.3.6.
#[test]
fn empty_messages_have_a_byte() {
    let mut shared = Deflater::new(&eager());
    let mut encoder = Encoder::new(both(15, true));
    let mut out = Vec::new();
    (0..3).for_each(|_| encoder.message(Kind::Text, b"", None, &mut shared, &mut out));
    assert_eq!(out, b"\xc1\x01\x00".repeat(3));
}

/// What the peer's window cannot hold is not referred to.
#[test]
fn a_window_is_not_exceeded() {
    let mut shared = Deflater::new(&eager());
    let noise: Vec<u8> = (0..800u32).map(|at| (at.wrapping_mul(at).wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (first, between) = noise.split_at(200);
    for (bits, is_remembered) in [(9, false), (11, true), (15, true)] {
        let mut encoder = Encoder::new(both(bits, true));
        let mut size = |payload: &[u8]| {
            let mut out = Vec::new();
            encoder.message(Kind::Binary, payload, None, &mut shared, &mut out);
            out.len()
        };
        let sizes = [size(first), size(between), size(first)];
        assert!(sizes[0] > 150, "noise: {sizes:?}");
        assert_eq!(sizes[2] < 50, is_remembered, "{bits}: {sizes:?}");
    }
}

#[test]
fn without_context_a_message_as_large_as_the_window_fits() {
    let mut shared = Deflater::new(&eager());
    let mut encoder = Encoder::new(both(8, false));
    for (length, first) in [(255, 0xc2), (256, 0xc2), (257, 0x82)] {
        let mut out = Vec::new();
        encoder.message(Kind::Binary, &vec![0; length], None, &mut shared, &mut out);
        assert_eq!(out[0], first, "{length}");
    }
}
