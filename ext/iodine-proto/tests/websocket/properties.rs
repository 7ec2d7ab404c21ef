//! Whatever comes: no panic, and the same outcome however it is cut. Whatever is sent is read.

use iodine_proto::websocket::{Deflate, DeflateSettings, Deflater, Encoder, Kind, Reader, Role};
use proptest::prelude::*;

use crate::feed::{self, KEY, both, event, masked, plain};

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

/// Frames that are good more often than chance would have it.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![8 => prop::sample::select(FIRST), 1 => any::<u8>()];
    let payload = prop_oneof![
        4 => prop::sample::select(PAYLOADS).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    let frame = (first, payload, prop::bool::weighted(0.95))
        .prop_map(|(first, payload, masks)| if masks { masked(first, &payload) } else { plain(first, &payload) });
    prop::collection::vec(frame, 0..10).prop_map(|frames| frames.concat())
}

fn messages() -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
    let text = prop::string::string_regex("[a-cé€𝄞]{0,300}").unwrap();
    let message = prop_oneof![
        text.prop_map(|text| (Kind::Text, text.into_bytes())),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|data| (Kind::Binary, data)),
        (any::<u8>(), 0..7000usize).prop_map(|(byte, length)| (Kind::Binary, vec![byte; length])),
    ];
    prop::collection::vec(message, 0..8)
}

fn readers() -> [fn(usize) -> Reader; 3] {
    [
        |max| Reader::new(Role::Server, max, None),
        |max| Reader::new(Role::Server, max, both(15, true)),
        |max| Reader::new(Role::Server, max, both(9, false)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..300), places in places()) {
        for reader in readers() {
            prop_assert_eq!(feed::pieces(&cut(&input, &places), reader(500)), feed::pieces(&[&input], reader(500)));
        }
        let client = || Reader::new(Role::Client, 500, both(15, true));
        prop_assert_eq!(feed::pieces(&cut(&input, &places), client()), feed::pieces(&[&input], client()));
    }

    #[test]
    fn likely_frames(input in frames(), places in places(), max in 0..600usize) {
        for reader in readers() {
            prop_assert_eq!(feed::pieces(&cut(&input, &places), reader(max)), feed::pieces(&[&input], reader(max)));
        }
    }

    #[test]
    fn any_bytes_inflated(input in prop::collection::vec(any::<u8>(), 0..300), first in any::<bool>(), places in places()) {
        let input = masked(if first { 0xc1 } else { 0xc2 }, &input);
        for reader in readers() {
            prop_assert_eq!(feed::pieces(&cut(&input, &places), reader(500)), feed::pieces(&[&input], reader(500)));
        }
    }

    #[test]
    fn what_is_sent_is_read(
        messages in messages(), bits in 8..=15u8, takeover in any::<bool>(), deflate in any::<bool>(), places in places()
    ) {
        let deflate = both(bits, takeover && bits > 8).filter(|_| deflate);
        let deflate = deflate.map(|deflate| Deflate { min_size: 10, ..deflate });
        let mut shared = Deflater::new(&DeflateSettings::default());
        let mut encoder = Encoder::new(deflate);
        let mut wire = Vec::new();
        for (kind, payload) in &messages {
            encoder.message(*kind, payload, Some(KEY), &mut shared, &mut wire);
        }
        let outcome = feed::pieces(&cut(&wire, &places), Reader::new(Role::Server, 7000, deflate));
        let expected: Vec<_> = messages.iter().map(|(kind, payload)| event(*kind, payload)).collect();
        prop_assert_eq!((outcome.events, outcome.error), (expected, None));
    }
}

const FIRST: &[u8] = &[0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89, 0x8a, 0xc1, 0xc2, 0x41, 0x42, 0x88];

const PAYLOADS: &[&[u8]] = &[
    b"",
    b"Hello",
    b"\xc3",
    b"\xa9",
    b"\xe2\x82\xac",
    b"\x03\xe8bye",
    b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\xf2\x48\xcd",
    b"\xc9\xc9\x07\x00",
    b"\xf2\x00\x11\x00\x00",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\x00",
    b"\x00\x05\x00\xfa\xff",
    &[b'a'; 126],
];
