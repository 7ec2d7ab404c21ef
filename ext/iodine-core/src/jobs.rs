//! Work for the application's threads, and the queue they take it from.
//!
//! Waking a thread costs more than a hello world, so: one thread is woken when none is at work; while one is, the rest
//! sleep on. A thread that blocks in the application would then leave work lying, so the reactor looks again after a
//! moment ([`JobQueue::rouse`]) and wakes others when nothing has been taken since.
//!
//! A thread is at work (`active`), parked, or leading. Whoever makes a job sees to it that somebody comes for it:
//! either a thread that is at work, woken or leading, each of which looks at the queue, under its lock, before it
//! parks; or one that is woken for it. A leading thread makes turns of the reactor, or has just been refused that: it
//! waits for nothing but the poll, which [`Handle`](crate::handle::Handle) can end. Those at work may take their time,
//! and may die, so as long as jobs are waiting and threads are parked the reactor does not sleep for longer than a
//! moment.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::exchange::Exchange;
use crate::pubsub::Subscription;
use crate::pubsub::engine::Listener;
use crate::reactor::TimerId;
use crate::reactor::leader::{Leadership, Led};

/// How long a thread runs one job after the other before the reactor has a turn, if nobody else runs it: half of what
/// the guardian waits before it takes the reactor.
const OUT_AT_MOST: Duration = Duration::from_micros(500);
/// The clock is looked at after so many jobs, because the smallest take little longer than that.
const JOBS_A_LOOK: u32 = 4;

/// One piece of work for the application.
pub enum Job {
    /// A request to be answered by [`Handle::answer`](crate::handle::Handle::answer). Requests that came behind it on
    /// the same connection hang on its `next`.
    Request(Box<Exchange>),
    /// There are events for a client, to be taken by [`Client::next_event`] until there are none.
    Client(Client),
    /// There are messages for a block, to be taken by [`Subscription::next_message`] until there are none.
    Subscription(Arc<Subscription>),
    /// There are changes for an engine, to be taken by [`Listener::next_change`] until there are none.
    Listener(Arc<Listener>),
    /// The master has gone, or has cut this worker off.
    Orphaned,
    /// A timer is due.
    Timer(TimerId),
    /// A task that the application queued under this number.
    Task(usize),
    /// The reactor had been busy and has nothing left to do.
    Idle,
}

/// A queue with one consumer per application thread.
#[derive(Default)]
pub struct JobQueue {
    state: Mutex<State>,
    arrived: Condvar,
    /// Mirrors `state.jobs.len()`, for a look without the lock.
    backlog: AtomicUsize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for `arrived`.
    parked: usize,
    /// Threads that were notified and have not come back from the wait yet. Never more than those that will: a wait
    /// that ends for another reason counts for one as well, and its thread looks at the queue just the same.
    woken: usize,
    /// Threads outside `take`: running the application, or about to look.
    active: usize,
    /// Threads that run the reactor, or try to. They look at the queue before they park.
    leading: usize,
    /// Jobs taken so far, to tell a blocked application from a busy one.
    taken: u64,
    /// `taken` at the last `rouse`.
    taken_before: u64,
    /// How many threads the last `rouse` woke.
    roused: usize,
    closed: bool,
}

/// What [`Consumer::take`] came back with.
pub enum Taken {
    /// Work.
    Job(Job),
    /// `interrupted` became true.
    Interrupted,
    /// The queue is closed and empty: the thread may leave.
    Closed,
}

impl JobQueue {
    /// Appends all of `jobs` and wakes a thread if none is at work. For the reactor, which comes back to
    /// [`rouse`](Self::rouse) while jobs are left.
    pub fn dispatch(&self, jobs: &mut Vec<Job>) {
        let mut state = self.lock();
        state.jobs.extend(jobs.drain(..));
        self.backlog.store(state.jobs.len(), Ordering::Relaxed);
        if state.active + state.woken + state.leading == 0 {
            self.wake(state, 1);
        }
    }

    /// Appends a job from any thread and wakes a parked thread, because nobody may be there to look again.
    /// [`Handle::push_job`](crate::handle::Handle::push_job) reaches the leader as well.
    pub(crate) fn push(&self, job: Job) {
        let mut state = self.lock();
        state.jobs.push_back(job);
        self.backlog.store(state.jobs.len(), Ordering::Relaxed);
        self.wake(state, 1);
    }

    /// Whether jobs wait while threads are parked: then [`rouse`](Self::rouse) has to be called in a moment.
    pub fn needs_rouse(&self) -> bool {
        self.backlog() > 0 && self.lock().parked > 0
    }

    /// Wakes parked threads if no job was taken since the last call: one, then two, then four …
    pub fn rouse(&self) {
        let mut state = self.lock();
        if state.jobs.is_empty() || state.taken != state.taken_before {
            state.taken_before = state.taken;
            state.roused = 0;
            return;
        }
        // They may be late for long, on a crowded machine.
        state.roused = (state.roused * 2).clamp(1, state.parked.max(1));
        let threads = state.roused;
        self.wake(state, threads);
    }

    /// Whether a thread is parked and nothing is there for it to do.
    pub(crate) fn is_somebody_idle(&self) -> bool {
        let state = self.lock();
        state.jobs.is_empty() && state.parked > state.woken
    }

    /// Wakes a parked thread, so that it may lead.
    pub(crate) fn wake_idle(&self) {
        self.wake(self.lock(), 1);
    }

    /// Makes every waiting consumer ask its `interrupted` again.
    pub fn interrupt(&self) {
        let _state = self.lock();
        self.arrived.notify_all();
    }

    /// Lets the threads leave once the queue is empty.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Whether no job waits and no thread is at work.
    pub fn is_quiet(&self) -> bool {
        self.backlog() == 0 && self.lock().active == 0
    }

    /// Jobs taken so far, and threads at work.
    pub fn progress(&self) -> (u64, usize) {
        let state = self.lock();
        (state.taken, state.active)
    }

    /// Jobs waiting.
    pub fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// The next job, for who has no thread for it: tests that make the reactor's turns themselves.
    pub fn try_take(&self) -> Option<Job> {
        self.pop(&mut self.lock())
    }

    fn pop(&self, state: &mut State) -> Option<Job> {
        let job = state.jobs.pop_front()?;
        state.taken += 1;
        self.backlog.store(state.jobs.len(), Ordering::Relaxed);
        Some(job)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>, threads: usize) {
        let threads = threads.min(state.parked - state.woken.min(state.parked));
        state.woken += threads;
        drop(state);
        for _ in 0..threads {
            self.arrived.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One application thread's end of the queue.
///
/// The thread counts as at work from the moment `take` returns until it calls `take` again, or drops its consumer.
pub struct Consumer {
    queue: Arc<JobQueue>,
    leadership: Arc<Leadership>,
    active: bool,
    /// When `take` last returned, and how many jobs were asked for since.
    out_since: Instant,
    asked: u32,
    overdue: bool,
}

impl Consumer {
    /// A consumer for the calling thread, which leads when there is nothing else to do and it may.
    pub fn new(queue: Arc<JobQueue>, leadership: Arc<Leadership>) -> Self {
        Self { queue, leadership, active: false, out_since: Instant::now(), asked: 0, overdue: false }
    }

    /// Waits for a job. `interrupted` is asked first, and whenever the wait is disturbed by
    /// [`JobQueue::interrupt`] and [`Leadership::interrupt`].
    pub fn take(&mut self, interrupted: impl Fn() -> bool) -> Taken {
        let mut state = self.queue.lock();
        self.rest(&mut state);
        if std::mem::take(&mut self.overdue) && !state.jobs.is_empty() {
            state = self.look_in(state);
        }
        let taken = loop {
            if interrupted() {
                break Taken::Interrupted;
            }
            if let Some(job) = self.queue.pop(&mut state) {
                break Taken::Job(job);
            }
            if state.closed {
                break Taken::Closed;
            }
            state = self.lead_or_park(state, &interrupted);
        };
        state.active += 1;
        drop(state);
        self.active = true;
        self.out_since = Instant::now();
        self.asked = 0;
        taken
    }

    /// The next job, for a thread that is at work and would rather go on than park. `None`: there is none, or the thread
    /// has been at work for so long that it has to come by in [`take`](Self::take).
    pub fn try_take(&mut self) -> Option<Job> {
        if self.queue.backlog() == 0 || self.is_overdue() {
            return None;
        }
        self.queue.pop(&mut self.queue.lock())
    }

    fn lead_or_park<'q>(
        &'q self,
        mut state: MutexGuard<'q, State>,
        interrupted: &impl Fn() -> bool,
    ) -> MutexGuard<'q, State> {
        state.leading += 1;
        drop(state);
        let led = self.leadership.lead(interrupted);
        let mut state = self.queue.lock();
        state.leading -= 1;
        if led == Led::Back || !state.jobs.is_empty() || state.closed || interrupted() {
            return state;
        }
        state.parked += 1;
        if led == Led::Ask {
            // Only now, because it will look for parked threads.
            self.leadership.ask();
        }
        state = self.queue.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.parked -= 1;
        state.woken = state.woken.saturating_sub(1);
        state
    }

    /// Whether the reactor should have a turn before the next job.
    fn is_overdue(&mut self) -> bool {
        self.asked += 1;
        self.overdue = self.asked.is_multiple_of(JOBS_A_LOOK) && self.out_since.elapsed() >= OUT_AT_MOST;
        self.overdue
    }

    fn look_in<'q>(&'q self, mut state: MutexGuard<'q, State>) -> MutexGuard<'q, State> {
        state.leading += 1;
        drop(state);
        self.leadership.look_in();
        let mut state = self.queue.lock();
        state.leading -= 1;
        state
    }

    fn rest(&self, state: &mut State) {
        if self.active {
            state.active -= 1;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        self.rest(&mut state);
        if !state.jobs.is_empty() {
            // They may have been left to this thread.
            self.queue.wake(state, 1);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use super::*;
    use crate::reactor::Reactor;

    /// Threads that take jobs and keep them until `done` is dropped.
    pub(crate) struct Pool {
        queue: Arc<JobQueue>,
        threads: Vec<thread::JoinHandle<()>>,
        done: Sender<()>,
    }

    impl Pool {
        pub(crate) fn start(size: usize) -> Self {
            Self::for_queue(Arc::new(JobQueue::default()), size)
        }

        pub(crate) fn for_queue(queue: Arc<JobQueue>, size: usize) -> Self {
            // Nobody may lead: a thread without work parks.
            let leadership = Arc::new(Leadership::new(Reactor::new(Arc::clone(&queue)).unwrap(), false));
            let (done, wait) = channel::<()>();
            let wait = Arc::new(Mutex::new(wait));
            let threads = (0..size)
                .map(|_| {
                    let mut consumer = Consumer::new(Arc::clone(&queue), Arc::clone(&leadership));
                    let wait = Arc::clone(&wait);
                    thread::spawn(move || {
                        while let Taken::Job(_) = consumer.take(|| false) {
                            let _ = wait.lock().unwrap().recv();
                        }
                    })
                })
                .collect();
            let pool = Self { queue, threads, done };
            pool.wait_until(|state| state.parked == size);
            pool
        }

        /// Waits until so many threads, or more, are at work.
        pub(crate) fn wait_for(&self, active: usize) {
            self.wait_until(|state| state.active >= active);
        }

        fn wait_until(&self, reached: impl Fn(&State) -> bool) {
            while !reached(&self.queue.lock()) {
                thread::yield_now();
            }
        }

        fn dispatch(&self, count: usize) {
            let mut jobs = (0..count).map(Job::Task).collect();
            self.queue.dispatch(&mut jobs);
        }

        pub(crate) fn end(self) {
            drop(self.done);
            self.queue.close();
            self.threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert!(self.queue.is_quiet());
        }
    }

    #[test]
    fn one_thread_is_woken_for_many_jobs_and_others_when_it_does_not_come_back() {
        let pool = Pool::start(8);
        pool.dispatch(8);
        pool.wait_for(1);
        assert_eq!(pool.queue.lock().woken, 0);
        assert!(pool.queue.needs_rouse());
        // The first look only notes how far the queue has come; then one is woken. Once it has taken something, all
        // of that begins again.
        for at_work in 2..=4 {
            pool.queue.rouse();
            pool.queue.rouse();
            pool.wait_for(at_work);
        }
        pool.end();
    }

    #[test]
    fn a_look_after_progress_wakes_nobody() {
        let pool = Pool::start(2);
        pool.dispatch(2);
        pool.wait_for(1);
        pool.queue.rouse();
        let state = pool.queue.lock();
        assert_eq!(state.woken + state.active, 1);
        drop(state);
        pool.queue.rouse();
        pool.wait_for(2);
        pool.end();
    }

    #[test]
    fn nobody_is_woken_while_a_thread_is_at_work() {
        let pool = Pool::start(2);
        pool.dispatch(1);
        pool.wait_for(1);
        pool.dispatch(1);
        let state = pool.queue.lock();
        assert_eq!((state.woken, state.parked, state.jobs.len()), (0, 1, 1));
        drop(state);
        pool.end();
    }

    #[test]
    fn threads_may_be_late_for_as_long_as_they_like() {
        let pool = Pool::start(1);
        pool.dispatch(2);
        pool.wait_for(1);
        for _ in 0..200 {
            pool.queue.rouse();
        }
        pool.end();
    }

    #[test]
    fn a_thread_that_dies_leaves_its_jobs_to_another() {
        let queue = Arc::new(JobQueue::default());
        let pool = Pool::for_queue(Arc::clone(&queue), 1);
        let leadership = Arc::new(Leadership::new(Reactor::new(Arc::clone(&queue)).unwrap(), false));
        let mut dying = Consumer::new(Arc::clone(&queue), leadership);
        assert!(matches!(dying.take(|| true), Taken::Interrupted));
        pool.dispatch(1);
        let state = queue.lock();
        assert_eq!((state.active, state.woken), (1, 0), "it is left to the thread that is at work");
        drop(state);
        drop(dying);
        pool.wait_until(|state| state.jobs.is_empty());
        pool.end();
    }

    #[test]
    fn the_reactor_has_a_turn_among_many_jobs() {
        let queue = Arc::new(JobQueue::default());
        let reactor = Reactor::new(Arc::clone(&queue)).unwrap();
        let handle = reactor.handle();
        let mut consumer = Consumer::new(Arc::clone(&queue), Arc::new(Leadership::new(reactor, true)));
        for _ in 0..100 {
            queue.push(Job::Task(0));
        }
        assert!(matches!(consumer.take(|| false), Taken::Job(Job::Task(0))));
        handle.set_timer(TimerId(1), Duration::ZERO);
        thread::sleep(OUT_AT_MOST);
        let taken = std::iter::from_fn(|| consumer.try_take()).count();
        assert_eq!((taken, queue.backlog()), (JOBS_A_LOOK as usize - 1, 96));
        assert!(matches!(consumer.take(|| false), Taken::Job(Job::Task(0))));
        assert!(matches!(queue.lock().jobs.back(), Some(Job::Timer(TimerId(1)))), "the turn has made a job");
    }

    #[test]
    fn a_closed_queue_is_emptied_before_its_threads_leave() {
        let pool = Pool::start(1);
        pool.dispatch(3);
        pool.end();
    }
}
