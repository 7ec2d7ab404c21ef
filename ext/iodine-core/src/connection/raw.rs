//! A raw connection: what comes is told as it comes, and what is written leaves as it is.

use std::time::Instant;

use bytes::Bytes;
use iodine_proto::websocket::{Close, Kind};

use super::Turn;
use super::live::Live;
use crate::client::{Client, Event, abnormal};
use crate::net::write_queue::WriteQueue;
use crate::settings::WriteLimits;

pub(crate) struct Raw {
    pub(super) live: Live,
    /// What the client is told first, once the peers understand each other.
    greeting: Option<Event>,
}

impl Raw {
    /// `first` is what the client is told first, unless it knows that already.
    pub(super) fn new(client: Client, writes: WriteLimits, first: Option<Event>, turn: &mut Turn) -> Self {
        let mut live = Live::new(client, writes, first, turn);
        live.note_written();
        Self { live, greeting: None }
    }

    /// One that begins with a handshake. Its client is told nothing before that is done.
    pub(super) fn after_handshake(client: Client, writes: WriteLimits, first: Event, turn: &mut Turn) -> Self {
        Self { live: Live::new(client, writes, None, turn), greeting: Some(first) }
    }

    /// The handshake is done.
    pub(super) fn begin(&mut self, turn: &mut Turn) {
        if let Some(first) = self.greeting.take() {
            self.live.tell(first, turn);
            self.live.note_written();
        }
    }

    /// Takes what has arrived.
    pub(super) fn receive(&mut self, data: &[u8], turn: &mut Turn) {
        if !data.is_empty() {
            self.live.alive_at = turn.now;
            self.live.tell(Event::Message(Kind::Binary, data.to_vec()), turn);
        }
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
        if !self.live.is_finished() {
            self.live.finish(close, turn);
        }
    }

    /// A peer that has closed its side may wait for the answer to what it sent, so the application has the last word.
    pub(super) fn end_of_input(&mut self, turn: &mut Turn) {
        self.live.tell(Event::EndOfInput, turn);
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.live.is_finished() && !self.live.is_backed_up()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.live.silent_too_long_at()
    }

    pub(super) fn time_out(&mut self, turn: &mut Turn) {
        self.live.alive_at = turn.now;
        if self.live.is_busy() {
            // The silence may be the application's own.
        } else if self.live.wants_ping() {
            self.live.tell(Event::Ping, turn);
        } else {
            log::debug!("a raw connection is closed: its peer was silent for too long");
            self.live.finish(abnormal(), turn);
        }
    }
}
