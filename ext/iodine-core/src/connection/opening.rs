//! The opening handshake of a WebSocket at its client (RFC 6455 section 4.1), on a connection that stands.

use std::time::{Duration, Instant};

use iodine_proto::websocket::ClientHandshake;

use super::Turn;
use super::live::Live;
use super::websocket::WebSocket;
use crate::client::{Client, broken};
use crate::settings::WriteLimits;

/// What to say, and what to make of the answer.
pub struct Handshake {
    /// Has written the request.
    pub codec: ClientHandshake,
    /// The bytes of the request.
    pub request: Vec<u8>,
    /// How long the server has to answer, and before that to finish its TLS handshake.
    pub timeout: Duration,
    /// As `HttpSettings::max_message`.
    pub max_message: usize,
}

pub(crate) struct Opening {
    pub(super) live: Live,
    codec: ClientHandshake,
    /// What has come of the answer.
    input: Vec<u8>,
    deadline: Instant,
    max_message: usize,
}

impl Opening {
    /// The request of `handshake` is on its way.
    pub(super) fn new(client: Client, writes: WriteLimits, handshake: Handshake, turn: &mut Turn) -> Self {
        Self {
            live: Live::new(client, writes, None, turn),
            codec: handshake.codec,
            input: Vec::new(),
            deadline: turn.now + handshake.timeout,
            max_message: handshake.max_message,
        }
    }

    /// Takes what has arrived. `Some`: the WebSocket is open, and these bytes are its first frames.
    pub(super) fn receive(&mut self, data: &[u8], turn: &mut Turn) -> Option<(WebSocket, Vec<u8>)> {
        if self.live.is_finished() {
            return None;
        }
        self.input.extend_from_slice(data);
        match self.codec.response(&self.input) {
            Ok(None) => None,
            Ok(Some(opened)) => {
                let frames = self.input.split_off(opened.consumed);
                let client = self.live.client().clone();
                client.agree(opened.deflate);
                Some((WebSocket::new(client, self.live.writes(), self.max_message, turn), frames))
            }
            Err(error) => {
                self.fail(&error.to_string(), turn);
                None
            }
        }
    }

    pub(super) fn end_of_input(&mut self, turn: &mut Turn) {
        self.fail("the server closed the connection without an answer", turn);
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn time_out(&mut self, turn: &mut Turn) {
        self.fail("the server does not answer", turn);
    }

    /// The process stops.
    pub(super) fn shut_down(&mut self, turn: &mut Turn) {
        if !self.live.is_finished() {
            self.live.finish(broken("the process stops"), turn);
        }
    }

    /// There will be no WebSocket.
    pub(super) fn fail(&mut self, reason: &str, turn: &mut Turn) {
        if !self.live.is_finished() {
            log::info!("no WebSocket was opened: {reason}");
            self.live.finish(broken(reason), turn);
        }
    }
}
