//! One connection: a socket, what is still to be written to it, and the protocol spoken on it.

mod bridge;
mod choices;
pub(crate) mod gate;
pub(crate) mod http;
mod link;
mod live;
mod opening;
mod protocol;
mod raw;
mod sse;
#[cfg(test)]
mod tests;
mod websocket;

use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iodine_proto::websocket::Close;

use crate::access_log::AccessLog;
use crate::census::Seat;
use crate::client::{self, Client, Event, abnormal};
use crate::exchange::Exchange;
use crate::handover::{Giver, Hijacked};
use crate::jobs::Job;
use crate::metrics::Sheet;
use crate::net::stream::Stream;
use crate::net::write_queue::{Flushed, WriteQueue};
use crate::pubsub::{Encodings, is_worth_a_line};
use crate::reactor::ConnectionId;
use bridge::{Bridge, Passed};
use gate::Gate;
use http::{Http, Waiting};
use sse::Sse;
use websocket::WebSocket;

pub(crate) use choices::Choices;
pub use opening::Handshake;
pub(crate) use protocol::Protocol;
pub(crate) use raw::Greeting;

/// How long a closing connection waits for the peer to take the last answer and close as well.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes read from one connection in one turn.
const READ_BUDGET: usize = 512 << 10;

/// Steps of TLS handshakes in one turn.
const HANDSHAKES: u32 = 16;

/// What the connections of a reactor share while it makes a turn.
pub(crate) struct Turn {
    /// When the turn began.
    pub(crate) now: Instant,
    /// The process is about to leave: answers are the last of their connections.
    pub(crate) draining: bool,
    /// Idle connections have had their time to ask once more, and are closed.
    pub(crate) closes_idle: bool,
    /// Jobs that the turn has made.
    pub(crate) jobs: Vec<Job>,
    pub(crate) exchanges: ExchangePool,
    /// What other processes of the cluster have sent, and by which link.
    pub(crate) packets: Vec<(ConnectionId, Bytes)>,
    /// Clients whose connection has ended: so have their subscriptions.
    pub(crate) left: Vec<Client>,
    /// What this process counts on.
    pub(crate) sheet: Sheet,
    pub(crate) log: AccessLog,
    /// What ends of bridges have for each other.
    pub(crate) passed: Vec<(ConnectionId, Passed)>,
    /// Handshakes that it has gone on with.
    pub(crate) handshakes: u32,
}

impl Turn {
    /// One in which nothing has happened yet.
    pub(crate) fn new(now: Instant, sheet: Sheet) -> Self {
        Self {
            now,
            draining: false,
            closes_idle: false,
            jobs: Vec::new(),
            exchanges: ExchangePool::default(),
            packets: Vec::new(),
            left: Vec::new(),
            sheet,
            log: AccessLog::default(),
            passed: Vec::new(),
            handshakes: 0,
        }
    }

    /// Whether one more handshake may go on; the others wait for the next turn. A step of one takes from 0.1 ms (ECDSA)
    /// to 1 ms (RSA), and nobody else should wait for many of them.
    fn takes_handshake(&mut self) -> bool {
        self.handshakes += 1;
        self.handshakes <= HANDSHAKES
    }
}

/// Exchanges to be used again. Boxed, because that is how they travel.
#[allow(clippy::vec_box)]
#[derive(Default)]
pub(crate) struct ExchangePool(Vec<Box<Exchange>>);

impl ExchangePool {
    const KEPT: usize = 256;

    pub(crate) fn take(&mut self) -> Box<Exchange> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn put(&mut self, mut exchange: Box<Exchange>) {
        if self.0.len() < Self::KEPT {
            exchange.clear();
            self.0.push(exchange);
        }
    }
}

pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    protocol: Protocol,
    stream: Stream,
    out: WriteQueue,
    /// The socket may have bytes: an edge-triggered event came and a read has not emptied it since.
    readable: bool,
    /// The socket was not full at the last write.
    writable: bool,
    /// The peer takes nothing more; what it has sent before is still read.
    write_failed: bool,
    /// The poll says that the peer has closed its side: reads go on until they return nothing.
    peer_closed: bool,
    /// A read has returned nothing.
    ended: bool,
    /// By when the peers have to understand each other. `None`: they do, or it needs nothing.
    handshake: Option<Instant>,
    /// What the peer may choose by it.
    choices: Option<Box<Choices>>,
    stage: Stage,
    /// The last answer is not complete, and must not look so.
    broken_off: bool,
    gate: Option<Arc<Gate>>,
    /// The head of a response that is being produced, until the first bytes of its body come.
    held: Option<Vec<u8>>,
    hijacker: Option<Giver>,
    /// When the peer has kept us waiting for too long.
    pub(crate) deadline: Option<Instant>,
    /// The alarm that is set for it; it may come before the deadline, never after.
    pub(crate) alarm: Option<Instant>,
    /// On the reactor's list of connections to look at before the turn ends.
    pub(crate) is_listed: bool,
    seat: Seat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Everything is written and our side is closed; what still comes is thrown away until the peer closes.
    Lingering,
}

/// What the reactor does with a connection after looking at it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// There is more to read than one turn should take.
    Again,
    Close,
    /// Its socket goes to who asked for it.
    GiveAway,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, stream: Stream, protocol: Protocol, turn: &Turn) -> Self {
        Self {
            id,
            handshake: stream.handshake_timeout().map(|timeout| turn.now + timeout),
            choices: None,
            protocol,
            stream,
            out: WriteQueue::default(),
            readable: false,
            writable: true,
            write_failed: false,
            peer_closed: false,
            ended: false,
            stage: Stage::Open,
            broken_off: false,
            gate: None,
            held: None,
            hijacker: None,
            deadline: None,
            alarm: None,
            is_listed: false,
            seat: Seat::new(turn.sheet),
        }
    }

    /// Lets the peer choose something else by its handshake.
    pub(crate) fn offer(&mut self, choices: Choices) {
        self.choices = self.handshake.map(|_| Box::new(choices));
    }

    /// Notes what the poll said.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable();
        self.writable |= event.is_writable();
        self.peer_closed |= event.is_read_closed();
    }

    /// Reads what has come, within the turn's budget.
    ///
    /// # Errors
    /// The socket's error: the connection is broken.
    pub(crate) fn read(&mut self, buffer: &mut [u8], turn: &mut Turn) -> io::Result<()> {
        if let Some(http) = self.protocol.http().filter(|http| http.is_stalled()) {
            http.resume(self.id, turn, &mut self.out);
        }
        if self.handshake.is_some() && !turn.takes_handshake() {
            return Ok(());
        }
        let mut budget = READ_BUDGET;
        while self.readable && budget > 0 && self.wants_input() {
            let read = self.stream.read(buffer);
            if self.handshake.is_some() {
                self.go_on_with_handshake(turn);
            }
            match read {
                Ok(0) => {
                    self.readable = false;
                    self.ended = true;
                    self.protocol.end_of_input(turn);
                }
                Ok(length) => {
                    budget = budget.saturating_sub(length);
                    // A read that did not fill the buffer has emptied the socket, and what comes later raises a new
                    // event, which saves the read that would say "would block" (epoll(7)).
                    self.readable = length == buffer.len() || self.peer_closed || self.stream.has_more();
                    if self.stage == Stage::Open {
                        self.protocol.receive(self.id, &buffer[..length], turn, &mut self.out);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    budget = budget.saturating_sub(buffer.len())
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => self.on_broken_tls(&error, turn),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Answers at once what was read of a handshake, and finds out whether it is done.
    ///
    /// Other writes wait for the end of the turn. But a handshake is so much work that the peer, which has as much to do
    /// for it, should begin meanwhile. What the socket does not take, or fails at, is left to the end of the turn.
    fn go_on_with_handshake(&mut self, turn: &mut Turn) {
        let _ = self.stream.flush();
        if self.stream.is_handshaking() {
            return;
        }
        self.handshake = None;
        if self.stream.has_failed() {
            return;
        }
        if let Some(choices) = self.choices.take()
            && let Some(chosen) = choices.choose(self.stream.alpn(), self.id, turn)
        {
            self.protocol = chosen;
        }
        self.protocol.begin(self.stream.identity(), self.stream.alpn(), turn);
    }

    /// The peer does not keep to TLS, or does not speak it: it gets no more than the news of that, which it is left time
    /// to read.
    fn on_broken_tls(&mut self, error: &io::Error, turn: &mut Turn) {
        log::debug!("a TLS connection failed: {error}");
        let plain = self.stream.is_unexpectedly_plain();
        match self.protocol.http().filter(|_| plain) {
            Some(http) => http.refuse_plain(turn, &mut self.out),
            None => {
                self.out = WriteQueue::default();
                self.protocol.end_of_decryption(&error.to_string(), turn);
                self.linger(turn.now);
            }
        }
    }

    /// Whether only the application's answer is awaited, so that there is nothing to settle.
    pub(crate) fn awaits_answer(&mut self) -> bool {
        let awaits = self.protocol.http().is_some_and(|http| http.waiting() == Waiting::Answer)
            && self.out.is_empty()
            && !self.stream.wants_write()
            && self.hijacker.is_none()
            && !(self.readable && self.wants_input());
        if awaits {
            self.deadline = None;
        }
        awaits
    }

    /// Takes an answer from the application, or the end of one that was produced.
    pub(crate) fn answer(&mut self, exchange: &mut Exchange, turn: &mut Turn) {
        self.release_head();
        self.gate = None;
        if let Some(http) = self.protocol.http() {
            http.answer(self.id, exchange, turn, &mut self.out);
        }
    }

    /// A response begins to be produced. `gate` holds the producer back.
    pub(crate) fn stream(&mut self, head: Vec<u8>, gate: Arc<Gate>) {
        self.held = Some(head);
        self.gate = Some(gate);
    }

    /// The head of a response that is being produced need not wait any longer.
    pub(crate) fn release_head(&mut self) {
        if let Some(head) = self.held.take() {
            self.out.push(&head);
        }
    }

    /// The response will not be completed. When nothing of it has left, the one in the exchange takes its place.
    pub(crate) fn fail(&mut self, exchange: &mut Exchange, turn: &mut Turn) {
        self.gate = None;
        let Some(http) = self.protocol.http() else { return };
        match self.held.take() {
            Some(_) => http.answer(self.id, exchange, turn, &mut self.out),
            None => {
                self.broken_off = true;
                http.break_off(exchange, turn);
            }
        }
    }

    /// Sends the last answer of HTTP, and changes to the protocol of `client`.
    pub(crate) fn upgrade(&mut self, exchange: &mut Exchange, client: Client, turn: &mut Turn) {
        let Some(http) = self.protocol.http() else { return };
        let input = http.upgrade(exchange, turn, &mut self.out);
        let settings = Arc::clone(http.settings());
        let writes = settings.writes();
        self.protocol = match client.protocol() {
            client::Protocol::WebSocket => {
                Protocol::WebSocket(Box::new(WebSocket::new(client, writes, settings.max_message, turn)))
            }
            client::Protocol::Sse => Protocol::Sse(Box::new(Sse::new(client, writes, turn))),
            client::Protocol::Raw => Protocol::raw(client, writes, Greeting::Now(Event::Open), turn),
        };
        self.protocol.receive(self.id, &input, turn, &mut self.out);
        if self.ended {
            self.protocol.end_of_input(turn);
        }
    }

    /// Appends framed bytes of the client.
    pub(crate) fn write_client(&mut self, bytes: Bytes, turn: &Turn) {
        match &mut self.protocol {
            Protocol::Http(_) | Protocol::Bridge(_) | Protocol::Opening(_) | Protocol::Link(_) => {}
            Protocol::WebSocket(socket) => socket.write(bytes, &mut self.out),
            Protocol::Sse(stream) => stream.write(bytes, turn, &mut self.out),
            Protocol::Raw(raw) => raw.write(bytes, turn, &mut self.out),
        }
    }

    /// Appends a message that was published, for a client that is subscribed without a block.
    pub(crate) fn publish(&mut self, encodings: &mut Encodings<'_>, as_binary: bool, turn: &Turn) {
        match &mut self.protocol {
            Protocol::Http(_) | Protocol::Bridge(_) | Protocol::Opening(_) | Protocol::Link(_) => {}
            Protocol::WebSocket(socket) => socket.publish(encodings.frame(as_binary), &mut self.out),
            Protocol::Sse(stream) => stream.publish(encodings.event(), turn, &mut self.out),
            Protocol::Raw(raw) => raw.publish(encodings.payload(), turn, &mut self.out),
        }
    }

    /// Sends a packet to another process of the cluster, behind those of the same lane.
    pub(crate) fn send_packet(&mut self, lane: &[u8], packet: Bytes) {
        if let Protocol::Link(link) = &mut self.protocol
            && let Some(dropped) = link.send(lane, packet)
            && is_worth_a_line(dropped)
        {
            log::error!("another process of the cluster takes too little: {dropped} messages for it were dropped");
        }
    }

    /// Whether all that was sent has left.
    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty() && !matches!(&self.protocol, Protocol::Link(link) if !link.is_empty())
    }

    /// Puts an event into the client's mailbox.
    pub(crate) fn tell(&mut self, event: Event, turn: &mut Turn) {
        if let Some(live) = self.protocol.live() {
            live.tell(event, turn);
        }
    }

    /// The application closes its client.
    pub(crate) fn close_client(&mut self, close: Close, turn: &mut Turn) {
        match &mut self.protocol {
            Protocol::Http(_) | Protocol::Bridge(_) | Protocol::Opening(_) | Protocol::Link(_) => {}
            Protocol::WebSocket(socket) => socket.close(&close, turn, &mut self.out),
            Protocol::Sse(stream) => stream.close(close, turn),
            Protocol::Raw(raw) => raw.close(close, turn),
        }
    }

    /// The server stops: the application has to close its client, and may write to it before.
    pub(crate) fn shut_down(&mut self, turn: &mut Turn) {
        match &mut self.protocol {
            Protocol::Opening(opening) => opening.shut_down(turn),
            protocol => {
                if let Some(live) = protocol.live() {
                    live.shut_down(turn);
                }
            }
        }
    }

    /// Has its client forget it, in a process that must not touch it.
    pub(crate) fn abandon(mut self) {
        if let Some(live) = self.protocol.live() {
            live.client().shut();
        }
    }

    /// Closes its client, in a process that has no business with it; the descriptor that it has.
    pub(crate) fn disown(&mut self) -> RawFd {
        if let Some(live) = self.protocol.live() {
            live.client().shut();
        }
        self.stream.descriptor()
    }

    /// The connection is closed: the application is told, unless it was before.
    pub(crate) fn end(mut self, turn: &mut Turn) {
        match &mut self.protocol {
            Protocol::Bridge(bridge) => bridge.end(turn),
            protocol => {
                if let Some(live) = protocol.live() {
                    live.finish(abnormal(), turn);
                }
            }
        }
    }

    /// The end of a turn: writes, and finds out what becomes of the connection.
    pub(crate) fn settle(&mut self, turn: &mut Turn) -> Verdict {
        self.seat.take(self.protocol.kind());
        let flushed = self.flush(turn.now);
        if let Protocol::Bridge(bridge) = &self.protocol {
            bridge.note_waiting(self.out.memory(), turn);
        }
        match flushed {
            Ok(Flushed::All) => self.after_flush(turn),
            Ok(Flushed::Blocked) if self.out.backlog() > self.protocol.writes().max_pending => {
                log::warn!("a client reads too slowly: it is closed, {} bytes unsent", self.out.memory());
                Verdict::Close
            }
            Ok(Flushed::Blocked) => self.kept(),
            Ok(Flushed::Paused) => Verdict::Again,
            Ok(Flushed::Truncated) => {
                log::warn!("a file became shorter while it was sent: its connection is closed");
                Verdict::Close
            }
            Err(error) => {
                log::debug!("a connection broke: {error}");
                self.fail_writing(&error)
            }
        }
    }

    /// A peer that takes nothing more may have said something before, and its application is still to be told.
    fn fail_writing(&mut self, error: &io::Error) -> Verdict {
        let is_gone = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        if !is_gone || self.stream.has_failed() || self.protocol.live().is_none() {
            return Verdict::Close;
        }
        self.write_failed = true;
        self.out = WriteQueue::default();
        self.readable = true;
        Verdict::Again
    }

    /// The deadline has passed.
    pub(crate) fn time_out(&mut self, turn: &mut Turn) -> Verdict {
        if self.is_listed {
            // What has happened in this turn is settled first: it may have moved the deadline. A process that was stopped
            // for a while finds both, what came meanwhile and the alarm.
            let verdict = self.settle(turn);
            let has_passed = self.deadline.is_some_and(|deadline| deadline <= turn.now);
            if !has_passed || matches!(verdict, Verdict::Close | Verdict::GiveAway) {
                return verdict;
            }
        }
        if self.stage == Stage::Lingering {
            return Verdict::Close;
        }
        if self.handshake.is_some() {
            log::debug!("a peer took too long for its TLS handshake");
            self.protocol.end_of_decryption("the TLS handshake was not finished in time", turn);
            return Verdict::Close;
        }
        if !self.out.is_empty() || self.stream.wants_write() {
            log::warn!("a peer stopped reading: its connection is closed, {} bytes unsent", self.out.memory());
            return Verdict::Close;
        }
        self.protocol.time_out(self.id, turn, &mut self.out);
        self.settle(turn)
    }

    /// Appends bytes of the running answer.
    pub(crate) fn write(&mut self, bytes: Bytes) {
        self.release_head();
        self.out.push_shared(bytes);
    }

    /// Appends a part of a file to the running answer.
    pub(crate) fn write_file(&mut self, file: File, offset: u64, length: u64) {
        self.release_head();
        self.out.push_file(Arc::new(file), offset, length);
    }

    /// The socket goes to `hijacker` once all is written.
    pub(crate) fn hijack(&mut self, hijacker: Giver) {
        self.hijacker = Some(hijacker);
    }

    /// Hands the socket to who asked for it.
    pub(crate) fn give_away(mut self, registry: &mio::Registry) {
        let Some(hijacker) = self.hijacker.take() else { return };
        let unread = self.protocol.http().map(Http::take_input).unwrap_or_default();
        match self.stream.release(registry) {
            Ok(socket) => hijacker.give(Hijacked { socket, unread }),
            Err(error) => log::error!("a hijacked connection could not be handed over: {error}"),
        }
    }

    /// Whether its socket is of use to nobody else.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// Becomes an end of a bridge. `outside` is the socket at the other end of the other end, for `hijacker`.
    pub(crate) fn bridge(&mut self, pair: ConnectionId, outside: OwnedFd) -> Option<Protocol> {
        let hijacker = self.hijacker.take()?;
        let http = self.protocol.http()?;
        let (ours, other) = Bridge::pair(self.id, pair, http.settings().writes());
        let unread = http.take_input();
        self.protocol = Protocol::Bridge(Box::new(ours));
        // When the asker has left meanwhile, its socket closes, and with it all the rest.
        hijacker.give(Hijacked { socket: outside, unread });
        Some(Protocol::Bridge(Box::new(other)))
    }

    /// Takes what the other end of the bridge has for it.
    pub(crate) fn take(&mut self, passed: Passed) {
        if let Protocol::Bridge(bridge) = &mut self.protocol {
            bridge.take(passed, &mut self.out);
        }
    }

    fn wants_input(&self) -> bool {
        match self.stage {
            Stage::Open => self.hijacker.is_none() && self.protocol.wants_input(),
            Stage::Lingering => true,
        }
    }

    fn flush(&mut self, now: Instant) -> io::Result<Flushed> {
        if self.write_failed {
            // Nor will ciphertext leave that waits in the stream.
            self.out = WriteQueue::default();
            return Ok(Flushed::All);
        }
        if !self.protocol.refill(&mut self.out) && !self.stream.wants_write() {
            return Ok(Flushed::All);
        }
        if !self.writable {
            return Ok(Flushed::Blocked);
        }
        let before = self.out.memory();
        let mut flushed = self.out.flush(&mut self.stream)?;
        if let Some(gate) = &self.gate {
            gate.leave(before - self.out.memory());
        }
        while flushed == Flushed::All && self.protocol.refill(&mut self.out) {
            flushed = self.out.flush(&mut self.stream)?;
        }
        if flushed == Flushed::Blocked {
            // During a handshake it may be the peer that is waited for, and not the socket.
            self.writable = self.stream.is_handshaking() && !self.stream.wants_write();
        }
        if flushed != Flushed::All {
            self.deadline = self.handshake.or(Some(now + self.protocol.writes().timeout));
        }
        Ok(flushed)
    }

    fn after_flush(&mut self, turn: &mut Turn) -> Verdict {
        if self.hijacker.is_some() {
            return Verdict::GiveAway;
        }
        if self.protocol.http().is_some_and(|http| http.is_stalled()) {
            return Verdict::Again;
        }
        if let Some(live) = self.protocol.live().filter(|_| self.handshake.is_none()) {
            live.flushed(turn);
        }
        if let Protocol::Bridge(bridge) = &self.protocol
            && bridge.is_complete()
        {
            // More than once does no harm.
            let _ = self.stream.shutdown_write();
        }
        if self.stage == Stage::Open {
            if self.protocol.is_finished() && !self.linger(turn.now) {
                return self.closed();
            }
            if turn.closes_idle && self.protocol.is_idle() && !self.readable {
                return self.closed();
            }
        }
        if self.stage == Stage::Open {
            self.deadline = self.handshake.or_else(|| self.protocol.deadline(turn.now));
        } else if self.ended {
            return Verdict::Close;
        }
        self.kept()
    }

    /// It stays. What a turn has left unread raises no event, whether or not there is something to write as well.
    fn kept(&self) -> Verdict {
        if self.readable && self.wants_input() { Verdict::Again } else { Verdict::Keep }
    }

    /// Everything was said.
    fn closed(&mut self) -> Verdict {
        self.notify_close();
        Verdict::Close
    }

    /// Tells the peer that it has received all; of an answer that was broken off that would be a lie.
    fn notify_close(&mut self) {
        if !self.broken_off {
            self.stream.notify_close();
        }
    }

    /// Closes our side and keeps the other open while the peer may still be sending: a socket that is closed with
    /// unread bytes resets the connection, and the peer may lose our last answer (RFC 9112, 9.6). False: no need to.
    fn linger(&mut self, now: Instant) -> bool {
        let needed = !self.ended && (self.readable || self.protocol.has_unread());
        if needed {
            self.notify_close();
            if self.stream.shutdown_write().is_ok() {
                self.stage = Stage::Lingering;
                self.deadline = Some(now + LINGER);
            }
        }
        self.stage == Stage::Lingering
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.close();
        }
    }
}
