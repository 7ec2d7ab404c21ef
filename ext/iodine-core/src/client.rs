//! A WebSocket, an event stream or a raw connection as the application has it: a way to write, and the events to be
//! told of.
//!
//! Events wait in the client's own mailbox, and one [`Job::Client`] stands for all of them until the mailbox is empty.
//! So one thread at a time works for a client, in the order of the events, whether the connection still exists or not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iodine_proto::sse::{EventError, encode_event};
use iodine_proto::websocket::{
    Close, CloseCode, Deflate, Deflater, Encoder, Kind, MaskKey, Publication, Role, WindowBits, encode_message,
};

use crate::handle::{Command, Handle};
use crate::jobs::Job;
use crate::pubsub::{Delivery, LastSeen, Message, OwnerGone, Request, Subscription, Subscriptions, Topic};
use crate::random;
use crate::reactor::ConnectionId;

/// What is spoken with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 6455.
    WebSocket,
    /// Server-Sent Events (HTML Living Standard, section 9.2).
    Sse,
    /// Bytes, as the application likes.
    Raw,
}

/// What the application is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The first one of a raw connection that the listener of this number has accepted: the application has to choose
    /// who is told of the others, or to [`close`](Client::close).
    Accepted(usize),
    /// The first one of a raw connection whose server has taken this name, of those that were offered by ALPN: the
    /// application has to choose who is told of the others, or to [`close`](Client::close).
    Agreed(Vec<u8>),
    /// The first one of all others.
    Open,
    /// A message of a WebSocket; the bytes of a text are UTF-8. On a raw connection, what a read has returned.
    Message(Kind, Vec<u8>),
    /// A message that was published, for a block of this subscription. To be left out if that is not
    /// [active](Subscription::is_active) any more.
    Published(Arc<Subscription>, Arc<Message>),
    /// All that was written has left.
    Drained,
    /// A raw connection has been silent for its timeout.
    Ping,
    /// The peer of a raw connection will send nothing more, and may still read. What is written in answer to the
    /// messages before still leaves; the application then has to [`end`](Client::end) it.
    EndOfInput,
    /// The server stops. What is written now still leaves; the application then has to [`end`](Client::end) it.
    Shutdown,
    /// The last one: the code and the reason of a close frame, or those that stand for its absence.
    Close(Close),
}

/// One client. Cheap to clone; usable from any thread.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    handle: Handle,
    /// Set once the reactor has the connection. Commands are carried out in order, so none comes before that.
    connection: OnceLock<ConnectionId>,
    protocol: Protocol,
    role: Role,
    /// What the peers of a WebSocket have agreed to.
    deflate: OnceLock<Deflate>,
    /// For messages that may be compressed.
    encoder: Mutex<Encoder>,
    token: u64,
    open: AtomicBool,
    /// Writes that have not left.
    pending: AtomicUsize,
    /// Seconds.
    timeout: AtomicU64,
    wants_drained: AtomicBool,
    wants_ping: AtomicBool,
    mailbox: Mutex<Mailbox>,
    subscriptions: Mutex<Subscriptions>,
}

#[derive(Default)]
struct Mailbox {
    events: VecDeque<Event>,
    /// Bytes of the messages in it.
    bytes: usize,
    /// Publications that found no room.
    dropped: u64,
    /// A job stands for it, in the queue or at work.
    has_job: bool,
    /// The application wants no more messages.
    is_deaf: bool,
    /// The last event is, or was, in it.
    closed: bool,
    /// The reactor has stopped reading because of it.
    held: bool,
}

impl Client {
    /// A client for a connection that the reactor is about to get, or to change by [`Handle::upgrade`]. `timeout` is as
    /// for [`set_timeout`](Self::set_timeout); `deflate` is the compression that the peers of a WebSocket have agreed to.
    pub fn new(handle: Handle, protocol: Protocol, timeout: Duration, deflate: Option<Deflate>) -> Self {
        let client = Self::make(handle, protocol, timeout, Role::Server);
        client.agree(deflate);
        client
    }

    /// As [`new`](Self::new), for a connection to a server. What the peers agree to will turn out.
    pub fn of_server(handle: Handle, protocol: Protocol, timeout: Duration) -> Self {
        Self::make(handle, protocol, timeout, Role::Client)
    }

    fn make(handle: Handle, protocol: Protocol, timeout: Duration, role: Role) -> Self {
        static TOKEN: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Shared {
            handle,
            connection: OnceLock::new(),
            protocol,
            role,
            deflate: OnceLock::new(),
            encoder: Mutex::new(Encoder::new(None)),
            token: TOKEN.fetch_add(1, Ordering::Relaxed),
            open: AtomicBool::new(true),
            pending: AtomicUsize::new(0),
            timeout: AtomicU64::new(timeout.as_secs()),
            wants_drained: AtomicBool::new(false),
            wants_ping: AtomicBool::new(false),
            mailbox: Mutex::default(),
            subscriptions: Mutex::default(),
        }))
    }

    /// The number by which the application knows it. No other client of the process has it.
    pub fn token(&self) -> u64 {
        self.0.token
    }

    /// What is spoken on the connection.
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// Whether writes are taken.
    pub fn is_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire)
    }

    /// Writes that have not left yet.
    pub fn pending(&self) -> usize {
        self.0.pending.load(Ordering::Relaxed)
    }

    /// Silence after which the peer is sent a ping, in whole seconds; zero is for ever. After it a raw connection is
    /// [`Event::Ping`] if that is of interest, and closed if not.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.0.timeout.load(Ordering::Relaxed))
    }

    /// Sets the [`timeout`](Self::timeout). Counts from the last sign of life, at once.
    pub fn set_timeout(&self, timeout: Duration) {
        self.0.timeout.store(timeout.as_secs(), Ordering::Relaxed);
        self.review();
    }

    /// Whether [`Event::Drained`] is of interest; it is not at first.
    pub fn want_drained(&self, wanted: bool) {
        self.0.wants_drained.store(wanted, Ordering::Relaxed);
    }

    /// Whether [`Event::Ping`] is of interest; it is not at first.
    pub fn want_ping(&self, wanted: bool) {
        self.0.wants_ping.store(wanted, Ordering::Relaxed);
    }

    /// Sends bytes as they are, on a raw connection. Never blocks. False: the connection is closed, or about to be.
    pub fn send_bytes(&self, bytes: Bytes) -> bool {
        self.write(bytes)
    }

    /// Sends a message by WebSocket. Never blocks. False: the connection is closed, or about to be.
    pub fn send_message(&self, kind: Kind, payload: &[u8]) -> bool {
        self.is_open()
            && if self.0.deflate.get().is_some() {
                self.send_compressed(kind, payload)
            } else {
                let mut frame = Vec::with_capacity(payload.len() + 10);
                encode_message(kind, payload, self.mask(), &mut frame);
                self.write(frame.into())
            }
    }

    /// Sends an event to an event stream. Never blocks. False: the connection is closed, or about to be.
    ///
    /// # Errors
    /// When `event` or `id` cannot be sent.
    pub fn send_event(
        &self,
        data: &[u8],
        event: Option<&[u8]>,
        id: Option<&[u8]>,
        retry: Option<u64>,
    ) -> Result<bool, EventError> {
        let mut bytes = Vec::new();
        encode_event(data, event, id, retry, &mut bytes)?;
        Ok(self.write(bytes.into()))
    }

    /// Closes the connection once all that was written has left: a WebSocket by a close frame with this code, empty for
    /// [`CloseCode::NO_STATUS`]. No message is told any more, for the application wants none. Nothing else happens when
    /// the connection is closed already.
    pub fn close(&self, close: Close) {
        self.mailbox().is_deaf = true;
        self.end(close);
    }

    /// As [`close`](Self::close), but not by a wish of the application: messages that have come are told.
    pub fn end(&self, close: Close) {
        if self.0.open.swap(false, Ordering::AcqRel) {
            self.0.handle.send(Command::CloseClient(self.clone(), close));
        }
    }

    /// The next event, for the thread that has taken the client's job. `None`: the job is done.
    pub fn next_event(&self) -> Option<Event> {
        let mut mailbox = self.mailbox();
        let Some(event) = mailbox.take() else {
            mailbox.has_job = false;
            return None;
        };
        let resumes = mailbox.held && !mailbox.is_full(2);
        mailbox.held &= !resumes;
        drop(mailbox);
        if resumes {
            self.review();
        }
        Some(event)
    }

    /// Subscribes the connection to a topic, in place of its former subscription to the same topic. With `last_seen` it
    /// is given what the topic has kept since then. False: it is closed, or about to be.
    pub fn subscribe(&self, topic: Topic, delivery: Delivery, last_seen: Option<LastSeen>) -> bool {
        let subscription = Subscription::of_client(topic, delivery, last_seen);
        let mut subscriptions = self.subscriptions();
        if !self.is_open() {
            return false;
        }
        match subscriptions.add(&subscription) {
            Err(OwnerGone) => return false,
            Ok(Some(before)) => self.0.handle.request(Request::Unsubscribe(before)),
            Ok(None) => {}
        }
        // The lock is held: what is asked for later, for the same topic, must be carried out later.
        self.0.handle.request(Request::SubscribeClient(subscription, self.clone()));
        true
    }

    /// Ends the subscriptions of this name: that of the channel, and that of the pattern. False: there was none.
    pub fn unsubscribe(&self, name: &Bytes) -> bool {
        let mut subscriptions = self.subscriptions();
        let removed = subscriptions.remove(name);
        let existed = !removed.is_empty();
        removed.into_iter().for_each(|subscription| self.0.handle.request(Request::Unsubscribe(subscription)));
        existed
    }

    /// Ends all subscriptions, and lets no others be made.
    pub(crate) fn end_subscriptions(&self) -> Vec<Arc<Subscription>> {
        self.subscriptions().close()
    }

    /// Makes the calling thread the one that does the client's job, before the reactor knows the client. Has to be
    /// followed by [`requeue`](Self::requeue).
    pub fn take_job(&self) {
        self.mailbox().has_job = true;
    }

    /// Puts a job that is not done behind those of others.
    pub fn requeue(&self) {
        self.0.handle.push_job(Job::Client(self.clone()));
    }

    pub(crate) fn deflate(&self) -> Option<Deflate> {
        self.0.deflate.get().copied()
    }

    /// The peers of a WebSocket have agreed to this. Before anything is sent, and once.
    pub(crate) fn agree(&self, deflate: Option<Deflate>) {
        if let Some(deflate) = deflate.filter(|deflate| self.0.deflate.set(*deflate).is_ok()) {
            *self.0.encoder.lock().unwrap_or_else(PoisonError::into_inner) = Encoder::new(Some(deflate));
        }
    }

    /// Which end of a WebSocket this is.
    pub(crate) fn role(&self) -> Role {
        self.0.role
    }

    /// What to mask the next frame with (RFC 6455 section 5.3): a new key each time at a client, nothing at a server.
    pub(crate) fn mask(&self) -> Option<MaskKey> {
        (self.0.role == Role::Client).then(random::bytes)
    }

    /// `None`: the reactor never had it.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.0.connection.get().copied()
    }

    /// The reactor has the connection. Nothing happens the second time.
    pub(crate) fn connect(&self, connection: ConnectionId) {
        let _ = self.0.connection.set(connection);
    }

    pub(crate) fn wants_ping(&self) -> bool {
        self.0.wants_ping.load(Ordering::Relaxed)
    }

    /// Whether the application is being told of something, or is about to be.
    pub(crate) fn is_busy(&self) -> bool {
        self.mailbox().has_job
    }

    /// Writes are not taken any more.
    pub(crate) fn shut(&self) {
        self.0.open.store(false, Ordering::Release);
    }

    /// So many writes have left.
    pub(crate) fn has_sent(&self, writes: usize) {
        self.0.pending.fetch_sub(writes, Ordering::Relaxed);
    }

    /// Puts an event into the mailbox. `Some`: the job that has to be queued for it.
    pub(crate) fn push(&self, event: Event) -> Option<Job> {
        // Each delivery of a publication ends here, mostly in vain: without the lock.
        if event == Event::Drained && !self.0.wants_drained.load(Ordering::Relaxed) {
            return None;
        }
        let mut mailbox = self.mailbox();
        let is_unwanted = match &event {
            Event::Drained => mailbox.events.back() == Some(&Event::Drained),
            Event::Published(subscription, message) => !mailbox.has_room(message.size(), subscription),
            _ => false,
        };
        if mailbox.closed || is_unwanted {
            return None;
        }
        mailbox.closed = matches!(event, Event::Close(_));
        mailbox.bytes += event.size();
        mailbox.events.push_back(event);
        (!std::mem::replace(&mut mailbox.has_job, true)).then(|| Job::Client(self.clone()))
    }

    /// Whether the application is so far behind that nothing more should be read for it. The reactor looks at the
    /// connection again when there is room.
    pub(crate) fn is_full(&self) -> bool {
        let mut mailbox = self.mailbox();
        mailbox.held = mailbox.is_full(1);
        mailbox.held
    }

    /// Sends a message that is published to many. Its compressed frame is queued like those of the application, in the
    /// order of encoding.
    pub(crate) fn send_publication(&self, publication: &mut Publication) {
        let mut encoder = self.0.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = encoder.publication(publication, &mut self.deflater());
        self.write(frame);
    }

    /// A write of the reactor itself.
    pub(crate) fn will_send(&self) {
        self.0.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// The encoder is held until the frame is queued: the peer must get compressed messages in the order of encoding.
    fn send_compressed(&self, kind: Kind, payload: &[u8]) -> bool {
        let mut frame = Vec::new();
        let mut encoder = self.0.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.message(kind, payload, self.mask(), &mut self.deflater(), &mut frame);
        self.write(frame.into())
    }

    /// What compresses for peers with this one's window.
    fn deflater(&self) -> MutexGuard<'_, Deflater> {
        let window = self.deflate().map_or(WindowBits::MAX, |deflate| deflate.outgoing.bits);
        self.0.handle.deflater(window)
    }

    fn write(&self, bytes: Bytes) -> bool {
        let open = self.is_open();
        if open {
            self.0.pending.fetch_add(1, Ordering::Relaxed);
            self.0.handle.send(Command::WriteClient(self.clone(), bytes));
        }
        open
    }

    fn review(&self) {
        self.0.handle.send(Command::Review(self.clone()));
    }

    fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        self.0.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    /// Bytes of its message.
    fn size(&self) -> usize {
        match self {
            Self::Message(_, data) => data.len(),
            Self::Published(_, message) => message.size(),
            _ => 0,
        }
    }
}

impl Mailbox {
    /// The next event that is to be told.
    fn take(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            self.bytes -= event.size();
            if !(self.is_deaf && matches!(event, Event::Message(..) | Event::Published(..))) {
                return Some(event);
            }
        }
    }

    /// Whether a publication of so many bytes fits in; counts it if not.
    fn has_room(&mut self, bytes: usize, subscription: &Subscription) -> bool {
        let has_room = self.events.len() < MOST_PUBLISHED && self.bytes + bytes <= MOST_PUBLISHED_BYTES;
        if !has_room && !self.events.is_empty() {
            self.dropped += 1;
            subscription.note_dropped(self.dropped);
            return false;
        }
        true
    }

    /// Whether there is a share of one part in `parts`, or more, of what it may hold.
    fn is_full(&self, parts: usize) -> bool {
        self.events.len() >= MOST_EVENTS / parts || self.bytes >= MOST_BYTES / parts
    }
}

/// How the end of a connection without a close frame is told.
pub(crate) fn abnormal() -> Close {
    broken("")
}

/// The same, with a reason.
pub(crate) fn broken(reason: &str) -> Close {
    Close { code: CloseCode::ABNORMAL, reason: reason.to_owned() }
}

/// Events that wait before the reactor reads no more.
const MOST_EVENTS: usize = 256;
/// Bytes of messages that wait before the reactor reads no more.
const MOST_BYTES: usize = 1 << 20;
/// Events that wait, and bytes of messages, before publications are dropped.
const MOST_PUBLISHED: usize = 16_384;
const MOST_PUBLISHED_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Reactor;

    fn client(protocol: Protocol) -> Client {
        let reactor = Reactor::new(Arc::default()).unwrap();
        Client::new(reactor.handle(), protocol, Duration::ZERO, None)
    }

    fn message(size: usize) -> Event {
        Event::Message(Kind::Binary, vec![0; size])
    }

    fn events(client: &Client) -> Vec<Event> {
        std::iter::from_fn(|| client.next_event()).collect()
    }

    fn commands(client: &Client) -> Vec<Command> {
        let mut commands = Vec::new();
        client.0.handle.receive(&mut commands);
        commands
    }

    #[test]
    fn one_job_stands_for_all_events_until_there_are_none() {
        let client = client(Protocol::Raw);
        assert!(client.push(Event::Open).is_some());
        assert!(client.push(message(1)).is_none());
        assert!(client.is_busy());
        assert_eq!(client.next_event(), Some(Event::Open));
        assert!(client.push(message(2)).is_none(), "the job is not done");
        assert_eq!(events(&client), [message(1), message(2)]);
        assert!(!client.is_busy());
        assert!(client.push(Event::Ping).is_some());
    }

    #[test]
    fn nothing_is_told_after_the_end() {
        let client = client(Protocol::WebSocket);
        client.push(Event::Close(abnormal()));
        client.push(message(1));
        client.push(Event::Close(broken("again")));
        assert_eq!(events(&client), [Event::Close(abnormal())]);
    }

    #[test]
    fn messages_are_told_unless_the_application_has_closed() {
        let client = client(Protocol::Raw);
        client.push(message(1));
        client.end(abnormal());
        assert_eq!(client.next_event(), Some(message(1)));
        client.push(message(2));
        client.push(Event::Drained);
        client.close(abnormal());
        client.push(message(3));
        client.push(Event::Close(abnormal()));
        assert_eq!(events(&client), [Event::Close(abnormal())]);
        assert_eq!(client.mailbox().bytes, 0);
    }

    #[test]
    fn drained_is_told_if_wanted_and_once_in_a_row() {
        let client = client(Protocol::Raw);
        assert!(client.push(Event::Drained).is_none());
        client.want_drained(true);
        for event in [Event::Drained, Event::Drained, message(1), Event::Drained] {
            client.push(event);
        }
        assert_eq!(events(&client), [Event::Drained, message(1), Event::Drained]);
    }

    #[test]
    fn a_full_mailbox_has_the_reactor_look_again_when_half_of_it_is_told() {
        let cases = [(1, MOST_EVENTS), (MOST_BYTES / 4, 4)];
        for (size, count) in cases {
            let client = client(Protocol::Raw);
            for _ in 1..count {
                client.push(message(size));
            }
            assert!(!client.is_full(), "below the bound of {count}");
            client.push(message(size));
            assert!(client.is_full(), "at the bound of {count}");
            for _ in 0..count / 2 {
                client.next_event();
                assert!(commands(&client).is_empty());
            }
            client.next_event();
            assert!(matches!(commands(&client)[..], [Command::Review(_)]), "{count}");
            client.next_event();
            assert!(commands(&client).is_empty(), "once");
        }
    }

    #[test]
    fn publications_beyond_the_bounds_are_dropped_and_counted() {
        let subscription = || {
            let delivery = Delivery::Block(Arc::new(()));
            Subscription::of_client(Topic::channel("a"), delivery, None)
        };
        let publication =
            |size: usize| Event::Published(subscription(), Arc::new(Message::new("a".into(), vec![0; size].into())));
        for (count, dropped) in [(MOST_PUBLISHED - 1, 0), (MOST_PUBLISHED, 0), (MOST_PUBLISHED + 1, 1)] {
            let client = client(Protocol::WebSocket);
            (0..count).for_each(|_| drop(client.push(publication(0))));
            assert_eq!(client.mailbox().dropped, dropped, "{count}");
            client.push(Event::Close(abnormal()));
            assert_eq!(events(&client).len(), count.min(MOST_PUBLISHED) + 1, "the end is told in any case");
        }
        for (more, dropped) in [(0, 0), (1, 1)] {
            let client = client(Protocol::WebSocket);
            client.push(publication(MOST_PUBLISHED_BYTES / 2 - 1));
            client.push(publication(MOST_PUBLISHED_BYTES / 2 - 1 + more));
            assert_eq!(client.mailbox().dropped, dropped, "{more} too many");
        }
        let client = client(Protocol::WebSocket);
        client.push(publication(MOST_PUBLISHED_BYTES + 1));
        assert_eq!(client.mailbox().dropped, 0, "one passes whatever its size");
    }

    #[test]
    fn writes_are_counted_until_they_have_left_and_refused_from_close_on() {
        let client = client(Protocol::Raw);
        assert!(client.send_bytes("one".into()) && client.send_bytes("two".into()));
        assert_eq!(client.pending(), 2);
        client.has_sent(2);
        assert_eq!(client.pending(), 0);
        client.close(abnormal());
        client.close(abnormal());
        assert!(!client.is_open() && !client.send_bytes("late".into()));
        let sent = commands(&client);
        assert!(matches!(sent[..], [Command::WriteClient(..), Command::WriteClient(..), Command::CloseClient(..)]));
    }

    #[test]
    fn each_frame_to_a_server_has_a_mask_of_its_own() {
        let reactor = Reactor::new(Arc::default()).unwrap();
        let client = Client::of_server(reactor.handle(), Protocol::WebSocket, Duration::ZERO);
        client.send_message(Kind::Text, b"same");
        client.send_message(Kind::Text, b"same");
        let frames: Vec<Bytes> = commands(&client)
            .into_iter()
            .filter_map(|command| if let Command::WriteClient(_, bytes) = command { Some(bytes) } else { None })
            .collect();
        assert_eq!(frames.len(), 2);
        assert!(frames.iter().all(|frame| frame[1] == 0x84), "masked");
        assert_ne!(frames[0], frames[1]);
    }

    #[test]
    fn who_takes_the_job_is_told_before_anybody_else() {
        let client = client(Protocol::Raw);
        client.take_job();
        assert!(client.push(message(1)).is_none(), "somebody has the job");
        assert_eq!(events(&client), [message(1)]);
    }
}
