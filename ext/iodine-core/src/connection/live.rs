//! What WebSockets, event streams and raw connections have in common: writes of the application, events for it, and its silence.

use std::time::Instant;

use bytes::Bytes;
use iodine_proto::websocket::Close;

use super::Turn;
use crate::client::{Client, Event};
use crate::net::write_queue::WriteQueue;
use crate::settings::WriteLimits;

pub(crate) struct Live {
    client: Client,
    writes: WriteLimits,
    /// Writes of the application in the write queue.
    queued: usize,
    /// Something was written since the queue was empty.
    has_written: bool,
    /// The last sign of life.
    pub(super) alive_at: Instant,
    finished: bool,
}

impl Live {
    /// `first` is what the client is told before all else, unless it knows that already.
    pub(super) fn new(client: Client, writes: WriteLimits, first: Option<Event>, turn: &mut Turn) -> Self {
        let has_written = first.is_some();
        let live = Self { client, writes, queued: 0, has_written, alive_at: turn.now, finished: false };
        if let Some(first) = first {
            live.tell(first, turn);
        }
        if turn.draining {
            live.tell(Event::Shutdown, turn);
        }
        live
    }

    /// A write of the application.
    pub(super) fn write(&mut self, bytes: Bytes, out: &mut WriteQueue) {
        self.queued += 1;
        self.has_written = true;
        if !self.finished {
            out.push_shared(bytes);
        }
    }

    /// A message that was published.
    pub(super) fn publish(&mut self, bytes: Bytes, out: &mut WriteQueue) {
        self.client.will_send();
        self.write(bytes, out);
    }

    /// Everything that was written has left.
    pub(super) fn flushed(&mut self, turn: &mut Turn) {
        self.client.has_sent(std::mem::take(&mut self.queued));
        if std::mem::take(&mut self.has_written) && !self.finished {
            self.tell(Event::Drained, turn);
        }
    }

    /// The server stops.
    pub(super) fn shut_down(&self, turn: &mut Turn) {
        self.tell(Event::Shutdown, turn);
    }

    /// Nothing more is read or written; tells so the first time.
    pub(super) fn finish(&mut self, close: Close, turn: &mut Turn) {
        self.finished = true;
        self.client.shut();
        self.tell(Event::Close(close), turn);
        turn.left.push(self.client.clone());
    }

    pub(super) fn tell(&self, event: Event, turn: &mut Turn) {
        turn.jobs.extend(self.client.push(event));
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the application is too far behind to be sent more messages.
    pub(super) fn is_backed_up(&self) -> bool {
        self.client.is_full()
    }

    /// When the silence has lasted too long.
    pub(super) fn silent_too_long_at(&self) -> Option<Instant> {
        let timeout = self.client.timeout();
        (!timeout.is_zero()).then(|| self.alive_at + timeout)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the application works for the client, or is about to.
    pub(super) fn is_busy(&self) -> bool {
        self.client.is_busy()
    }

    /// Whether the application wants to be told of silence.
    pub(super) fn wants_ping(&self) -> bool {
        self.client.wants_ping()
    }

    pub(super) fn writes(&self) -> WriteLimits {
        self.writes
    }

    /// A ping goes out.
    pub(super) fn note_written(&mut self) {
        self.has_written = true;
    }
}
