//! The event loop: one thread that owns every socket of a process.
//!
//! A turn: poll, accept and read, carry out commands, look at the alarms, write each touched connection once, hand the
//! jobs over. Nothing in a turn waits but the poll. Who runs the turns is the business of [`leader`].

mod accept;
mod bridges;
mod clients;
mod commands;
mod dials;
mod drain;
pub mod leader;
mod memory;
mod publish;
pub(crate) mod timer;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token, Waker};
use slab::Slab;

use crate::client::Client;
use crate::connection::{Connection, Protocol, Turn, Verdict};
use crate::handle::{Command, Handle};
use crate::jobs::{Job, JobQueue};
use crate::metrics::Sheet;
use crate::net::stream::Stream;
use accept::Accepting;
use dials::{DIALS, Dials};
use publish::Hub;
use timer::{Alarm, Alarms};

pub use crate::connection::Handshake;
pub use dials::{Connect, Encryption};
pub use timer::TimerId;

/// One read takes at most this much.
const READ_BUFFER: usize = 64 << 10;
const EVENTS: usize = 1024;
/// After this long without a job taken, threads that are at work count as blocked and others are woken.
const ROUSE: Duration = Duration::from_millis(1);
/// How soon to look again whether the application's threads have become idle, when somebody waits for that.
const IDLE_CHECK: Duration = Duration::from_millis(5);

const WAKER: Token = Token(0);
/// Listeners have the tokens from 1, connections those from here.
const CONNECTIONS: usize = 1 << 16;

/// Names a connection of one reactor. Never used again after the connection is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    index: u32,
    generation: u32,
}

/// Why a reactor is run no longer.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// `Handle::pause`: it may be run again.
    Paused,
    /// `Handle::drain`: all connections are closed.
    Drained,
}

/// The sockets and timers of a process, and the loop that serves them.
pub struct Reactor {
    poll: Poll,
    events: Events,
    handle: Handle,
    jobs: Arc<JobQueue>,
    listeners: Vec<Accepting>,
    connections: Slab<Connection>,
    dials: Dials,
    generation: u32,
    alarms: Alarms,
    hub: Hub,
    turn: Turn,
    /// Connections to look at before the turn ends.
    touched: Vec<ConnectionId>,
    /// Connections that had more to read than a turn takes.
    unfinished: Vec<ConnectionId>,
    commands: Vec<Command>,
    buffer: Box<[u8]>,
    exit: Option<Exit>,
    /// The last turn has polled, so that one with commands to carry out may do without: it costs a system call, and what
    /// it would find is found a moment later, by the next turn.
    polled: bool,
    /// There were jobs since the last time all was quiet.
    was_busy: bool,
    /// When it was last looked whether the threads at work take jobs.
    roused: Instant,
    /// When it was last said that no descriptor is left.
    no_descriptor_logged: Option<Instant>,
}

impl Reactor {
    /// A reactor with nothing to do, which gives its jobs to `jobs`.
    ///
    /// # Errors
    /// When the system has no descriptor left for the poll.
    pub fn new(jobs: Arc<JobQueue>) -> io::Result<Self> {
        Self::counting(jobs, Sheet::own())
    }

    /// As `new`, for a process that counts on this sheet.
    ///
    /// # Errors
    /// As those of `new`.
    pub fn counting(jobs: Arc<JobQueue>, sheet: Sheet) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            events: Events::with_capacity(EVENTS),
            handle: Handle::new(waker, Arc::clone(&jobs), sheet),
            jobs,
            poll,
            listeners: Vec::new(),
            connections: Slab::new(),
            dials: Dials::default(),
            generation: 0,
            alarms: Alarms::default(),
            hub: Hub::default(),
            turn: Turn::new(Instant::now(), sheet),
            touched: Vec::new(),
            unfinished: Vec::new(),
            commands: Vec::new(),
            buffer: vec![0; READ_BUFFER].into(),
            exit: None,
            polled: false,
            was_busy: false,
            roused: Instant::now(),
            no_descriptor_logged: None,
        })
    }

    /// The way to reach this reactor from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Polls once and does what there is to do. `Some`: why there should be no next turn.
    ///
    /// # Errors
    /// When polling fails, which leaves nothing to be done.
    pub(crate) fn turn(&mut self) -> io::Result<Option<Exit>> {
        self.poll()?;
        Ok(self.work(Instant::now()))
    }

    /// A turn that waits for nothing, at a time that the caller says: for tests that have a clock of their own.
    ///
    /// # Errors
    /// When polling fails, which leaves nothing to be done.
    pub fn step(&mut self, now: Instant) -> io::Result<Option<Exit>> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        Ok(self.work(now))
    }

    fn work(&mut self, now: Instant) -> Option<Exit> {
        self.turn.now = now;
        self.turn.handshakes = 0;
        self.accept_and_read();
        self.take_packets();
        self.carry_out_commands();
        self.sound_alarms();
        self.settle_touched();
        self.hand_over_jobs();
        self.turn.log.flush();
        let exit = self.exit.take();
        if exit == Some(Exit::Drained) {
            // The process is about to leave, and need not wait for this reactor to be dropped.
            self.turn.log.finish();
        }
        exit
    }

    /// When the last turn began.
    pub(crate) fn now(&self) -> Instant {
        self.turn.now
    }

    /// How many connections there are, but for those to other processes of the cluster.
    pub fn clients(&self) -> usize {
        self.connections.len() - self.hub.links().len()
    }

    /// Has the next turn poll, whatever there is to be done.
    pub(crate) fn look_around(&mut self) {
        self.polled = false;
    }

    fn poll(&mut self) -> io::Result<()> {
        let may_sleep = self.handle.fall_asleep();
        if !may_sleep && std::mem::take(&mut self.polled) {
            self.events.clear();
            return Ok(());
        }
        self.polled = true;
        let timeout = if may_sleep { self.timeout() } else { Some(Duration::ZERO) };
        let polled = self.poll.poll(&mut self.events, timeout);
        self.handle.wake_up();
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            other => other,
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() || self.listeners.iter().any(|accepting| accepting.ready) {
            return Some(Duration::ZERO);
        }
        let alarm = self.alarms.next(Instant::now());
        let look = if self.jobs.needs_rouse() {
            Some(ROUSE)
        } else if self.was_busy && self.handle.wants_idle() {
            Some(IDLE_CHECK)
        } else {
            None
        };
        match (alarm, look) {
            (Some(alarm), Some(look)) => Some(alarm.min(look)),
            (alarm, look) => alarm.or(look),
        }
    }

    fn accept_and_read(&mut self) {
        for id in std::mem::take(&mut self.unfinished) {
            self.contain(id, |reactor| reactor.read(id));
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            self.on_event(event);
        }
        self.events = events;
        for index in 0..self.listeners.len() {
            self.accept(index);
        }
    }

    fn on_event(&mut self, event: &Event) {
        match event.token() {
            WAKER => {}
            Token(token) if token < CONNECTIONS => {
                if let Some(accepting) = self.listeners.get_mut(token - 1) {
                    accepting.ready = true;
                }
            }
            Token(token) if token >= DIALS => self.look_at_dial(token - DIALS),
            Token(token) => {
                let Some(connection) = self.connections.get_mut(token - CONNECTIONS) else { return };
                connection.note(event);
                let id = connection.id;
                self.contain(id, |reactor| reactor.read(id));
            }
        }
    }

    /// Does something for one connection. A panic ends that connection and nothing else.
    fn contain(&mut self, id: ConnectionId, work: impl FnOnce(&mut Self)) {
        // Unwind safe: the connection, the only thing that may be left half-changed, is dropped.
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            log::error!("a defect of the server ended a connection; please report the panic message above");
            self.close(id);
        }
    }

    fn read(&mut self, id: ConnectionId) {
        let Some(connection) = find(&mut self.connections, id) else { return };
        match connection.read(&mut self.buffer, &mut self.turn) {
            Ok(()) if connection.awaits_answer() => {}
            Ok(()) => self.touch(id),
            Err(error) => {
                log::debug!("a connection broke: {error}");
                self.close(id);
            }
        }
    }

    fn touch(&mut self, id: ConnectionId) {
        if let Some(connection) = find(&mut self.connections, id) {
            list(&mut self.touched, connection);
        }
    }

    fn open_or_log(
        &mut self,
        stream: Stream,
        protocol: impl FnOnce(ConnectionId, &mut Turn) -> Protocol,
    ) -> Option<ConnectionId> {
        self.open(stream, protocol).inspect_err(|error| log::error!("a connection cannot be watched: {error}")).ok()
    }

    fn open(
        &mut self,
        mut stream: Stream,
        protocol: impl FnOnce(ConnectionId, &mut Turn) -> Protocol,
    ) -> io::Result<ConnectionId> {
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        stream.register(self.poll.registry(), Token(CONNECTIONS + index))?;
        self.generation = self.generation.wrapping_add(1);
        let id = ConnectionId { index: index as u32, generation: self.generation };
        let protocol = protocol(id, &mut self.turn);
        entry.insert(Connection::new(id, stream, protocol, &self.turn));
        self.touch(id);
        Ok(id)
    }

    fn all(&self) -> Vec<ConnectionId> {
        self.connections.iter().map(|(_, connection)| connection.id).collect()
    }

    fn sound_alarms(&mut self) {
        while let Some((at, alarm)) = self.alarms.due(self.turn.now) {
            match alarm {
                Alarm::Connection(id) => self.check_deadline(id, at),
                Alarm::Timer(id) => self.turn.jobs.push(Job::Timer(id)),
                Alarm::Head(id) => self.with(id, Connection::release_head),
                Alarm::Dial(number) => self.look_at_dial(number),
                Alarm::Accept => self.listeners.iter_mut().for_each(|accepting| accepting.ready = true),
                Alarm::Idle => self.close_idle(),
                Alarm::Drain => self.cut_off(),
            }
        }
    }

    fn check_deadline(&mut self, id: ConnectionId, at: Instant) {
        let Some(connection) = find(&mut self.connections, id) else { return };
        if connection.alarm != Some(at) {
            return;
        }
        connection.alarm = None;
        if connection.deadline.is_some_and(|deadline| deadline <= self.turn.now) {
            let verdict = connection.time_out(&mut self.turn);
            self.carry_out_verdict(id, verdict);
        } else {
            set_alarm(connection, &mut self.alarms);
        }
    }

    fn settle_touched(&mut self) {
        loop {
            self.pass_on();
            // Connections that have ended take their subscriptions with them, which is news for the master.
            self.count_subscribers();
            if self.touched.is_empty() {
                break;
            }
            self.settle_each();
        }
        if self.is_over() {
            self.exit.get_or_insert(Exit::Drained);
        }
    }

    fn settle_each(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            self.contain(id, |reactor| {
                if let Some(connection) = find(&mut reactor.connections, id) {
                    connection.is_listed = false;
                    let verdict = connection.settle(&mut reactor.turn);
                    reactor.carry_out_verdict(id, verdict);
                }
            });
        }
        // A bridge may have touched one meanwhile.
        touched.append(&mut self.touched);
        self.touched = touched;
    }

    fn carry_out_verdict(&mut self, id: ConnectionId, verdict: Verdict) {
        match verdict {
            Verdict::Close => return self.close(id),
            Verdict::GiveAway => return self.give_away(id),
            Verdict::Again => self.unfinished.push(id),
            Verdict::Keep => {}
        }
        if let Some(connection) = find(&mut self.connections, id) {
            set_alarm(connection, &mut self.alarms);
        }
    }

    fn close(&mut self, id: ConnectionId) {
        if find(&mut self.connections, id).is_some() {
            self.connections.remove(id.index as usize).end(&mut self.turn);
            self.forget_link(id);
        }
    }

    fn hand_over_jobs(&mut self) {
        if !self.turn.jobs.is_empty() {
            self.was_busy = true;
            if self.jobs.backlog() == 0 {
                self.roused = self.turn.now;
            }
            self.jobs.dispatch(&mut self.turn.jobs);
        } else if self.was_busy && self.jobs.is_quiet() {
            self.was_busy = false;
            if self.handle.take_wants_idle() {
                self.was_busy = true;
                self.jobs.push(Job::Idle);
            }
        }
        // By the clock, and not when nothing happens: other connections may keep every turn busy.
        if self.turn.now - self.roused >= ROUSE && self.jobs.needs_rouse() {
            self.roused = self.turn.now;
            self.jobs.rouse();
        }
    }
}

fn find(connections: &mut Slab<Connection>, id: ConnectionId) -> Option<&mut Connection> {
    connections.get_mut(id.index as usize).filter(|connection| connection.id == id)
}

fn find_client<'c>(connections: &'c mut Slab<Connection>, client: &Client) -> Option<&'c mut Connection> {
    find(connections, client.connection()?)
}

fn list(touched: &mut Vec<ConnectionId>, connection: &mut Connection) {
    if !connection.is_listed {
        connection.is_listed = true;
        touched.push(connection.id);
    }
}

fn set_alarm(connection: &mut Connection, alarms: &mut Alarms) {
    if let Some(deadline) = connection.deadline
        && connection.alarm.is_none_or(|alarm| alarm > deadline)
    {
        connection.alarm = Some(deadline);
        alarms.set(deadline, Alarm::Connection(connection.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::tests::Pool;

    #[test]
    fn turns_that_all_make_jobs_do_not_hide_that_none_is_taken() {
        let jobs = Arc::new(JobQueue::default());
        let mut reactor = Reactor::new(Arc::clone(&jobs)).unwrap();
        let pool = Pool::for_queue(Arc::clone(&jobs), 2);
        for at_work in 1..=2 {
            // The first look notes how far the threads have come, the second one finds that they are no further.
            for _ in 0..2 {
                reactor.turn.now += ROUSE;
                reactor.turn.jobs.push(Job::Task(0));
                reactor.hand_over_jobs();
            }
            pool.wait_for(at_work);
        }
        pool.end();
    }
}
