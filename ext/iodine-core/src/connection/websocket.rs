//! A WebSocket on one connection: frames in, events out, and the closing handshake (RFC 6455 section 7).

use std::time::{Duration, Instant};

use bytes::Bytes;
use iodine_proto::websocket::{
    Close, Error, Event as Frame, Kind, MaskKey, Publication, Reader, Role, encode_close, encode_ping, encode_pong,
};

use super::Turn;
use super::live::Live;
use crate::client::{Client, Event, abnormal};
use crate::net::write_queue::WriteQueue;
use crate::settings::WriteLimits;

/// How long the peer has to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) struct WebSocket {
    pub(super) live: Live,
    reader: Reader,
    stage: Stage,
    /// The peer may be sending bytes that nobody reads.
    pub(super) unread: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// A ping was sent, and nothing has come since.
    Pinged,
    /// A close frame was sent; that of the peer has to come until then.
    Closing(Instant),
}

impl WebSocket {
    /// A WebSocket on which no frame has been sent in either direction.
    pub(super) fn new(client: Client, writes: WriteLimits, max_message: usize, turn: &mut Turn) -> Self {
        let reader = Reader::new(client.role(), max_message, client.deflate());
        let live = Live::new(client, writes, Some(Event::Open), turn);
        Self { live, reader, stage: Stage::Open, unread: false }
    }

    /// Takes what has arrived.
    pub(super) fn receive(&mut self, mut data: &[u8], turn: &mut Turn, out: &mut WriteQueue) {
        self.live.alive_at = turn.now;
        if self.stage == Stage::Pinged {
            self.stage = Stage::Open;
        }
        while !self.live.is_finished() {
            match self.reader.read(&mut data) {
                Ok(None) => return,
                Ok(Some(frame)) => self.on_frame(frame, turn, out),
                Err(error) => self.fail(error, turn, out),
            }
        }
    }

    /// The application closes it.
    pub(super) fn close(&mut self, close: &Close, turn: &Turn, out: &mut WriteQueue) {
        if self.is_closing() || self.live.is_finished() {
            return;
        }
        self.push(out, |mask, frame| encode_close(close.code, &close.reason, mask, frame));
        self.stage = Stage::Closing(turn.now + CLOSE_TIMEOUT);
    }

    pub(super) fn write(&mut self, bytes: Bytes, out: &mut WriteQueue) {
        // Nothing follows a close frame (RFC 6455 section 5.5.1).
        if self.is_closing() {
            return;
        }
        self.live.write(bytes, out);
    }

    /// A message that was published.
    pub(super) fn publish(&mut self, publication: &mut Publication, out: &mut WriteQueue) {
        if self.is_closing() {
            return;
        }
        if self.live.client().role() == Role::Client {
            // Each frame of a client has a mask of its own.
            self.live.client().send_message(publication.kind(), publication.payload());
        } else if self.live.client().deflate().is_some() {
            self.live.client().send_publication(publication);
        } else {
            self.live.publish(publication.plain(), out);
        }
    }

    pub(super) fn end_of_input(&mut self, turn: &mut Turn) {
        self.live.finish(abnormal(), turn);
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.live.is_finished() && (self.is_closing() || !self.live.is_backed_up())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Closing(deadline) => Some(deadline),
            Stage::Open | Stage::Pinged => self.live.silent_too_long_at(),
        }
    }

    pub(super) fn time_out(&mut self, turn: &mut Turn, out: &mut WriteQueue) {
        match self.stage {
            // The application is behind, so nothing is read: whether the peer is silent is not known.
            Stage::Open | Stage::Pinged if self.live.is_backed_up() => self.live.alive_at = turn.now,
            Stage::Open => {
                self.push(out, |mask, frame| encode_ping(b"", mask, frame));
                self.stage = Stage::Pinged;
                self.live.alive_at = turn.now;
                self.live.note_written();
            }
            Stage::Pinged => {
                log::debug!("a WebSocket is closed: its peer has not answered a ping");
                self.live.finish(abnormal(), turn);
            }
            Stage::Closing(_) => self.live.finish(abnormal(), turn),
        }
    }

    fn on_frame(&mut self, frame: Frame, turn: &mut Turn, out: &mut WriteQueue) {
        match frame {
            Frame::Text(data) => self.on_message(Kind::Text, data, turn),
            Frame::Binary(data) => self.on_message(Kind::Binary, data, turn),
            Frame::Ping(data) if !self.is_closing() => self.push(out, |mask, frame| encode_pong(&data, mask, frame)),
            Frame::Ping(_) | Frame::Pong(_) => {}
            Frame::Close(close) => {
                if !self.is_closing() {
                    self.push(out, |mask, frame| encode_close(close.code, "", mask, frame));
                }
                // The server is the one to close the connection (RFC 6455 section 7.1.1).
                self.unread = self.live.client().role() == Role::Client;
                self.live.finish(close, turn);
            }
        }
    }

    fn on_message(&mut self, kind: Kind, data: Vec<u8>, turn: &mut Turn) {
        if !self.is_closing() {
            self.live.tell(Event::Message(kind, data), turn);
        }
    }

    /// The peer has broken the protocol, or a limit.
    fn fail(&mut self, error: Error, turn: &mut Turn, out: &mut WriteQueue) {
        log::debug!("a WebSocket is closed: {error}");
        let close = Close { code: error.close_code(), reason: error.to_string() };
        if !self.is_closing() {
            self.push(out, |mask, frame| encode_close(close.code, &close.reason, mask, frame));
        }
        self.unread = true;
        self.live.finish(close, turn);
    }

    fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing(_))
    }

    fn push(&self, out: &mut WriteQueue, encode: impl FnOnce(Option<MaskKey>, &mut Vec<u8>)) {
        let mut frame = Vec::new();
        encode(self.live.client().mask(), &mut frame);
        out.push(&frame);
    }
}
