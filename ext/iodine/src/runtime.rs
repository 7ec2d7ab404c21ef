//! `Iodine::Base::Reactor`: the core's reactor as Ruby's lifecycle code drives it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use iodine_core::handle::Handle;
use iodine_core::jobs::{Job, JobQueue};
use iodine_core::reactor::{Exit, Reactor, TimerId};
use magnus::prelude::*;
use magnus::{Error, RHash, RModule, Ruby, Value, function, method};

use crate::gvl;
use crate::rack::{Application, Applications};
use crate::socket::Socket;
use crate::worker;

/// A reactor, the thread that runs it, and the applications it serves.
#[magnus::wrap(class = "Iodine::Base::Reactor", free_immediately)]
pub(crate) struct Runtime {
    handle: Handle,
    applications: Arc<Applications>,
    thread: Arc<ReactorThread>,
}

struct ReactorThread {
    state: Mutex<State>,
    changed: Condvar,
}

enum State {
    /// Not running; it may run (again).
    Ready(Box<Reactor>),
    Running,
    /// It has drained, or failed.
    Over,
}

impl Runtime {
    fn new(ruby: &Ruby) -> Result<Self, Error> {
        let reactor = Reactor::new(Arc::new(JobQueue::default())).map_err(|error| {
            Error::new(ruby.exception_runtime_error(), format!("the reactor could not be made: {error}"))
        })?;
        Ok(Self {
            handle: reactor.handle(),
            applications: Arc::default(),
            thread: Arc::new(ReactorThread {
                state: Mutex::new(State::Ready(Box::new(reactor))),
                changed: Condvar::new(),
            }),
        })
    }

    /// Starts the reactor's thread. Nothing happens when it runs already or is over.
    fn run(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        let mut state = this.thread.lock();
        let reactor = match std::mem::replace(&mut *state, State::Running) {
            State::Ready(reactor) => reactor,
            other => {
                *state = other;
                return Ok(());
            }
        };
        let shared = Arc::clone(&this.thread);
        let spawned = thread::Builder::new().name("iodine-reactor".into()).spawn(move || shared.serve(reactor));
        spawned.map(drop).map_err(|error| {
            Error::new(ruby.exception_runtime_error(), format!("the reactor's thread could not be started: {error}"))
        })
    }

    /// Stops the reactor's thread and keeps its state, so that the process may fork.
    fn pause(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        if matches!(*this.thread.lock(), State::Running) {
            this.handle.pause();
        }
        this.thread.wait(ruby)
    }

    /// Stops accepting, lets running requests finish for at most so many seconds, closes everything. Returns when
    /// that is done and the jobs that are left may be run.
    fn drain(ruby: &Ruby, this: &Self, seconds: f64) -> Result<(), Error> {
        this.handle.drain(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let waited = this.thread.wait(ruby);
        this.handle.jobs().close();
        waited
    }

    /// Accepts connections on a socket for a Rack application.
    fn listen(ruby: &Ruby, this: &Self, socket: &Socket, app: Value, env: RHash) -> Result<(), Error> {
        let id = this.applications.add(Application::new(app, env));
        let listener = socket.listener(ruby, id)?;
        this.handle.listen(listener);
        Ok(())
    }

    /// Runs jobs on the calling Ruby thread until the reactor is drained.
    fn work(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        worker::work(ruby, &this.handle, &this.applications)
    }

    fn push_task(&self, id: usize) {
        self.handle.jobs().push(Job::Task(id));
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

impl ReactorThread {
    /// The reactor's thread.
    fn serve(&self, mut reactor: Box<Reactor>) {
        let exit = catch_unwind(AssertUnwindSafe(|| reactor.run()));
        let next = match exit {
            Ok(Ok(Exit::Paused)) => State::Ready(reactor),
            Ok(Ok(Exit::Drained)) => State::Over,
            Ok(Err(error)) => failed(&error),
            Err(_) => failed(&io::Error::other("panic")),
        };
        *self.lock() = next;
        self.changed.notify_all();
    }

    /// Waits, without the lock, until the thread has left the reactor.
    fn wait(&self, ruby: &Ruby) -> Result<(), Error> {
        while matches!(*self.lock(), State::Running) {
            let interrupted = AtomicBool::new(false);
            let work = || {
                let mut state = self.lock();
                while matches!(*state, State::Running) && !interrupted.load(Ordering::SeqCst) {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let unblock = || {
                interrupted.store(true, Ordering::SeqCst);
                let _state = self.lock();
                self.changed.notify_all();
            };
            gvl::without(ruby, work, unblock);
            gvl::check_interrupts(ruby)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    let class = base.define_class("Reactor", ruby.class_object())?;
    class.define_singleton_method("new", function!(Runtime::new, 0))?;
    class.define_method("run", method!(Runtime::run, 0))?;
    class.define_method("pause", method!(Runtime::pause, 0))?;
    class.define_method("drain", method!(Runtime::drain, 1))?;
    class.define_method("listen", method!(Runtime::listen, 3))?;
    class.define_method("work", method!(Runtime::work, 0))?;
    class.define_method("push_task", method!(Runtime::push_task, 1))?;
    class.define_method("set_timer", method!(Runtime::set_timer, 2))?;
    class.define_method("cancel_timer", method!(Runtime::cancel_timer, 1))?;
    class.define_method("notify_idle", method!(Runtime::notify_idle, 0))?;
    class.define_method("draining?", method!(Runtime::is_draining, 0))
}
