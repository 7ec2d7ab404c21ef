//! Server-Sent Events on one connection: events go out, and what comes in is thrown away.

use std::time::Instant;

use bytes::Bytes;
use iodine_proto::sse;
use iodine_proto::websocket::Close;

use super::Turn;
use super::live::Live;
use crate::client::{Client, Event, abnormal};
use crate::net::write_queue::WriteQueue;
use crate::settings::WriteLimits;

pub(crate) struct Sse {
    pub(super) live: Live,
}

impl Sse {
    pub(super) fn new(client: Client, writes: WriteLimits, turn: &mut Turn) -> Self {
        Self { live: Live::new(client, writes, Some(Event::Open), turn) }
    }

    pub(super) fn write(&mut self, bytes: Bytes, turn: &Turn, out: &mut WriteQueue) {
        self.live.alive_at = turn.now;
        self.live.write(bytes, out);
    }

    /// A message that was published.
    pub(super) fn publish(&mut self, bytes: Bytes, turn: &Turn, out: &mut WriteQueue) {
        self.live.alive_at = turn.now;
        self.live.publish(bytes, out);
    }

    /// The application closes it.
    pub(super) fn close(&mut self, close: Close, turn: &mut Turn) {
        self.live.finish(close, turn);
    }

    /// The peer is gone: one that only has nothing more to say cannot be told from it.
    pub(super) fn end_of_input(&mut self, turn: &mut Turn) {
        self.live.finish(abnormal(), turn);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.live.silent_too_long_at()
    }

    /// Nothing was sent for a while: a comment shows proxies, and this end, that there is a connection.
    pub(super) fn time_out(&mut self, turn: &Turn, out: &mut WriteQueue) {
        self.live.alive_at = turn.now;
        self.live.note_written();
        out.push(sse::PING);
    }
}
