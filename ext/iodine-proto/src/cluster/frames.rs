//! Packets on their way out.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::{CHUNK, HEADER, LAST};

/// Packets that wait to be sent, cut into frames.
///
/// Packets of one lane leave in the order in which they came. A packet of more than one frame does not hold up those of
/// other lanes: they go in turns.
#[derive(Default)]
pub struct Frames {
    small: VecDeque<Bytes>,
    large: VecDeque<Lane>,
    /// Small packets that were ever pushed, and that ever left.
    pushed: u64,
    left: u64,
    /// The next frame is one of a large packet, if there is one.
    is_turn_of_large: bool,
    bytes: usize,
    next_stream: u16,
}

/// A lane whose next packet is a large one.
struct Lane {
    stream: u16,
    name: Bytes,
    /// What is left of that packet.
    packet: Bytes,
    behind: VecDeque<Bytes>,
    /// Small packets that have to leave before: some may be of this lane.
    after: u64,
}

impl Frames {
    /// Appends a packet to a lane.
    pub fn push(&mut self, lane: &[u8], packet: Bytes) {
        self.bytes += packet.len();
        if let Some(lane) = self.large.iter_mut().find(|large| large.name == lane) {
            lane.behind.push_back(packet);
        } else if packet.len() <= CHUNK {
            self.pushed += 1;
            self.small.push_back(packet);
        } else {
            let (stream, name) = (self.free_stream(), Bytes::copy_from_slice(lane));
            self.large.push_back(Lane { stream, name, packet, behind: VecDeque::new(), after: self.pushed });
        }
    }

    fn free_stream(&mut self) -> u16 {
        loop {
            self.next_stream = self.next_stream.wrapping_add(1).max(1);
            if self.large.iter().all(|lane| lane.stream != self.next_stream) {
                return self.next_stream;
            }
        }
    }

    /// Bytes of the packets that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Hands out the bytes of whole frames, until there are at least `enough` or nothing is left.
    pub fn write(&mut self, enough: usize, mut out: impl FnMut(Bytes)) {
        let mut written = 0;
        while written < enough && !self.is_empty() {
            let has_turn = std::mem::take(&mut self.is_turn_of_large) || self.small.is_empty();
            written += match self.large.iter().position(|lane| has_turn && lane.after <= self.left) {
                Some(at) => self.write_large(at, &mut out),
                None => self.write_small(&mut out),
            };
        }
    }

    /// Some small packets: about as many bytes as a large one has a frame.
    fn write_small(&mut self, out: &mut impl FnMut(Bytes)) -> usize {
        let mut frames = BytesMut::new();
        while let Some(packet) = self.small.pop_front() {
            put_frame(&mut frames, 0, LAST, &packet);
            self.left += 1;
            self.bytes -= packet.len();
            if frames.len() >= CHUNK {
                break;
            }
        }
        self.is_turn_of_large = true;
        let written = frames.len();
        out(frames.freeze());
        written
    }

    /// One frame of a lane, which then goes behind the others.
    fn write_large(&mut self, at: usize, out: &mut impl FnMut(Bytes)) -> usize {
        let Some(mut lane) = self.large.remove(at) else { return 0 };
        let chunk = lane.packet.split_to(lane.packet.len().min(CHUNK));
        self.bytes -= chunk.len();
        let is_last = lane.packet.is_empty();
        let mut header = BytesMut::with_capacity(HEADER);
        put_header(&mut header, lane.stream, if is_last { LAST } else { 0 }, chunk.len());
        out(header.freeze());
        let written = HEADER + chunk.len();
        out(chunk);
        if is_last && let Some(next) = lane.behind.pop_front() {
            lane.packet = next;
            self.large.push_back(lane);
        } else if !is_last {
            self.large.push_back(lane);
        }
        written
    }
}

fn put_frame(out: &mut BytesMut, stream: u16, flags: u16, payload: &[u8]) {
    out.reserve(HEADER + payload.len());
    put_header(out, stream, flags, payload.len());
    out.extend_from_slice(payload);
}

fn put_header(out: &mut BytesMut, stream: u16, flags: u16, length: usize) {
    out.put_u16(stream);
    out.put_u16(flags);
    out.put_u32(length as u32);
}
