//! Who runs the reactor's turns: the leader, which is an application thread, or the guardian, which is a thread of ours.
//!
//! To hand a request to another thread and its answer back costs more than to answer it. So a thread of the
//! application that finds nothing to do leads: it runs the turns itself, and when a turn has made jobs it goes out and
//! runs them. Nothing is handed over and nobody is woken.
//!
//! That would let a slow application hold up every other connection. So the guardian looks each millisecond whether
//! the leader is out for long; if so it takes over, and application threads only run jobs, side by side with it. After
//! a while it leaves the reactor to a thread without work again. Each time that proves wrong, the while doubles.
//!
//! The reactor is either in [`State::reactor`], where nobody runs it, or in the hands of one thread, which does nothing
//! but make turns. Everything that decides where it goes is under one lock, and nobody ever waits for the reactor
//! itself: an application thread that cannot have it at once parks with the others ([`crate::jobs`]), from where only
//! a job, an interrupt or the guardian's offer fetches it. So there is no thread that has claimed the reactor and does
//! not come, and none that others count on while it waits for them.

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    handle: Handle,
    jobs: Arc<JobQueue>,
    /// Whether application threads may lead at all.
    open: bool,
    state: Mutex<State>,
    /// Where the guardian waits while the reactor is not in its hands.
    changed: Condvar,
    /// Threads that want to [hold](Self::hold) the reactor.
    wanted: AtomicUsize,
    /// Where they wait until it is put back.
    returned: Condvar,
    /// The reactor while one of them holds it. Of no interest to others, so a forked process finds it unlocked.
    held: Mutex<Option<Box<Reactor>>>,
}

struct State {
    /// The reactor, while nobody runs it.
    ///
    /// Invariant: while it is here, the guardian is not asleep. At its second look in a row that finds it here, and
    /// not moved in between, the guardian takes it.
    reactor: Option<Box<Reactor>>,
    /// How often it was put back.
    returns: u64,
    /// `returns` at the guardian's last look.
    seen: u64,
    /// It is in the guardian's hands.
    guarded: bool,
    /// The guardian sleeps until it is called, which is when the reactor is put back.
    ///
    /// Invariant: then the reactor is in a leader's hands.
    asleep: bool,
    /// When the guardian may leave the reactor to an application thread.
    open_at: Instant,
    kept: Duration,
    /// When the guardian has last left it to them.
    led_since: Instant,
    /// Why a leader has stopped to run it; the guardian is to know.
    exit: Option<io::Result<Exit>>,
}

/// How an attempt to lead ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// There are jobs in the queue, or the thread has been told to come back.
    Back,
    /// Somebody else runs the reactor, or nobody will any more.
    NotNow,
    /// The guardian runs it, and offers it to a thread without work when a turn ends.
    Ask,
}

impl Leadership {
    /// `open`: whether application threads may lead. Not where the process forks while it runs.
    pub fn new(reactor: Reactor, open: bool) -> Self {
        let now = Instant::now();
        Self {
            handle: reactor.handle(),
            jobs: Arc::clone(&reactor.jobs),
            open,
            state: Mutex::new(State {
                reactor: Some(Box::new(reactor)),
                returns: 0,
                seen: 0,
                guarded: false,
                asleep: false,
                open_at: now,
                // Doubled when the guardian begins.
                kept: KEPT_AT_FIRST / 2,
                led_since: now,
                exit: None,
            }),
            changed: Condvar::new(),
            wanted: AtomicUsize::new(0),
            returned: Condvar::new(),
            held: Mutex::default(),
        }
    }

    /// The guardian's thread: runs the reactor, or watches who does, until the reactor is told to pause or to drain.
    ///
    /// # Errors
    /// When the reactor has failed.
    pub fn guard(&self) -> io::Result<Exit> {
        self.state().exit = None;
        loop {
            let ended = match self.watch() {
                Ok(reactor) => self.run(reactor),
                Err(exit) => Some(exit),
            };
            if let Some(exit) = ended {
                return exit;
            }
        }
    }

    /// Keeps everybody from running the reactor until it is [released](Self::release), so that the process may fork
    /// meanwhile. False: nobody has put it back for so long, and it is not held.
    pub fn hold(&self, patience: Duration) -> bool {
        self.wanted.fetch_add(1, Ordering::SeqCst);
        // It may be in its sleep.
        self.handle.nudge();
        let waited = self.returned.wait_timeout_while(self.state(), patience, |state| state.reactor.is_none());
        let reactor = waited.unwrap_or_else(PoisonError::into_inner).0.reactor.take();
        self.wanted.fetch_sub(1, Ordering::SeqCst);
        let is_held = reactor.is_some();
        if is_held {
            *self.held() = reactor;
        }
        is_held
    }

    /// Lets others run the reactor again, if it is held.
    pub fn release(&self) {
        let reactor = self.held().take();
        reactor.into_iter().for_each(|reactor| self.put_back(reactor));
    }

    /// In a process forked from the one that ran the reactor: closes what it has of its sockets.
    pub fn abandon(&self) {
        if let Some(reactor) = &mut self.state().reactor {
            reactor.abandon();
        }
    }

    /// In a process that was forked while the reactor was [held](Self::hold), and that will never drop it: closes its
    /// clients, and returns the descriptors of its connections. None unless it was held.
    pub fn disown(&self) -> Vec<RawFd> {
        self.held().as_mut().map(|reactor| reactor.disown()).unwrap_or_default()
    }

    /// Sends what is left for other processes of the cluster, after the drain. Waits for them until `deadline`.
    pub fn finish(&self, deadline: Instant) {
        if let Some(reactor) = &mut self.state().reactor {
            reactor.finish(deadline);
        }
    }

    /// Makes a leader in its turn ask its `interrupted` again.
    pub fn interrupt(&self) {
        self.handle.nudge();
    }

    /// Runs turns on the calling thread until there are jobs for it.
    pub(crate) fn lead(&self, interrupted: &impl Fn() -> bool) -> Led {
        let mut reactor = match self.claim() {
            Ok(reactor) => reactor,
            Err(led) => return led,
        };
        while !interrupted() && self.jobs.backlog() == 0 && !self.is_wanted() {
            if !self.turn(&mut reactor) {
                return Led::NotNow;
            }
        }
        Led::Back
    }

    /// One turn that waits for nothing, by a thread that has been out for a while and has jobs left. So many quick jobs
    /// neither keep other connections waiting, nor look like a slow one.
    pub(crate) fn look_in(&self) {
        if let Ok(mut reactor) = self.claim() {
            // With a command to carry out it does not sleep.
            self.handle.nudge();
            reactor.look_around();
            self.turn(&mut reactor);
        }
    }

    /// A leader's turn. Whether there may be another one.
    fn turn(&self, reactor: &mut Reactor) -> bool {
        let exit = reactor.turn().transpose();
        let goes_on = exit.is_none();
        if !goes_on {
            self.state().exit = exit;
        }
        goes_on
    }

    /// Makes the guardian look for threads without work at once, rather than after the next event.
    pub(crate) fn ask(&self) {
        self.handle.nudge();
    }

    /// The reactor, if an application thread may have it now.
    fn claim(&self) -> Result<InHand<'_>, Led> {
        if !self.open {
            return Err(Led::NotNow);
        }
        let mut state = self.state();
        if self.is_wanted() {
            return Err(Led::NotNow);
        }
        if state.guarded && Instant::now() >= state.open_at {
            return Err(Led::Ask);
        }
        if state.exit.is_some() {
            return Err(Led::NotNow);
        }
        state.reactor.take_if(|reactor| !reactor.is_over()).map(|reactor| self.hand(reactor)).ok_or(Led::NotNow)
    }

    /// Runs the reactor until it exits, or an application thread may have it and is there.
    fn run(&self, mut reactor: InHand<'_>) -> Option<io::Result<Exit>> {
        let open_at = self.state().open_at;
        loop {
            if let Some(exit) = reactor.turn().transpose() {
                return Some(exit);
            }
            let is_offered = self.open && reactor.now() >= open_at && self.jobs.is_somebody_idle();
            if is_offered || self.is_wanted() {
                break;
            }
        }
        self.state().led_since = reactor.now();
        drop(reactor);
        // If it is too late for its thread, or it has found a job on its way, the next looks show that nobody came.
        self.jobs.wake_idle();
        None
    }

    /// Watches until the reactor lies idle from one look to the next. `Err`: a leader has seen its end.
    fn watch(&self) -> Result<InHand<'_>, io::Result<Exit>> {
        let mut quiet = 0;
        let mut state = self.state();
        loop {
            if let Some(exit) = state.exit.take() {
                return Err(exit);
            }
            let moved = state.returns != state.seen;
            state.seen = state.returns;
            if self.is_wanted() {
                quiet = 0;
            } else if !moved && let Some(reactor) = state.reactor.take() {
                state.take_over();
                return Ok(self.hand(reactor));
            }
            quiet = if moved { 0 } else { quiet + 1 };
            // Nothing has moved, and yet the reactor is not there: a leader is in.
            state = if quiet > QUIET_LOOKS { self.sleep(state) } else { self.pause(state) };
        }
    }

    fn pause<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, WATCH).unwrap_or_else(PoisonError::into_inner).0
    }

    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.asleep = true;
        while state.asleep {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    fn hand(&self, reactor: Box<Reactor>) -> InHand<'_> {
        InHand { leadership: self, reactor: Some(reactor) }
    }

    fn put_back(&self, reactor: Box<Reactor>) {
        let mut state = self.state();
        state.reactor = Some(reactor);
        state.returns += 1;
        state.guarded = false;
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if self.is_wanted() {
            self.returned.notify_one();
        }
        if asleep {
            self.changed.notify_one();
        }
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > 0
    }

    fn held(&self) -> MutexGuard<'_, Option<Box<Reactor>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The guardian takes the reactor, and keeps it for a while.
    fn take_over(&mut self) {
        let now = Instant::now();
        let proven = now.duration_since(self.led_since) >= PROVEN;
        self.kept = if proven { KEPT_AT_FIRST } else { (self.kept * 2).min(KEPT_AT_MOST) };
        self.open_at = now + self.kept;
        self.guarded = true;
    }
}

/// The reactor in the hands of the thread that runs it. It is put back however that ends, be it by a panic.
struct InHand<'a> {
    leadership: &'a Leadership,
    reactor: Option<Box<Reactor>>,
}

impl Deref for InHand<'_> {
    type Target = Reactor;

    fn deref(&self) -> &Reactor {
        self.reactor.as_ref().expect("only drop takes it out")
    }
}

impl DerefMut for InHand<'_> {
    fn deref_mut(&mut self) -> &mut Reactor {
        self.reactor.as_mut().expect("only drop takes it out")
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(reactor) = self.reactor.take() {
            self.leadership.put_back(reactor);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::handle::Drain;
    use crate::jobs::Job;

    /// Later than any test.
    const LATER: Duration = Duration::from_secs(3600);

    fn leadership() -> Arc<Leadership> {
        let reactor = Reactor::new(Arc::new(JobQueue::default())).unwrap();
        Arc::new(Leadership::new(reactor, true))
    }

    fn wait_until(leadership: &Leadership, reached: impl Fn(&State) -> bool) {
        while !reached(&leadership.state()) {
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_never_waits_for_the_reactor() {
        let leadership = leadership();
        let guarded = leadership.watch().unwrap();
        leadership.state().open_at = Instant::now() + LATER;
        assert_eq!(leadership.lead(&|| false), Led::NotNow);
        leadership.state().open_at = Instant::now();
        // However many ask for it, and whether or not the guardian notices.
        assert_eq!(leadership.lead(&|| false), Led::Ask);
        assert_eq!(leadership.lead(&|| false), Led::Ask);
        drop(guarded);
        let led = leadership.claim().unwrap();
        assert_eq!(leadership.lead(&|| false), Led::NotNow, "another thread leads");
        drop(led);
    }

    #[test]
    fn nobody_runs_the_reactor_while_it_is_held() {
        let leadership = leadership();
        let leader = {
            let leadership = Arc::clone(&leadership);
            thread::spawn(move || leadership.lead(&|| false))
        };
        wait_until(&leadership, |state| state.reactor.is_none());
        assert!(leadership.hold(LATER), "a leader gives it back at once");
        assert_eq!(leader.join().unwrap(), Led::Back);
        assert_eq!(leadership.lead(&|| false), Led::NotNow);
        assert!(!leadership.hold(Duration::ZERO), "another thread holds it");
        leadership.release();
        leadership.release();
        drop(leadership.claim().ok().unwrap());
        let guarded = leadership.watch().unwrap();
        assert!(!leadership.hold(Duration::ZERO), "the guardian has it");
        drop(guarded);
    }

    #[test]
    fn the_guardian_gives_the_reactor_back_to_who_holds_it() {
        let leadership = leadership();
        let guardian = {
            let leadership = Arc::clone(&leadership);
            thread::spawn(move || leadership.guard().unwrap())
        };
        for _ in 0..3 {
            assert!(leadership.hold(LATER));
            leadership.release();
        }
        leadership.handle.pause();
        assert_eq!(guardian.join().unwrap(), Exit::Paused);
    }

    #[test]
    fn what_nobody_comes_for_goes_back_to_the_guardian() {
        let leadership = leadership();
        for _ in 0..3 {
            drop(leadership.watch().unwrap());
            assert!(leadership.state().reactor.is_some());
        }
        let guarded = leadership.watch().unwrap();
        leadership.state().open_at = Instant::now() + LATER;
        // A thread that comes too late finds that it has gone, and is told of jobs as any other.
        assert_eq!(leadership.lead(&|| false), Led::NotNow);
        drop(guarded);
    }

    #[test]
    fn the_guardian_sleeps_while_a_leader_is_in_and_is_called_when_it_goes() {
        let leadership = leadership();
        let leader = leadership.claim().ok().unwrap();
        let guardian = {
            let leadership = Arc::clone(&leadership);
            thread::spawn(move || leadership.watch().map(drop).is_ok())
        };
        wait_until(&leadership, |state| state.asleep);
        drop(leader);
        assert!(guardian.join().unwrap(), "it took the reactor that was left");
    }

    #[test]
    fn a_leader_goes_out_for_a_job_and_tells_the_guardian_of_the_end() {
        let leadership = leadership();
        leadership.handle.push_job(Job::Idle);
        assert_eq!(leadership.lead(&|| false), Led::Back);
        assert!(leadership.jobs.backlog() == 1 && leadership.state().reactor.is_some());

        let leadership = self::leadership();
        leadership.handle.drain(Drain { patience: Duration::ZERO, deadline: Duration::ZERO });
        assert_eq!(leadership.lead(&|| false), Led::NotNow);
        assert_eq!(leadership.lead(&|| false), Led::NotNow, "nobody runs it again");
        assert!(matches!(leadership.watch(), Err(Ok(Exit::Drained))));
    }

    #[test]
    fn the_guardian_keeps_it_longer_each_time_the_application_proves_slow() {
        let leadership = leadership();
        let mut kept = KEPT_AT_FIRST / 2;
        for _ in 0..10 {
            drop(leadership.watch().unwrap());
            kept = (kept * 2).min(KEPT_AT_MOST);
            assert_eq!(leadership.state().kept, kept);
        }
        leadership.state().led_since = Instant::now().checked_sub(PROVEN).unwrap();
        drop(leadership.watch().unwrap());
        assert_eq!(leadership.state().kept, KEPT_AT_FIRST);
    }
}
