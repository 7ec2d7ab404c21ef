use std::collections::BTreeSet;

use bytes::Bytes;
use iodine_proto::cluster::{Filter, FrameReader, Frames, Packet, Publication, Reach};

use crate::input::{Input, cut};

/// Packets until the end or the error.
fn read(pieces: &[&[u8]]) -> (Vec<Bytes>, bool) {
    let mut reader = FrameReader::default();
    let mut packets = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match reader.read(&mut rest) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(_) => return (packets, false),
            }
        }
    }
    (packets, true)
}

pub(crate) fn frames_may_be_cut_anywhere(bytes: &[u8]) {
    let (whole, pieces) = cut(bytes);
    let read = read(&pieces);
    assert_eq!(read, self::read(&[whole]));
    for packet in read.0 {
        if let Ok(packet) = Packet::decode(&packet) {
            assert_eq!(Packet::decode(&packet.encode()).as_ref(), Ok(&packet));
        }
    }
}

pub(crate) fn what_is_sent_is_read(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut frames = Frames::default();
    let mut lanes = [Vec::new(), Vec::new()];
    while !input.is_empty() {
        let lane = input.below(lanes.len());
        let packet = packet(&mut input);
        frames.push(&[lane as u8], packet.encode());
        lanes[lane].push(packet);
    }
    let mut wire = Vec::new();
    frames.write(usize::MAX, |bytes| wire.extend_from_slice(&bytes));
    let (packets, is_whole) = read(&[&wire]);
    assert!(is_whole && packets.len() == lanes.iter().map(Vec::len).sum::<usize>());
    // How many may have come of the first lane: the same packet may be the next one of both.
    let mut taken = BTreeSet::from([0]);
    for (read, packet) in packets.iter().enumerate() {
        let packet = Packet::decode(packet).expect("what was encoded");
        let is_next = |lane: usize, index: usize| lanes[lane].get(index) == Some(&packet);
        let of_first = taken.iter().filter(|first| is_next(0, **first)).map(|first| first + 1);
        let of_second = taken.iter().filter(|first| is_next(1, read - **first)).copied();
        taken = of_first.chain(of_second).collect();
        assert!(!taken.is_empty(), "out of its order: {packet:?}");
    }
}

fn packet(input: &mut Input<'_>) -> Packet {
    let name = |input: &mut Input<'_>| Bytes::copy_from_slice(input.bytes());
    match input.below(5) {
        0 => Packet::Publication(Publication {
            reach: if input.any() { Reach::All } else { Reach::Receiver },
            filter: match input.below(3) {
                0 => Filter::None,
                1 => Filter::Channel,
                _ => Filter::Pattern(name(input)),
            },
            id: input.any(),
            published: input.any(),
            channel: name(input),
            // Longer than a frame, at times.
            payload: name(input).repeat(1 + input.below(3) * 40_000).into(),
        }),
        1 => Packet::Count { name: name(input), is_pattern: input.any(), count: input.any() },
        2 => Packet::Relay { engine: input.any(), channel: name(input), payload: name(input) },
        3 => Packet::Call { engine: input.any(), call: input.any(), body: name(input) },
        _ => Packet::Reply { call: input.any(), body: name(input) },
    }
}
