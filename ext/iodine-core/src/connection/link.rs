//! The connection of a worker and its master, at either end of it.

use std::time::Duration;

use bytes::Bytes;
use iodine_proto::cluster::{FrameReader, Frames};

use super::Turn;
use crate::net::write_queue::WriteQueue;
use crate::reactor::ConnectionId;
use crate::settings::WriteLimits;

/// Bytes of packets that may wait for the other process; those on top are dropped.
const MOST_WAITING: usize = 128 << 20;
/// The other process may take nothing for so long; then it is cut off.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of frames in the write queue, at most: what comes later can still overtake the others.
const IN_WRITING: usize = 128 << 10;

pub(crate) struct Link {
    reader: FrameReader,
    frames: Frames,
    dropped: u64,
    finished: bool,
}

impl Link {
    pub(super) fn new() -> Self {
        Self { reader: FrameReader::default(), frames: Frames::default(), dropped: 0, finished: false }
    }

    /// Queues a packet behind those of its lane. `Some`: there was no room, as so many times before.
    pub(super) fn send(&mut self, lane: &[u8], packet: Bytes) -> Option<u64> {
        if !self.frames.is_empty() && self.frames.bytes() + packet.len() > MOST_WAITING {
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

    pub(super) fn writes() -> WriteLimits {
        WriteLimits { max_pending: usize::MAX, timeout: PATIENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_beyond_the_bound_are_dropped_and_counted() {
        let half = Bytes::from(vec![0; MOST_WAITING / 2]);
        let mut link = Link::new();
        assert_eq!(link.send(b"a", half.clone()), None);
        let rest = MOST_WAITING - link.frames.bytes();
        assert_eq!(link.send(b"b", half.slice(..rest)), None, "up to the bound");
        assert_eq!(link.send(b"b", half.slice(..1)), Some(1));
        assert_eq!(link.send(b"c", half.slice(..1)), Some(2));
    }

    #[test]
    fn a_packet_that_is_larger_than_the_bound_goes_alone() {
        let mut link = Link::new();
        assert_eq!(link.send(b"a", Bytes::from(vec![0; MOST_WAITING + 1])), None);
        assert_eq!(link.send(b"a", Bytes::from_static(b"x")), Some(1));
    }
}
