//! HTTP/1.1 on one connection: bytes in, exchanges out, answers in order. No socket and no clock here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iodine_proto::http1::{self, BodyReader, Framing, HeadReader, Persistence, Refusal, ResponseWriter};

use super::Turn;
use crate::access_log::Entry;
use crate::date;
use crate::exchange::{Exchange, ResponseBody};
use crate::jobs::Job;
use crate::net::write_queue::WriteQueue;
use crate::reactor::ConnectionId;
use crate::settings::HttpSettings;

/// Requests of one connection that are read ahead of their answers. Enough for a pipelining client's packet; a client
/// that sends more waits in its socket.
const READ_AHEAD: usize = 32;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// An emptied input buffer up to this size is kept.
const KEPT_INPUT: usize = 4 << 10;

pub(crate) struct Http {
    settings: Arc<HttpSettings>,
    listener: usize,
    peer: Arc<str>,
    head: HeadReader,
    /// The request whose body is being read.
    incoming: Option<Incoming>,
    /// Received bytes that nothing was made of yet.
    input: Vec<u8>,
    /// Complete requests that wait for those in flight.
    ready: VecDeque<Box<Exchange>>,
    /// Requests handed to the application and not answered yet.
    in_flight: usize,
    /// Why nothing more is read; answered when its turn comes.
    refused: Option<u16>,
    /// The client waits for "100 Continue" before it sends the body.
    expecting: bool,
    /// No further request is read.
    last: bool,
    /// The peer may be sending bytes that nobody reads: closing at once could take the last answer from it.
    unread: bool,
    /// When the first byte of an unfinished head arrived.
    head_since: Option<Instant>,
}

struct Incoming {
    exchange: Box<Exchange>,
    reader: BodyReader,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// The application.
    Answer,
}

impl Http {
    pub(crate) fn new(settings: Arc<HttpSettings>, listener: usize, peer: Arc<str>) -> Self {
        Self {
            head: HeadReader::new(settings.head),
            settings,
            listener,
            peer,
            incoming: None,
            input: Vec::new(),
            ready: VecDeque::new(),
            in_flight: 0,
            refused: None,
            expecting: false,
            last: false,
            unread: false,
            head_since: None,
        }
    }

    /// Takes what has arrived: requests that are complete become jobs.
    pub(crate) fn receive(&mut self, id: ConnectionId, data: &[u8], turn: &mut Turn, out: &mut WriteQueue) {
        if self.last {
            return;
        }
        if self.input.is_empty() {
            let consumed = self.parse(data, turn);
            self.input.extend_from_slice(&data[consumed..]);
        } else {
            self.input.extend_from_slice(data);
            self.parse_input(turn);
        }
        self.proceed(id, turn, out);
    }

    /// Writes the answer to the oldest request in flight.
    pub(crate) fn answer(&mut self, id: ConnectionId, exchange: &mut Exchange, turn: &mut Turn, out: &mut WriteQueue) {
        if self.in_flight == 0 {
            return;
        }
        self.in_flight -= 1;
        self.log(exchange, turn);
        let response = &mut exchange.response;
        out.push(&response.head);
        match std::mem::take(&mut response.body) {
            ResponseBody::Sent => {}
            ResponseBody::Shared(bytes) => out.push_shared(bytes),
            ResponseBody::File { file, offset, length } => out.push_file(file, offset, length),
        }
        if response.close {
            // The application has not run those behind it.
            self.in_flight = 0;
            self.stop_reading();
        } else if let Some(behind) = exchange.next.take() {
            turn.jobs.push(Job::Request(behind));
        } else if self.in_flight == 0 {
            self.parse_input(turn);
        }
        self.proceed(id, turn, out);
    }

    /// The answer in flight cannot be completed, and so nothing can follow it.
    pub(crate) fn break_off(&mut self, exchange: &Exchange, turn: &mut Turn) {
        self.log(exchange, turn);
        self.in_flight = 0;
        self.stop_reading();
    }

    /// The peer will send nothing more.
    pub(crate) fn end_of_input(&mut self) {
        self.last = true;
        self.incoming = None;
        self.expecting = false;
        self.input = Vec::new();
    }

    /// Whether more bytes are welcome now.
    pub(crate) fn wants_input(&self) -> bool {
        !self.last && self.ready.len() + self.in_flight < READ_AHEAD
    }

    /// Everything that was asked is answered, and nothing more will be read.
    pub(crate) fn is_finished(&self) -> bool {
        self.last && self.in_flight == 0 && self.ready.is_empty() && self.refused.is_none()
    }

    /// Whether the peer may be sending bytes that nobody reads.
    pub(crate) fn has_unread(&self) -> bool {
        self.unread
    }

    pub(crate) fn waiting(&self) -> Waiting {
        if self.in_flight > 0 {
            Waiting::Answer
        } else if self.incoming.is_some() {
            Waiting::Body
        } else if self.input.is_empty() {
            Waiting::Idle
        } else {
            Waiting::Head
        }
    }

    /// When the peer has kept us waiting for too long, if it had been silent since `now`.
    pub(crate) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let waiting = self.waiting();
        if waiting != Waiting::Head {
            self.head_since = None;
        }
        match waiting {
            Waiting::Answer => None,
            Waiting::Idle => Some(now + self.settings.keep_alive),
            Waiting::Body => Some(now + self.settings.body_timeout),
            // Counted from its first byte: one byte now and then buys no time.
            Waiting::Head => Some(*self.head_since.get_or_insert(now) + self.settings.header_timeout),
        }
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        self.settings.write_timeout
    }

    /// The deadline has passed: says so to a peer that had begun a request.
    pub(crate) fn time_out(&mut self, id: ConnectionId, turn: &mut Turn, out: &mut WriteQueue) {
        match self.waiting() {
            Waiting::Head | Waiting::Body => self.refuse(408),
            Waiting::Idle | Waiting::Answer => self.stop_reading(),
        }
        self.proceed(id, turn, out);
    }

    /// Bytes that no request was made of yet, for who takes the connection over.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    /// Writes the line of an answer to the request log.
    fn log(&self, exchange: &Exchange, turn: &mut Turn) {
        if let Some(format) = self.settings.log {
            let entry = Entry {
                peer: &self.peer,
                head: Some(&exchange.head),
                status: exchange.response.status,
                length: exchange.response.length,
                duration: exchange.received.map_or(Duration::ZERO, |received| turn.now.duration_since(received)),
            };
            turn.log.add(format, &entry);
        }
    }

    fn log_refusal(&self, status: u16, turn: &mut Turn) {
        if let Some(format) = self.settings.log {
            let entry = Entry { peer: &self.peer, head: None, status, length: 0, duration: Duration::ZERO };
            turn.log.add(format, &entry);
        }
    }

    fn parse_input(&mut self, turn: &mut Turn) {
        let mut input = std::mem::take(&mut self.input);
        let consumed = self.parse(&input, turn);
        input.drain(..consumed);
        if !input.is_empty() || input.capacity() <= KEPT_INPUT {
            self.input = input;
        }
    }

    /// Reads requests while there are bytes and room; says how many bytes it took.
    fn parse(&mut self, data: &[u8], turn: &mut Turn) -> usize {
        let mut taken = 0;
        while self.wants_input() {
            let step = match self.incoming.take() {
                Some(incoming) => self.parse_body(incoming, &data[taken..], turn),
                None => self.parse_head(&data[taken..], turn),
            };
            match step {
                Ok(0) => break,
                Ok(consumed) => taken += consumed,
                Err(status) => {
                    self.refuse(status);
                    break;
                }
            }
        }
        taken
    }

    fn parse_head(&mut self, data: &[u8], turn: &mut Turn) -> Result<usize, u16> {
        if data.is_empty() {
            return Ok(0);
        }
        let mut exchange = turn.exchanges.take();
        match self.head.read(data, &mut exchange.head) {
            Ok(Some(consumed)) => {
                self.begin_body(exchange, data.len() > consumed, turn)?;
                Ok(consumed)
            }
            Ok(None) => {
                turn.exchanges.put(exchange);
                Ok(0)
            }
            Err(refusal) => {
                turn.exchanges.put(exchange);
                Err(self.status_of(refusal))
            }
        }
    }

    fn begin_body(&mut self, mut exchange: Box<Exchange>, more: bool, turn: &Turn) -> Result<(), u16> {
        let length = exchange.head.body_length();
        let expected = match length {
            http1::BodyLength::None => {
                self.complete(exchange, turn);
                return Ok(());
            }
            http1::BodyLength::Sized(expected) => expected,
            http1::BodyLength::Chunked => 0,
        };
        let reader = BodyReader::new(length, self.settings.max_body).map_err(|refusal| self.status_of(refusal))?;
        exchange.body.reserve(expected, self.settings.body_memory);
        self.expecting = exchange.head.expects_continue() && !more;
        self.incoming = Some(Incoming { exchange, reader });
        Ok(())
    }

    fn parse_body(&mut self, mut incoming: Incoming, data: &[u8], turn: &Turn) -> Result<usize, u16> {
        let step = incoming.reader.read(data).map_err(|refusal| self.status_of(refusal))?;
        if step.consumed > 0 {
            self.expecting = false;
        }
        let memory = self.settings.body_memory;
        let body = &mut incoming.exchange.body;
        body.push(&data[step.data], memory).and_then(|()| if step.done { body.finish() } else { Ok(()) }).map_err(
            |error| {
                log::error!("could not keep a request body in a temporary file: {error}");
                507_u16
            },
        )?;
        if step.done {
            self.complete(incoming.exchange, turn);
        } else {
            self.incoming = Some(incoming);
        }
        Ok(step.consumed)
    }

    fn complete(&mut self, mut exchange: Box<Exchange>, turn: &Turn) {
        exchange.listener = self.listener;
        exchange.peer = Some(Arc::clone(&self.peer));
        exchange.received = Some(turn.now);
        self.last = !exchange.head.keep_alive();
        self.ready.push_back(exchange);
    }

    /// Hands over what is ready once nothing is in flight, and says what has waited for its turn.
    fn proceed(&mut self, id: ConnectionId, turn: &mut Turn, out: &mut WriteQueue) {
        if self.in_flight > 0 {
            return;
        }
        if !self.ready.is_empty() {
            self.dispatch(id, turn);
        } else if let Some(status) = self.refused.take() {
            self.log_refusal(status, turn);
            write_refusal(status, out);
        } else if self.expecting {
            self.expecting = false;
            out.push(CONTINUE);
        }
    }

    fn dispatch(&mut self, id: ConnectionId, turn: &mut Turn) {
        self.in_flight = self.ready.len();
        let mut first = None;
        while let Some(mut exchange) = self.ready.pop_back() {
            exchange.connection = id;
            exchange.next = first;
            first = Some(exchange);
        }
        turn.jobs.extend(first.map(Job::Request));
    }

    fn refuse(&mut self, status: u16) {
        self.last = true;
        self.unread = true;
        self.incoming = None;
        self.expecting = false;
        self.refused = Some(status);
    }

    fn stop_reading(&mut self) {
        self.last = true;
        self.unread |= self.incoming.is_some() || !self.input.is_empty() || !self.ready.is_empty();
        self.incoming = None;
        self.expecting = false;
        self.refused = None;
        self.ready.clear();
    }

    fn status_of(&self, refusal: Refusal) -> u16 {
        log::debug!("refused a request from {}: {refusal}", self.peer);
        refusal.status()
    }
}

fn write_refusal(status: u16, out: &mut WriteQueue) {
    let body = format!("{status} {}", http1::reason(status));
    let mut bytes = Vec::with_capacity(256);
    let mut writer = ResponseWriter::new(&mut bytes, status);
    // A constant name and value are always valid.
    let _ = writer.field(b"content-type", b"text/plain");
    writer.finish(Framing::Length(body.len() as u64), Persistence::Close, &date::now());
    bytes.extend_from_slice(body.as_bytes());
    out.push(&bytes);
}
