//! Who runs the reactor's turns: the leader, which is an application thread, or the guardian, which is a thread of ours.
//!
//! To hand a request to another thread and its answer back costs more than to answer it. So a thread of the
//! application that finds nothing to do leads: it runs the turns itself, and when a turn has made jobs it goes out and
//! runs them. Nothing is handed over and nobody is woken.
//!
//! That would let a slow application hold up every other connection. So the guardian looks each millisecond whether
//! the leader is out for long; if so it takes over, and application threads only run jobs, side by side with it. After
//! a while a thread without work may lead again. Each time that proves wrong, the while doubles.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::{Exit, Reactor};
use crate::handle::Handle;
use crate::jobs::JobQueue;

/// How long a leader may be out. It is noticed after one to two of these.
const WATCH: Duration = Duration::from_millis(1);
/// Looks without anything to see before the guardian sleeps until it is called.
const QUIET_LOOKS: u32 = 20;
/// How long the guardian keeps the reactor after it took over, at first and at most.
const KEPT_AT_FIRST: Duration = Duration::from_millis(50);
const KEPT_AT_MOST: Duration = Duration::from_secs(3);
/// A leader that has lasted for so long has proven that the application is quick.
const PROVEN: Duration = Duration::from_millis(500);

/// A reactor and those who may run it.
pub struct Leadership {
    reactor: Mutex<Reactor>,
    handle: Handle,
    jobs: Arc<JobQueue>,
    /// Whether application threads may lead at all.
    open: bool,
    /// Counts the moves of the leader. Even: it is in (or there never was one). Odd: it is out, running jobs.
    moves: AtomicU64,
    /// The guardian runs the reactor.
    guarded: AtomicBool,
    /// An application thread asks the guardian for the reactor.
    asked: AtomicBool,
    /// The guardian sleeps until it is called.
    asleep: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// When application threads may ask for the reactor.
    open_at: Instant,
    kept: Duration,
    /// Since when there has been a leader.
    led_since: Instant,
    exit: Option<io::Result<Exit>>,
    /// Somebody called the guardian.
    called: bool,
}

/// How an attempt to lead ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// There are jobs in the queue.
    Jobs,
    /// The thread has been told to come back.
    Interrupted,
    /// Somebody else runs the reactor, or nobody will any more.
    NotNow,
}

impl Leadership {
    /// `open`: whether application threads may lead. Not where the process forks while it runs.
    pub fn new(reactor: Reactor, open: bool) -> Self {
        let now = Instant::now();
        Self {
            handle: reactor.handle(),
            jobs: Arc::clone(&reactor.jobs),
            reactor: Mutex::new(reactor),
            open,
            moves: AtomicU64::new(0),
            guarded: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            state: Mutex::new(State { open_at: now, kept: KEPT_AT_FIRST, led_since: now, exit: None, called: false }),
            changed: Condvar::new(),
        }
    }

    /// The guardian's thread: runs the reactor, or watches who does, until the reactor is told to pause or to drain.
    ///
    /// # Errors
    /// When the reactor has failed.
    pub fn guard(&self) -> io::Result<Exit> {
        self.state().exit = None;
        loop {
            if let Some(mut reactor) = self.try_reactor() {
                self.guarded.store(true, Ordering::SeqCst);
                let exit = self.run(&mut reactor);
                self.guarded.store(false, Ordering::SeqCst);
                if let Some(exit) = exit {
                    return exit;
                }
            }
            if let Some(exit) = self.watch() {
                return exit;
            }
        }
    }

    /// Makes a leader in its turn ask its `interrupted` again.
    pub fn interrupt(&self) {
        self.handle.nudge();
    }

    /// Runs turns on the calling thread until there are jobs for it.
    pub(crate) fn lead(&self, interrupted: &impl Fn() -> bool) -> Led {
        let Some(mut reactor) = self.claim() else { return Led::NotNow };
        self.come_in();
        let led = loop {
            if interrupted() {
                break Led::Interrupted;
            }
            if self.jobs.backlog() > 0 {
                break Led::Jobs;
            }
            match reactor.turn().transpose() {
                None => {}
                Some(exit) => {
                    self.state().exit = Some(exit);
                    break Led::NotNow;
                }
            }
        };
        self.moves.fetch_add(1, Ordering::SeqCst);
        drop(reactor);
        if self.asleep.load(Ordering::SeqCst) || led == Led::NotNow {
            self.call();
        }
        led
    }

    /// The reactor, if an application thread may have it now.
    fn claim(&self) -> Option<MutexGuard<'_, Reactor>> {
        if !self.open {
            return None;
        }
        let reactor = match self.try_reactor() {
            Some(reactor) => reactor,
            None if self.may_ask() => {
                self.handle.nudge();
                let reactor = self.reactor.lock().unwrap_or_else(PoisonError::into_inner);
                // Usually the guardian has seen it; a leader that came first has not.
                self.asked.store(false, Ordering::SeqCst);
                reactor
            }
            None => return None,
        };
        (!reactor.is_over()).then_some(reactor)
    }

    /// Whether the guardian has the reactor, for long enough, and nobody else is asking for it.
    fn may_ask(&self) -> bool {
        self.guarded.load(Ordering::SeqCst)
            && Instant::now() >= self.state().open_at
            && !self.asked.swap(true, Ordering::SeqCst)
    }

    /// Runs the reactor until it exits, or an application thread asks for it.
    fn run(&self, reactor: &mut Reactor) -> Option<io::Result<Exit>> {
        loop {
            if let Some(exit) = reactor.turn().transpose() {
                return Some(exit);
            }
            if self.asked.swap(false, Ordering::SeqCst) {
                self.come_in();
                self.state().led_since = Instant::now();
                return None;
            }
        }
    }

    /// Watches until the leader is out for too long, or there is no more to be watched.
    fn watch(&self) -> Option<io::Result<Exit>> {
        let mut before = self.moves.load(Ordering::SeqCst);
        let mut quiet = 0;
        loop {
            if let Some(exit) = self.wait(quiet >= QUIET_LOOKS) {
                return Some(exit);
            }
            let moves = self.moves.load(Ordering::SeqCst);
            let out = moves % 2 == 1;
            if out && moves == before {
                self.take_over();
                return None;
            }
            if !out && moves == before && self.try_reactor().is_some() {
                // A leader that is in has the reactor. Whoever asked for it has not come.
                return None;
            }
            quiet = if moves == before && quiet < QUIET_LOOKS { quiet + 1 } else { 0 };
            before = moves;
        }
    }

    fn take_over(&self) {
        let now = Instant::now();
        let mut state = self.state();
        state.kept = if now.duration_since(state.led_since) >= PROVEN {
            KEPT_AT_FIRST
        } else {
            (state.kept * 2).min(KEPT_AT_MOST)
        };
        state.open_at = now + state.kept;
    }

    /// One look's time, or until it is called.
    fn wait(&self, until_called: bool) -> Option<io::Result<Exit>> {
        let mut state = self.state();
        if until_called {
            self.asleep.store(true, Ordering::SeqCst);
            // A leader that went out before it could see that has to be watched at once.
            let out = self.moves.load(Ordering::SeqCst) % 2 == 1;
            while !out && !state.called && state.exit.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            self.asleep.store(false, Ordering::SeqCst);
        } else if !state.called && state.exit.is_none() {
            state = self.changed.wait_timeout(state, WATCH).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.called = false;
        state.exit.take()
    }

    fn call(&self) {
        self.state().called = true;
        self.changed.notify_all();
    }

    /// Notes that the leader is in. For who has the reactor, so that nobody else counts meanwhile.
    fn come_in(&self) {
        let moves = self.moves.load(Ordering::Relaxed);
        self.moves.store(moves + moves % 2, Ordering::SeqCst);
    }

    fn try_reactor(&self) -> Option<MutexGuard<'_, Reactor>> {
        match self.reactor.try_lock() {
            Ok(reactor) => Some(reactor),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
