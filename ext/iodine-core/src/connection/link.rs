//! The connection of a worker and its master, at either end of it.

use bytes::Bytes;
use iodine_proto::cluster::{FrameReader, Frames};

use super::Turn;
use crate::net::write_queue::WriteQueue;
use crate::reactor::ConnectionId;
use crate::settings::WriteLimits;

/// Bytes of frames in the write queue, at most: what comes later can still overtake the others.
const IN_WRITING: usize = 128 << 10;

pub(crate) struct Link {
    reader: FrameReader,
    frames: Frames,
    /// Bytes of packets that may wait for the other process, beyond which others are dropped; and for how long that one
    /// may take nothing, after which it is cut off.
    limits: WriteLimits,
    dropped: u64,
    finished: bool,
}

impl Link {
    pub(super) fn new(limits: WriteLimits) -> Self {
        Self { reader: FrameReader::default(), frames: Frames::default(), limits, dropped: 0, finished: false }
    }

    /// Queues a packet behind those of its lane; whatever its size when none waits. `Some`: there was no room, as so many times before.
    pub(super) fn send(&mut self, lane: &[u8], packet: Bytes) -> Option<u64> {
        if !self.frames.is_empty() && self.frames.bytes() + packet.len() > self.limits.max_pending {
            self.dropped += 1;
            return Some(self.dropped);
        }
        self.frames.push(lane, packet);
        None
    }

    /// Takes what has arrived.
    pub(super) fn receive(&mut self, id: ConnectionId, mut data: &[u8], turn: &mut Turn) {
        while !self.finished {
            match self.reader.read(&mut data) {
                Ok(None) => return,
                Ok(Some(packet)) => turn.packets.push((id, packet)),
                Err(error) => {
                    log::error!("what another process of the cluster has sent cannot be read: {error}");
                    self.finished = true;
                }
            }
        }
    }

    pub(super) fn end_of_input(&mut self) {
        self.finished = true;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether nothing waits to be put into the write queue.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Puts frames into the write queue if there is room. False: there are none.
    pub(super) fn refill(&mut self, out: &mut WriteQueue) -> bool {
        let room = IN_WRITING.saturating_sub(out.memory());
        self.frames.write(room, |bytes| out.push_shared(bytes));
        !out.is_empty()
    }

    /// What waits is bounded before it is written.
    pub(super) fn writes(&self) -> WriteLimits {
        WriteLimits { max_pending: usize::MAX, ..self.limits }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUND: usize = 1000;

    fn link() -> Link {
        Link::new(WriteLimits { max_pending: BOUND, timeout: Duration::from_secs(1) })
    }

    fn packet(size: usize) -> Bytes {
        vec![0; size].into()
    }

    #[test]
    fn packets_beyond_the_bound_are_dropped_and_counted() {
        for (size, expected) in [(BOUND - 1, None), (BOUND, None), (BOUND + 1, Some(1))] {
            let mut link = link();
            assert_eq!(link.send(b"a", packet(1)), None);
            assert_eq!(link.send(b"a", packet(size - 1)), expected, "{size}");
        }
        let mut link = link();
        assert_eq!(link.send(b"a", packet(BOUND + 1)), None, "one passes whatever its size");
        assert_eq!(link.send(b"b", packet(1)), Some(1));
        assert_eq!(link.send(b"b", packet(1)), Some(2));
    }
}
