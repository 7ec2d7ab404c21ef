//! The engine: a thread, and how the rest of the process reaches it.

use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Poll, Waker};

use super::driver::{Driver, Exit, Sink, WAKER};
use super::outbox::{Done, Entry, Full, Outbox};
use super::reply::{FULL, STOPPED};
use super::session::pack;
use super::{Reply, Server, Settings};
use crate::jobs::Job;
use crate::pubsub::{Answer, Change, Engine, Message, Topic};

/// Publishes and subscribes through one Redis server, for a whole cluster.
///
/// It connects when it is [started](Self::start); what is asked before waits. No method waits for Redis but
/// [`stop`](Self::stop).
pub struct RedisEngine {
    shared: Arc<Shared>,
    thread: Mutex<Thread>,
}

enum Thread {
    /// Not started yet.
    Idle(Box<Driver>),
    Running(JoinHandle<(Box<Driver>, Exit)>),
    /// About to run again, unless it was not running before.
    Paused {
        driver: Box<Driver>,
        is_wanted: bool,
    },
    Stopped,
}

/// What the thread and all others have in common.
pub(super) struct Shared {
    pending: Mutex<Pending>,
    /// The thread is in its poll, or about to enter it after a look at `pending`.
    is_asleep: AtomicBool,
    waker: Waker,
}

struct Pending {
    outbox: Outbox,
    changes: Vec<Change>,
    /// How many changes there have been.
    changed: u64,
    order: Option<Order>,
    /// Nothing will be sent any more.
    is_over: bool,
    /// A message has come after the end.
    has_refused: bool,
    /// Something was added, or ordered, since the thread has looked.
    is_fresh: bool,
}

/// A command that will not be sent.
struct Refused {
    done: Option<Done>,
    /// Whether it is the first of its kind, and worth a word.
    is_first: bool,
    reason: &'static str,
}

/// What the thread is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Pause,
    /// When everything is sent, or then.
    Stop(Instant),
}

impl RedisEngine {
    /// An engine that is not started yet. `sink` is called with each message of the subscriptions, on the engine's
    /// thread, and must not wait.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(server: Server, settings: Settings, sink: Sink) -> io::Result<Self> {
        let poll = Poll::new()?;
        let pending = Pending {
            outbox: Outbox::new(settings.max_pending),
            changes: Vec::new(),
            changed: 0,
            order: None,
            is_over: false,
            has_refused: false,
            is_fresh: false,
        };
        let shared = Arc::new(Shared {
            pending: Mutex::new(pending),
            is_asleep: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), WAKER)?,
        });
        let driver = Driver::new(poll, Arc::clone(&shared), server, settings, sink);
        Ok(Self { shared, thread: Mutex::new(Thread::Idle(Box::new(driver))) })
    }

    /// Starts the thread, unless it runs or was stopped; in a pause, at the end of it.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(&self) -> io::Result<()> {
        let mut thread = self.thread();
        match std::mem::replace(&mut *thread, Thread::Stopped) {
            Thread::Idle(driver) => *thread = self.run(driver)?,
            Thread::Paused { driver, .. } => *thread = Thread::Paused { driver, is_wanted: true },
            other => *thread = other,
        }
        Ok(())
    }

    /// Ends the thread and keeps the connections, so that the process may fork.
    pub fn pause(&self) {
        let is_wanted = self.end(Order::Pause);
        let mut thread = self.thread();
        match std::mem::replace(&mut *thread, Thread::Stopped) {
            Thread::Idle(driver) => *thread = Thread::Paused { driver, is_wanted },
            other => *thread = other,
        }
    }

    /// The end of a pause.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn resume(&self) -> io::Result<()> {
        let mut thread = self.thread();
        match std::mem::replace(&mut *thread, Thread::Stopped) {
            Thread::Paused { driver, is_wanted: true } => *thread = self.run(driver)?,
            Thread::Paused { driver, is_wanted: false } => *thread = Thread::Idle(driver),
            other => *thread = other,
        }
        Ok(())
    }

    /// In a process that was forked during a pause: lets go of the connections, which are the other's.
    pub fn abandon(&self) {
        *self.thread() = Thread::Stopped;
    }

    /// Sends what waits, for at most so long, and ends everything. What could not be sent is counted in the log.
    pub fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within;
        if !self.end(Order::Stop(deadline)) && !self.shared.is_empty() && self.start().is_ok() {
            // It was never started, and has something to send.
            self.end(Order::Stop(deadline));
        }
        *self.thread() = Thread::Stopped;
        self.shared.lock().is_over = true;
    }

    /// Queues a message. `false` when it was dropped, because too much waits already, or after the end.
    pub fn send(&self, channel: &[u8], payload: &[u8]) -> bool {
        let bytes = pack(&[b"PUBLISH", channel, payload]);
        match self.shared.push(bytes, None) {
            Ok(()) => true,
            Err(Refused { is_first, reason, .. }) => {
                if is_first {
                    log::warn!("a message for Redis was dropped, and others may be: {reason}");
                }
                false
            }
        }
    }

    /// Queues a command; `done` is called with the answer. Answers come in the order of the commands.
    pub fn command(&self, arguments: &[&[u8]], done: Done) {
        self.command_packed(pack(arguments), done);
    }

    fn command_packed(&self, packed: Vec<u8>, done: Done) {
        if let Err(Refused { done: Some(done), reason, .. }) = self.shared.push(packed, Some(done)) {
            done(Reply::Error(reason.into()));
        }
    }

    fn run(&self, driver: Box<Driver>) -> io::Result<Thread> {
        self.shared.lock().order = None;
        thread::Builder::new().name("iodine-redis".into()).spawn(move || serve(driver)).map(Thread::Running)
    }

    /// Ends the thread by an order. Whether there was one.
    fn end(&self, order: Order) -> bool {
        let mut thread = self.thread();
        let handle = match std::mem::replace(&mut *thread, Thread::Stopped) {
            Thread::Running(handle) => handle,
            other => {
                *thread = other;
                return false;
            }
        };
        self.shared.order_to(order);
        // `serve` catches panics: there is nothing to pass on.
        if let Ok((driver, Exit::Paused)) = handle.join() {
            *thread = Thread::Idle(driver);
        }
        true
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for RedisEngine {
    fn tell(&self, change: &Change) -> Option<Job> {
        self.shared.change(change.clone());
        None
    }

    fn publish(&self, message: &Message) {
        self.send(&message.channel, &message.payload);
    }

    /// The question is a command as [`pack`](super::pack) makes it, the answer an encoded [`Reply`].
    fn call(&self, question: Bytes, answer: Answer) {
        self.command_packed(question.into(), Box::new(move |reply| answer(reply.encode().into())));
    }

    fn detached(&self, topics: &HashSet<Topic>) {
        topics.iter().for_each(|topic| self.shared.change(Change::Lost(topic.clone())));
    }
}

/// The thread.
fn serve(mut driver: Box<Driver>) -> (Box<Driver>, Exit) {
    loop {
        match catch_unwind(AssertUnwindSafe(|| driver.run())) {
            Ok(exit) => return (driver, exit),
            Err(_) => driver.recover(),
        }
    }
}

impl Shared {
    fn push(&self, bytes: Vec<u8>, done: Option<Done>) -> Result<(), Refused> {
        let mut pending = self.lock();
        if pending.is_over {
            let is_first = done.is_none() && !std::mem::replace(&mut pending.has_refused, true);
            return Err(Refused { done, is_first, reason: STOPPED });
        }
        let entry = Entry { bytes, after: pending.changed, done };
        if let Err(Full { entry, is_first }) = pending.outbox.push(entry) {
            return Err(Refused { done: entry.done, is_first, reason: FULL });
        }
        pending.is_fresh = true;
        drop(pending);
        self.wake();
        Ok(())
    }

    fn change(&self, change: Change) {
        let mut pending = self.lock();
        pending.changed += 1;
        pending.changes.push(change);
        pending.is_fresh = true;
        drop(pending);
        self.wake();
    }

    fn order_to(&self, order: Order) {
        let mut pending = self.lock();
        pending.order = Some(order);
        pending.is_fresh = true;
        drop(pending);
        self.wake();
    }

    /// Wakes the thread if it sleeps: a system call that publishing under load can do without.
    fn wake(&self) {
        if self.is_asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            log::error!("the thread that talks to Redis could not be woken: {error}");
        }
    }

    /// The thread is about to poll. `false`: there is something to do first.
    pub(super) fn sleep(&self) -> bool {
        self.is_asleep.store(true, Ordering::SeqCst);
        !std::mem::take(&mut self.lock().is_fresh)
    }

    pub(super) fn awake(&self) {
        self.is_asleep.store(false, Ordering::SeqCst);
        self.lock().is_fresh = false;
    }

    pub(super) fn order(&self) -> Option<Order> {
        self.lock().order
    }

    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock().changes)
    }

    pub(super) fn next_entry(&self, settled: u64) -> Option<Entry> {
        self.lock().outbox.pop(settled)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().outbox.is_empty()
    }

    /// Publications that were dropped, if everything else has been sent.
    pub(super) fn take_dropped_if_empty(&self) -> u64 {
        let mut pending = self.lock();
        if pending.outbox.is_empty() { pending.outbox.take_dropped() } else { 0 }
    }

    pub(super) fn take_dropped(&self) -> u64 {
        self.lock().outbox.take_dropped()
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::pubsub::redis::Arrival;

    /// A peer that the test plays.
    struct Redis(TcpListener);

    /// One of its connections.
    struct Peer(TcpStream);

    impl Redis {
        fn new() -> Self {
            Self(TcpListener::bind(("127.0.0.1", 0)).unwrap())
        }

        fn engine(&self, settings: Settings) -> (RedisEngine, Receiver<Arrival>) {
            let (sender, messages) = channel();
            let url = format!("redis://127.0.0.1:{}", self.0.local_addr().unwrap().port());
            let sink = Box::new(move |message| sender.send(message).unwrap());
            (RedisEngine::new(Server::parse(&url).unwrap(), settings, sink).unwrap(), messages)
        }

        /// The next connection, greeted.
        fn accept(&self) -> Peer {
            let mut peer = Peer(self.0.accept().unwrap().0);
            peer.expect("*1\r\n$4\r\nPING\r\n");
            peer.say("+PONG\r\n");
            peer
        }

        /// Both connections: that of commands, and that of subscriptions, which say which they are.
        fn accept_both(&self) -> (Peer, Peer) {
            (self.accept(), self.accept())
        }
    }

    impl Peer {
        fn expect(&mut self, text: &str) {
            let mut bytes = vec![0; text.len()];
            self.0.read_exact(&mut bytes).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), text);
        }

        fn say(&mut self, text: &str) {
            self.0.write_all(text.as_bytes()).unwrap();
        }

        /// Whether nothing has come.
        fn is_quiet(&self) -> bool {
            self.0.set_nonblocking(true).unwrap();
            let peeked = self.0.peek(&mut [0]);
            self.0.set_nonblocking(false).unwrap();
            peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        }
    }

    fn packed(arguments: &[&str]) -> String {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        String::from_utf8(pack(&arguments)).unwrap()
    }

    #[test]
    fn publishes_after_the_subscriptions_that_came_before() {
        let redis = Redis::new();
        let (engine, messages) = redis.engine(Settings::default());
        engine.tell(&Change::Gained(Topic::channel("a")));
        engine.send(b"a", b"1");
        engine.start().unwrap();
        let (mut commands, mut listening) = redis.accept_both();
        listening.expect(&packed(&["SUBSCRIBE", "a"]));
        assert!(commands.is_quiet());
        listening.say("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        commands.expect(&packed(&["PUBLISH", "a", "1"]));
        commands.say(":1\r\n");
        listening.say("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n");
        let message = messages.recv().unwrap();
        assert_eq!((&message.channel[..], &message.payload[..]), (&b"a"[..], &b"1"[..]));
        engine.stop(Duration::from_secs(10));
    }

    #[test]
    fn comes_back_and_subscribes_again() {
        let redis = Redis::new();
        let (engine, _messages) = redis.engine(Settings::default());
        engine.start().unwrap();
        drop(redis.accept_both());
        engine.tell(&Change::Gained(Topic::pattern("a*")));
        engine.send(b"ab", b"while it is away");
        let (mut commands, mut listening) = redis.accept_both();
        // Which of the two comes back first is chance; the subscription is sent before the message.
        while commands.is_quiet() && listening.is_quiet() {
            thread::yield_now();
        }
        if listening.is_quiet() {
            std::mem::swap(&mut commands, &mut listening);
        }
        listening.expect(&packed(&["PSUBSCRIBE", "a*"]));
        listening.say("*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n");
        commands.expect(&packed(&["PUBLISH", "ab", "while it is away"]));
        commands.say(":1\r\n");
        engine.stop(Duration::from_secs(10));
    }

    #[test]
    fn answers_commands_that_cannot_be_sent() {
        let redis = Redis::new();
        let (engine, _messages) = redis.engine(Settings { max_pending: 200, ..Settings::default() });
        let (sender, replies) = channel();
        let ask = |size: usize| {
            let sender = sender.clone();
            engine.command(&[&vec![b'x'; size]], Box::new(move |reply| sender.send(reply).unwrap()));
        };
        ask(300);
        assert_eq!(replies.try_recv(), Ok(Reply::Error(FULL.into())));
        assert!(!engine.send(b"a", &[b'x'; 300]));
        ask(10);
        engine.start().unwrap();
        let (mut commands, _listening) = redis.accept_both();
        commands.expect(&packed(&["xxxxxxxxxx"]));
        drop(commands);
        assert!(matches!(replies.recv(), Ok(Reply::Error(text)) if text.starts_with("LOST")));
        engine.stop(Duration::ZERO);
        ask(10);
        assert_eq!(replies.try_recv(), Ok(Reply::Error(STOPPED.into())));
        assert!(!engine.send(b"a", b"1"));
    }

    #[test]
    fn keeps_its_connections_through_a_pause() {
        let redis = Redis::new();
        let (engine, _messages) = redis.engine(Settings::default());
        engine.pause();
        engine.resume().unwrap();
        engine.start().unwrap();
        let (mut commands, _listening) = redis.accept_both();
        engine.pause();
        engine.send(b"a", b"1");
        engine.start().unwrap();
        assert!(commands.is_quiet());
        engine.resume().unwrap();
        commands.expect(&packed(&["PUBLISH", "a", "1"]));
        commands.say(":0\r\n");
        engine.stop(Duration::from_secs(10));
    }

    #[test]
    fn does_not_wait_for_a_server_that_is_not_there() {
        let redis = Redis::new();
        let (engine, _messages) = redis.engine(Settings::default());
        drop(redis);
        engine.send(b"a", b"1");
        let began = Instant::now();
        engine.stop(Duration::from_secs(60));
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn sends_what_waits_before_it_ends() {
        let redis = Redis::new();
        let (engine, _messages) = redis.engine(Settings::default());
        engine.send(b"a", b"1");
        let stop = thread::spawn(move || engine.stop(Duration::from_secs(60)));
        let (mut commands, _listening) = redis.accept_both();
        commands.expect(&packed(&["PUBLISH", "a", "1"]));
        assert!(!stop.is_finished());
        commands.say(":0\r\n");
        stop.join().unwrap();
    }
}
