//! The loop of the engine's thread.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::{Events, Poll, Token};
use redis::Value;

use super::engine::{Order, Shared};
use super::link::Link;
use super::outbox::{Done, Entry};
use super::reply::{LOST, STOPPED, text_of};
use super::session::{Failure, Received};
use super::subscriptions::Subscriptions;
use super::{Arrival, Reply, Server, Settings};
use crate::pubsub::is_worth_a_line;

/// Called with each message, on the thread of the engine.
pub type Sink = Box<dyn Fn(Arrival) + Send>;

/// Both connections, and what is known of them. It may be run, left, and run again by another thread.
pub(super) struct Driver {
    poll: Poll,
    events: Events,
    shared: Arc<Shared>,
    server: Server,
    settings: Settings,
    sink: Sink,
    commands: Link<Question>,
    listening: Link<u64>,
    subscriptions: Subscriptions,
    /// Why Redis is away, as was said since it was there last.
    troubles: Vec<String>,
    /// Messages that Redis has refused, and subscriptions.
    refused: u64,
    refused_subscriptions: u64,
    /// A link had more to read than a turn takes.
    is_unfinished: bool,
    /// The end was ordered, and one more attempt to connect made.
    is_leaving: bool,
}

/// Who asked on the connection of commands.
pub(super) enum Question {
    /// A publication: nobody waits.
    Publication,
    Command(Done),
}

/// Why the driver is run no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It may be run again.
    Paused,
    Stopped,
}

pub(super) const WAKER: Token = Token(0);
const COMMANDS: Token = Token(1);
const LISTENING: Token = Token(2);

/// Values read from one connection before the other has its turn.
const VALUES_A_TURN: usize = 1024;
/// Commands on the way to Redis, and the bytes of those that were not written yet: more wait in the outbox, which is
/// what has a limit, and whose content is not lost with the connection.
const WINDOW: usize = 1024;
const WINDOW_BYTES: usize = 256 << 10;
/// Reasons that are said until Redis is back.
const TROUBLES: usize = 8;

impl Driver {
    pub(super) fn new(poll: Poll, shared: Arc<Shared>, server: Server, settings: Settings, sink: Sink) -> Self {
        let now = Instant::now();
        Self {
            poll,
            events: Events::with_capacity(8),
            shared,
            server,
            settings,
            sink,
            commands: Link::new(COMMANDS, now),
            listening: Link::new(LISTENING, now),
            subscriptions: Subscriptions::default(),
            troubles: Vec::new(),
            refused: 0,
            refused_subscriptions: 0,
            is_unfinished: false,
            is_leaving: false,
        }
    }

    /// Runs turns until it is told to pause or to stop.
    pub(super) fn run(&mut self) -> Exit {
        loop {
            if let Err(error) = self.poll() {
                log::error!("Redis at {}: waiting for it failed: {error}", self.server);
                return Exit::Stopped;
            }
            if let Some(exit) = self.turn(Instant::now()) {
                return exit;
            }
        }
    }

    fn poll(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let wanted = if self.is_unfinished || !self.shared.sleep() { now } else { self.alarm() };
        let polled = self.poll.poll(&mut self.events, Some(wanted.saturating_duration_since(now)));
        self.shared.awake();
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    fn alarm(&self) -> Instant {
        let alarm = self.commands.alarm(&self.settings).min(self.listening.alarm(&self.settings));
        match self.shared.order() {
            Some(Order::Stop(deadline)) => alarm.min(deadline),
            Some(Order::Pause) | None => alarm,
        }
    }

    /// What there is to do. Reading comes first: who finds a connection closed there sends nothing into it.
    fn turn(&mut self, now: Instant) -> Option<Exit> {
        self.is_unfinished = false;
        self.read_answers(now);
        self.read_messages(now);
        self.subscribe(now);
        self.connect(now);
        self.send(now);
        self.look_after(now);
        self.obey(now)
    }

    fn connect(&mut self, now: Instant) {
        if let Err(failure) = self.commands.connect(&self.server, self.settings.timeout, self.poll.registry(), now) {
            self.lose_commands(&failure, now);
        }
        if let Err(failure) = self.listening.connect(&self.server, self.settings.timeout, self.poll.registry(), now) {
            self.lose_messages(&failure, now);
        }
    }

    fn read_answers(&mut self, now: Instant) {
        for _ in 0..VALUES_A_TURN {
            let Some(session) = self.commands.session() else { return };
            match session.receive(now) {
                Ok(None) => return,
                Ok(Some(Received::Greeted)) => self.settle_trouble(),
                Ok(Some(Received::Answer(question, value))) => self.answer(question, value, now),
                Ok(Some(Received::Message(_))) => self.lose_commands(&Failure::Garbage, now),
                Err(failure) => self.lose_commands(&failure, now),
            }
        }
        self.is_unfinished = true;
    }

    fn answer(&mut self, question: Question, value: Value, now: Instant) {
        match (question, value) {
            (Question::Command(done), value) => done(value.into()),
            (Question::Publication, Value::ServerError(error)) => {
                self.refused += 1;
                self.tell_refused("messages", self.refused, &text_of(&error));
            }
            // How many clients it has reached; `QUEUED` within a transaction of the application.
            (Question::Publication, Value::Int(_) | Value::SimpleString(_)) => {}
            (Question::Publication, _) => self.lose_commands(&Failure::Garbage, now),
        }
    }

    fn tell_refused(&self, what: &str, count: u64, error: &str) {
        if is_worth_a_line(count) {
            log::error!("Redis at {} has refused {what}, {count} by now: {}", self.server, error.escape_debug());
        }
    }

    fn read_messages(&mut self, now: Instant) {
        for _ in 0..VALUES_A_TURN {
            let Some(session) = self.listening.session() else { return };
            match session.receive(now) {
                Ok(None) => return,
                Ok(Some(Received::Message(message))) => (self.sink)(message),
                Ok(Some(Received::Answer(change, value))) => self.confirm(change, &value, now),
                Ok(Some(Received::Greeted)) => {
                    self.subscribe_to_all(now);
                    self.settle_trouble();
                }
                Err(failure) => self.lose_messages(&failure, now),
            }
        }
        self.is_unfinished = true;
    }

    /// A refusal settles a change as well: no message will come, and what waits for it need not.
    fn confirm(&mut self, change: u64, value: &Value, now: Instant) {
        match value {
            Value::Array(_) => {}
            Value::ServerError(error) => {
                self.refused_subscriptions += 1;
                self.tell_refused("subscriptions", self.refused_subscriptions, &text_of(error));
            }
            _ => return self.lose_messages(&Failure::Garbage, now),
        }
        self.subscriptions.confirm(change);
    }

    /// Tells Redis what has changed since the last turn.
    fn subscribe(&mut self, now: Instant) {
        for change in self.shared.take_changes() {
            let command = self.subscriptions.apply(change);
            if let Some(session) = self.listening.ready() {
                session.send(&command, self.subscriptions.latest(), now);
            }
        }
    }

    fn subscribe_to_all(&mut self, now: Instant) {
        let Some(session) = self.listening.ready() else { return };
        let mut commands = self.subscriptions.all().peekable();
        while let Some(command) = commands.next() {
            // Only the last answer says that all is known.
            let settles = if commands.peek().is_none() { self.subscriptions.latest() } else { 0 };
            session.send(&command, settles, now);
        }
    }

    /// Sends what waits, as far as the window is open.
    fn send(&mut self, now: Instant) {
        let settled = self.subscriptions.settled();
        let Some(session) = self.commands.ready() else { return };
        while session.owed() < WINDOW && session.backlog() < WINDOW_BYTES {
            let Some(Entry { bytes, done, .. }) = self.shared.next_entry(settled) else {
                return self.tell_dropped();
            };
            session.send(&bytes, done.map_or(Question::Publication, Question::Command), now);
        }
    }

    /// Once there is room again, says how many messages found none.
    fn tell_dropped(&self) {
        let dropped = self.shared.take_dropped_if_empty();
        if dropped > 0 {
            let server = &self.server;
            log::warn!("Redis at {server}: {dropped} messages were dropped while it was away, or too slow");
        }
    }

    /// Writes, and looks whether Redis is still there.
    fn look_after(&mut self, now: Instant) {
        let Settings { ping, timeout, .. } = self.settings;
        if let Some(session) = self.commands.session()
            && let Err(failure) = session.check(ping, timeout, now).and_then(|()| session.flush())
        {
            self.lose_commands(&failure, now);
        }
        if let Some(session) = self.listening.session()
            && let Err(failure) = session.check(ping, timeout, now).and_then(|()| session.flush())
        {
            self.lose_messages(&failure, now);
        }
    }

    fn lose_commands(&mut self, failure: &Failure, now: Instant) {
        let failed = self.commands.fail(now);
        let mut lost: u64 = 0;
        for question in failed.session.into_iter().flat_map(|session| session.into_unanswered()) {
            match question {
                Question::Publication => lost += 1,
                Question::Command(done) => done(Reply::Error(LOST.into())),
            }
        }
        if failed.is_final {
            self.tell(failure);
        }
        if lost > 0 {
            log::warn!(
                "Redis at {}: {lost} messages were sent and not confirmed when the connection ended; they may be lost",
                self.server
            );
        }
    }

    fn lose_messages(&mut self, failure: &Failure, now: Instant) {
        let failed = self.listening.fail(now);
        self.subscriptions.forget();
        if failed.is_final {
            self.tell(failure);
        }
    }

    /// Says why Redis is away: each reason once, and no more than some of them.
    fn tell(&mut self, failure: &Failure) {
        let text = self.server.conceal(&failure.to_string());
        if self.troubles.len() >= TROUBLES || self.troubles.contains(&text) {
            return;
        }
        log::warn!("Redis at {} cannot be used: {text}. Trying again, and queueing messages until then.", self.server);
        self.troubles.push(text);
    }

    fn settle_trouble(&mut self) {
        if self.commands.ready().is_none() || self.listening.ready().is_none() {
            return;
        }
        if self.troubles.is_empty() {
            log::debug!("connected to Redis at {}", self.server);
        } else {
            self.troubles.clear();
            log::info!("Redis at {} is back", self.server);
        }
    }

    /// Begins anew with both connections: something went wrong in the middle of one.
    pub(super) fn recover(&mut self) {
        let now = Instant::now();
        self.lose_commands(&Failure::Defect, now);
        self.lose_messages(&Failure::Defect, now);
    }

    fn obey(&mut self, now: Instant) -> Option<Exit> {
        match self.shared.order()? {
            Order::Pause => Some(Exit::Paused),
            Order::Stop(deadline) => self.leave(now >= deadline).then_some(Exit::Stopped),
        }
    }

    /// Whether everything has been sent and confirmed, or cannot be: then nothing is left.
    fn leave(&mut self, is_late: bool) -> bool {
        let is_idle = self.commands.session().is_none_or(|session| session.owed() == 0) && self.shared.is_empty();
        let is_away = self.commands.session().is_none();
        if is_away && !self.is_leaving && !is_idle {
            // Redis may have come back during the pause.
            self.is_leaving = true;
            self.commands.hurry(Instant::now());
            self.is_unfinished = true;
            return false;
        }
        if !is_idle && !is_away && !is_late {
            return false;
        }
        self.abandon();
        true
    }

    /// Counts what will never be sent.
    fn abandon(&mut self) {
        let unanswered = self.commands.fail(Instant::now()).session;
        let mut lost = self.shared.take_dropped();
        let waiting = std::iter::from_fn(|| self.shared.next_entry(u64::MAX)).map(|entry| entry.done);
        let unanswered = unanswered.into_iter().flat_map(|session| session.into_unanswered());
        let unanswered = unanswered.map(|question| match question {
            Question::Publication => None,
            Question::Command(done) => Some(done),
        });
        for done in unanswered.chain(waiting) {
            match done {
                None => lost += 1,
                Some(done) => done(Reply::Error(STOPPED.into())),
            }
        }
        if lost > 0 {
            log::error!("Redis at {}: {lost} messages were not delivered before the end", self.server);
        }
    }
}
