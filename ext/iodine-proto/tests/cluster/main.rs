//! Packets between the processes of a cluster: whole, byte by byte, and in turns.

use bytes::Bytes;
use iodine_proto::cluster::{Error, FrameReader, Frames};
use proptest::prelude::*;

/// All bytes of what waits.
fn wire(frames: &mut Frames) -> Vec<u8> {
    let mut wire = Vec::new();
    frames.write(usize::MAX, |bytes| wire.extend_from_slice(&bytes));
    wire
}

/// The packets in bytes that come in pieces of this size.
fn packets(wire: &[u8], piece: usize) -> Vec<Bytes> {
    let mut reader = FrameReader::default();
    let mut packets = Vec::new();
    for mut input in wire.chunks(piece) {
        while let Some(packet) = reader.read(&mut input).expect("what frames write") {
            packets.push(packet);
        }
        assert!(input.is_empty(), "all is taken");
    }
    packets
}

/// A packet that tells its lane, its number there, and has this size.
fn packet(lane: u8, number: u8, size: usize) -> Bytes {
    let mut bytes = vec![b'.'; size.max(2)];
    bytes[..2].copy_from_slice(&[lane, number]);
    bytes.into()
}

#[test]
fn packets_of_all_sizes_arrive_however_they_are_cut() {
    for size in [2, 100, 65_535, 65_536, 65_537, 200_000] {
        let mut frames = Frames::default();
        frames.push(b"a", packet(b'a', 0, size));
        frames.push(b"a", packet(b'a', 1, 3));
        frames.push(b"a", Bytes::new());
        assert_eq!(frames.bytes(), size + 3);
        let wire = wire(&mut frames);
        assert!(frames.is_empty() && frames.bytes() == 0);
        for piece in [1, 7, 8, 9, 4096, usize::MAX] {
            let received = packets(&wire, piece);
            assert_eq!(received.iter().map(Bytes::len).collect::<Vec<_>>(), [size, 3, 0], "{size} in {piece}");
        }
    }
}

#[test]
fn small_packets_of_other_lanes_overtake_a_large_one() {
    let mut frames = Frames::default();
    frames.push(b"large", packet(b'l', 0, 16 << 20));
    for number in 0..10 {
        frames.push(b"small", packet(b's', number, 100));
    }
    frames.push(b"large", packet(b'l', 1, 100));
    let received: Vec<_> = packets(&wire(&mut frames), 65_536).iter().map(|packet| (packet[0], packet[1])).collect();
    let expected: Vec<_> = (0..10).map(|number| (b's', number)).chain([(b'l', 0), (b'l', 1)]).collect();
    assert_eq!(received, expected);
}

#[test]
fn a_large_packet_gets_on_however_many_small_ones_come() {
    let mut frames = Frames::default();
    frames.push(b"large", packet(b'l', 0, 1 << 20));
    let mut reader = FrameReader::default();
    for _ in 0..40 {
        for number in 0..100 {
            frames.push(b"small", packet(b's', number, 1000));
        }
        let mut wire = Vec::new();
        frames.write(100_000, |bytes| wire.extend_from_slice(&bytes));
        let mut input = &wire[..];
        while let Some(packet) = reader.read(&mut input).unwrap() {
            if packet[0] == b'l' {
                return;
            }
        }
    }
    panic!("the large one did not arrive");
}

#[test]
fn a_large_packet_waits_for_small_ones_of_its_lane() {
    let mut frames = Frames::default();
    for number in 0..200 {
        frames.push(b"a", packet(b'a', number, 60_000));
    }
    frames.push(b"a", packet(b'a', 200, 70_000));
    let received: Vec<_> = packets(&wire(&mut frames), usize::MAX).iter().map(|packet| packet[1]).collect();
    assert_eq!(received, (0..=200).collect::<Vec<_>>());
}

#[test]
fn what_is_never_sent_is_refused() {
    let header = |stream: u16, flags: u16, length: u32| {
        [&stream.to_be_bytes()[..], &flags.to_be_bytes(), &length.to_be_bytes()].concat()
    };
    let mut reader = FrameReader::default();
    assert_eq!(reader.read(&mut &header(0, 1, 65_537)[..]), Err(Error::FrameLength));

    let mut reader = FrameReader::default();
    let chunk = [header(1, 0, 65_536), vec![0; 65_536]].concat();
    let failure = (0..2000).find_map(|_| reader.read(&mut &chunk[..]).err());
    assert_eq!(failure, Some(Error::PacketLength));

    let mut reader = FrameReader::default();
    let failure = (0..5000).find_map(|stream| reader.read(&mut &[header(stream, 0, 1), vec![0]].concat()[..]).err());
    assert_eq!(failure, Some(Error::Streams));
}

proptest! {
    /// Packets of three lanes, pushed and written in any order: each lane keeps its own.
    #[test]
    fn every_lane_keeps_its_order(
        steps in prop::collection::vec((0..3_u8, prop::sample::select(vec![2_usize, 1000, 65_536, 65_537, 150_000]), 0..200_000_usize), 1..40),
        piece in prop::sample::select(vec![9_usize, 1000, 65_536, usize::MAX]),
    ) {
        let mut frames = Frames::default();
        let (mut wire, mut counts) = (Vec::new(), [0_u8; 3]);
        for (lane, size, budget) in steps {
            frames.push(&[lane], packet(lane, counts[usize::from(lane)], size));
            counts[usize::from(lane)] += 1;
            frames.write(budget, |bytes| wire.extend_from_slice(&bytes));
        }
        frames.write(usize::MAX, |bytes| wire.extend_from_slice(&bytes));
        let received = packets(&wire, piece);
        for lane in 0..3 {
            let numbers: Vec<_> = received.iter().filter(|packet| packet[0] == lane).map(|packet| packet[1]).collect();
            prop_assert_eq!(numbers, (0..counts[usize::from(lane)]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn random_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (mut reader, mut input) = (FrameReader::default(), &bytes[..]);
        while let Ok(Some(packet)) = reader.read(&mut input) {
            let _ = iodine_proto::cluster::Packet::decode(&packet);
        }
    }
}
