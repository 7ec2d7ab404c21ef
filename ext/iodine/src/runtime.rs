//! `Iodine::Base::Reactor`: the core's reactor as Ruby's lifecycle code drives it.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use iodine_core::census::Kind;
use iodine_core::handle::{Drain, Handle};
use iodine_core::jobs::{Job, JobQueue};
use iodine_core::metrics::Sheet;
use iodine_core::reactor::leader::Leadership;
use iodine_core::reactor::{Exit, Reactor, TimerId};
use iodine_core::settings::Alternative;
use magnus::prelude::*;
use magnus::{Error, RArray, RHash, RModule, Ruby, Value, function, method};
use rustix::pipe::PipeFlags;

use crate::attachment::Attachment;
use crate::class;
use crate::connection;
use crate::dial::Dial;
use crate::gvl;
use crate::rack::{Application, Applications};
use crate::socket::Socket;
use crate::worker;

/// A reactor, the thread that guards it, and the applications it serves.
#[magnus::wrap(class = "Iodine::Base::Reactor", free_immediately)]
pub(crate) struct Runtime {
    handle: Handle,
    applications: Arc<Applications>,
    leadership: Arc<Leadership>,
    guardian: Arc<Guardian>,
}

/// A shutdown takes no longer, whatever it is told: the clock has an end.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A turn waits for nothing, so only a machine that is overloaded takes longer to end one.
const HOLD: Duration = Duration::from_secs(1);

/// The reactor's own thread.
#[derive(Default)]
struct Guardian(Mutex<State>);

#[derive(Default)]
enum State {
    /// Not started, or paused.
    #[default]
    Away,
    /// The descriptor can be read once that has changed.
    Running(Option<JoinHandle<()>>, Arc<OwnedFd>),
    /// The reactor has drained, or failed.
    Over,
}

impl Runtime {
    /// `leads`: whether threads of the application may run the reactor. Not in a process that forks. `sheet`: the number
    /// of what the process counts on.
    fn new(ruby: &Ruby, leads: bool, sheet: usize) -> Result<Self, Error> {
        let reactor = Reactor::counting(Arc::new(JobQueue::default()), Sheet::numbered(sheet)).map_err(|error| {
            Error::new(ruby.exception_runtime_error(), format!("the reactor could not be made: {error}"))
        })?;
        Ok(Self {
            handle: reactor.handle(),
            applications: Arc::default(),
            leadership: Arc::new(Leadership::new(reactor, leads)),
            guardian: Arc::default(),
        })
    }

    /// The way to reach the reactor.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Starts the reactor's thread. Nothing happens when it runs already or is over.
    fn run(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        let mut state = this.guardian.lock();
        if !matches!(*state, State::Away) {
            return Ok(());
        }
        let (guardian, leadership) = (Arc::clone(&this.guardian), Arc::clone(&this.leadership));
        let (thread, end) = spawn(guardian, leadership).map_err(|error| {
            let message = format!("the reactor's thread could not be started: {error}");
            Error::new(ruby.exception_thread_error(), message)
        })?;
        *state = State::Running(Some(thread), Arc::new(end));
        Ok(())
    }

    /// Stops the reactor's thread and keeps its state, so that the process may fork.
    fn pause(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        let thread = match &mut *this.guardian.lock() {
            State::Running(thread, _) => thread.take(),
            State::Away | State::Over => return Ok(()),
        };
        this.handle.pause();
        this.guardian.wait(ruby)?;
        // Nothing of it may be left, not even its last steps, when the process is copied.
        thread.map(JoinHandle::join);
        Ok(())
    }

    /// Stops accepting, lets running requests finish for at most `deadline` seconds and idle connections send one more
    /// for at most `patience` seconds, closes everything. Returns when that is done and the jobs that are left may be
    /// run.
    fn drain(ruby: &Ruby, this: &Self, deadline: f64, patience: f64) -> Result<(), Error> {
        this.handle.drain(Drain { deadline: duration(deadline), patience: duration(patience) });
        let waited = this.guardian.wait(ruby);
        this.handle.jobs().close();
        waited
    }

    /// Sends what is left for other processes of the cluster, after the drain, for at most so many seconds.
    fn finish(ruby: &Ruby, this: &Self, seconds: f64) {
        let deadline = Instant::now() + duration(seconds);
        gvl::uninterrupted(ruby, || this.leadership.finish(deadline));
    }

    /// Accepts connections on a socket for a Rack application. `others` are names for ALPN, and what is called for a
    /// connection whose client has chosen the name, as for a raw one.
    fn listen(ruby: &Ruby, this: &Self, socket: &Socket, app: Value, env: RHash, others: RArray) -> Result<(), Error> {
        let settings = socket.http_settings(ruby)?;
        let id = this.applications.add(Application::new(app, env, settings));
        this.accept(ruby, socket, id, others)
    }

    /// Accepts raw connections on a socket. `handler` is called for each, and returns its callbacks.
    fn listen_raw(ruby: &Ruby, this: &Self, socket: &Socket, handler: Value, others: RArray) -> Result<(), Error> {
        let id = this.applications.add_raw(handler);
        this.accept(ruby, socket, id, others)
    }

    fn accept(&self, ruby: &Ruby, socket: &Socket, id: usize, others: RArray) -> Result<(), Error> {
        let listener = socket.listener(ruby, id)?;
        let raw = listener.settings.raw();
        let alternatives = (0..others.len()).map(|index| {
            let (name, handler): (String, Value) = others.entry(index as isize)?;
            let listener = self.applications.add_raw(handler);
            Ok(Alternative { name: name.into_bytes(), listener, raw })
        });
        let alternatives = alternatives.collect::<Result<_, Error>>()?;
        self.handle.listen(listener.with_alternatives(alternatives));
        Ok(())
    }

    /// Opens a connection for a handler, or for what one of the `others` makes: blocks, by the names of ALPN.
    fn connect(ruby: &Ruby, this: &Self, dial: &Dial, handler: Value, others: RHash) -> Result<(), Error> {
        dial.start(ruby, &this.handle, handler, others)
    }

    /// Makes the connection of a descriptor a handler's.
    fn attach(ruby: &Ruby, this: &Self, attachment: &Attachment, handler: Value) -> Result<(), Error> {
        attachment.attach(ruby, &this.handle, handler)
    }

    /// Open connections, by kind.
    fn connections(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        let counts = ruby.hash_new();
        for (kind, name) in Kind::ALL.iter().zip(Kind::NAMES) {
            counts.aset(ruby.sym_new(name), this.handle.sheet().connections(*kind))?;
        }
        Ok(counts)
    }

    /// How many connections with an object in Ruby have ended so far.
    fn ended(&self) -> u64 {
        let sheet = self.handle.sheet();
        Kind::ALL.iter().filter(|kind| **kind != Kind::Http).map(|kind| sheet.ended(*kind)).sum()
    }

    /// Accepts connections on a socket of which metrics are asked.
    fn listen_metrics(ruby: &Ruby, this: &Self, socket: &Socket) -> Result<(), Error> {
        // It never asks an application.
        this.handle.listen(socket.listener(ruby, usize::MAX)?);
        Ok(())
    }

    /// `[jobs taken so far, threads at work]`
    fn progress(&self) -> (u64, usize) {
        self.handle.jobs().progress()
    }

    /// Keeps the reactor still while the process forks.
    fn hold(ruby: &Ruby, this: &Self) -> bool {
        gvl::uninterrupted(ruby, || this.leadership.hold(HOLD))
    }

    /// Lets it go on.
    fn release(&self) {
        self.leadership.release();
    }

    /// In a worker that was forked from the process of this reactor: closes what it has of its connections.
    fn abandon(&self) {
        self.leadership.abandon();
        connection::forget_all();
    }

    /// In a process that the application has forked: nothing of the reactor is ever dropped there. What its connections
    /// count is the parent's, and its threads have not come along, so that nobody would answer who waits for them. Its
    /// clients are closed there; returns the descriptors of its connections, if it was [held](Self::hold) meanwhile.
    fn forget(&self) -> Vec<RawFd> {
        self.applications.leave();
        self.handle.disown();
        std::mem::forget((Arc::clone(&self.leadership), Arc::clone(&self.guardian), Arc::clone(&self.applications)));
        self.leadership.disown()
    }

    /// Runs jobs on the calling Ruby thread until the reactor is drained.
    fn work(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        worker::work(ruby, &this.handle, &this.leadership, &this.applications)
    }

    fn push_task(&self, id: usize) {
        self.handle.push_job(Job::Task(id));
    }

    fn set_timer(&self, id: usize, milliseconds: u64) {
        self.handle.set_timer(TimerId(id), Duration::from_millis(milliseconds));
    }

    fn cancel_timer(&self, id: usize) {
        self.handle.cancel_timer(TimerId(id));
    }

    fn notify_idle(&self) {
        self.handle.notify_idle();
    }

    fn is_draining(&self) -> bool {
        self.handle.is_draining()
    }
}

/// Starts the thread. The descriptor can be read when it has left the reactor.
fn spawn(guardian: Arc<Guardian>, leadership: Arc<Leadership>) -> io::Result<(JoinHandle<()>, OwnedFd)> {
    let (end, told) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let thread = thread::Builder::new().name("iodine-reactor".into());
    Ok((thread.spawn(move || guardian.serve(&leadership, &told))?, end))
}

impl Guardian {
    /// The thread. `end` is written to when it has left the reactor.
    fn serve(&self, leadership: &Leadership, end: &OwnedFd) {
        let exit = catch_unwind(AssertUnwindSafe(|| leadership.guard()));
        let next = match exit {
            Ok(Ok(Exit::Paused)) => State::Away,
            Ok(Ok(Exit::Drained)) => State::Over,
            Ok(Err(error)) => failed(&error),
            Err(_) => failed(&io::Error::other("panic")),
        };
        let mut state = self.lock();
        // Before the state changes, with which the other end of the pipe may go.
        if let Err(error) = rustix::io::write(end, &[0]) {
            log::error!("the end of the reactor's thread could not be told: {error}");
        }
        *state = next;
    }

    /// Waits, without the lock, until the thread has left the reactor.
    fn wait(&self, ruby: &Ruby) -> Result<(), Error> {
        loop {
            let end = match &*self.lock() {
                State::Running(_, end) => Arc::clone(end),
                State::Away | State::Over => return Ok(()),
            };
            gvl::wait_readable(ruby, end.as_fd())?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
}

fn failed(error: &io::Error) -> State {
    log::error!("the reactor has stopped: {error}. This process can serve no longer and leaves.");
    // A signal reaches the lifecycle code in Ruby, which stops the process as if the user had asked for it.
    if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM) {
        log::error!("the process could not be told to stop: {error}");
    }
    State::Over
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Runtime>(ruby, base, "Reactor")?;
    class.define_singleton_method("new", function!(Runtime::new, 2))?;
    class.define_method("run", method!(Runtime::run, 0))?;
    class.define_method("pause", method!(Runtime::pause, 0))?;
    class.define_method("drain", method!(Runtime::drain, 2))?;
    class.define_method("finish", method!(Runtime::finish, 1))?;
    class.define_method("listen", method!(Runtime::listen, 4))?;
    class.define_method("listen_raw", method!(Runtime::listen_raw, 3))?;
    class.define_method("connect", method!(Runtime::connect, 3))?;
    class.define_method("attach", method!(Runtime::attach, 2))?;
    class.define_method("connections", method!(Runtime::connections, 0))?;
    class.define_method("ended", method!(Runtime::ended, 0))?;
    class.define_method("hold", method!(Runtime::hold, 0))?;
    class.define_method("release", method!(Runtime::release, 0))?;
    class.define_method("abandon", method!(Runtime::abandon, 0))?;
    class.define_method("forget", method!(Runtime::forget, 0))?;
    class.define_method("listen_metrics", method!(Runtime::listen_metrics, 1))?;
    class.define_method("progress", method!(Runtime::progress, 0))?;
    class.define_method("work", method!(Runtime::work, 0))?;
    class.define_method("push_task", method!(Runtime::push_task, 1))?;
    class.define_method("set_timer", method!(Runtime::set_timer, 2))?;
    class.define_method("cancel_timer", method!(Runtime::cancel_timer, 1))?;
    class.define_method("notify_idle", method!(Runtime::notify_idle, 0))?;
    class.define_method("draining?", method!(Runtime::is_draining, 0))
}
