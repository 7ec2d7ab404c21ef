//! A raw connection: what comes is told as it comes, and what is written leaves as it is.

use std::time::Instant;

use bytes::Bytes;
use iodine_proto::websocket::{Close, Kind, Role};

use super::Turn;
use super::live::Live;
use crate::client::{Client, Event, abnormal, broken};
use crate::net::write_queue::WriteQueue;
use crate::settings::WriteLimits;

pub(crate) struct Raw {
    pub(super) live: Live,
    /// What the client is told first, once the peers understand each other.
    greeting: Option<Event>,
}

/// What the client is told first.
pub(crate) enum Greeting {
    /// This, at once.
    Now(Event),
    /// This, when the handshake is done.
    AfterHandshake(Event),
    /// Nothing: it knows already.
    Known,
}

impl Greeting {
    pub(crate) fn of(first: Event, is_handshaking: bool) -> Self {
        if is_handshaking { Self::AfterHandshake(first) } else { Self::Now(first) }
    }
}

impl Raw {
    pub(super) fn new(client: Client, writes: WriteLimits, greeting: Greeting, turn: &mut Turn) -> Self {
        let (first, greeting) = match greeting {
            Greeting::Now(first) => (Some(first), None),
            Greeting::AfterHandshake(first) => (None, Some(first)),
            Greeting::Known => (None, None),
        };
        let mut live = Live::new(client, writes, first, turn);
        live.note_written();
        Self { live, greeting }
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

    /// The peer does not keep to TLS. Before the end of the handshake there was no connection for the application.
    pub(super) fn end_of_decryption(&mut self, reason: &str, turn: &mut Turn) {
        if self.greeting.is_none() {
            return self.end_of_input(turn);
        }
        if self.live.client().role() == Role::Client {
            log::info!("no connection was opened: {reason}");
        }
        self.live.finish(broken(reason), turn);
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
