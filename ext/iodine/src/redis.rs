//! `Iodine::Base::RedisClient`: a Redis engine as Ruby has it, and the answers that blocks wait for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iodine_core::pubsub::Message;
use iodine_core::pubsub::redis::{Arrival, RedisEngine, Reply, Server, Settings, pack};
use magnus::prelude::*;
use magnus::{Error, ExceptionClass, IntoValue, RArray, RClass, RModule, RString, Ruby, Value, function, method};

use crate::class;
use crate::gvl;
use crate::pubsub::{Attachment, process};
use crate::roots::Root;
use crate::tls::Tls;

/// The engine of one server, as the processes have it that may use it.
#[magnus::wrap(class = "Iodine::Base::RedisClient", free_immediately)]
pub(crate) struct RedisClient {
    server: Server,
    settings: Settings,
    /// By which workers reach it.
    number: u64,
    /// Locked only with Ruby's lock, and for a moment, so it is free in a process that was forked.
    seat: Mutex<Option<Seat>>,
}

/// What this process is to the engine.
#[derive(Clone)]
struct Seat {
    process: u32,
    role: Role,
    answers: Arc<Answers>,
}

#[derive(Clone)]
enum Role {
    /// It has the connections.
    Owner(Arc<RedisEngine>),
    /// Its master has them.
    Worker,
}

/// Blocks and their answers, in order, for the one thread that calls them.
#[derive(Default)]
struct Answers {
    state: Mutex<Arrived>,
    changed: Condvar,
}

#[derive(Default)]
struct Arrived {
    answers: VecDeque<(Root, Reply)>,
    is_closed: bool,
}

impl RedisClient {
    /// `ping` and `timeout` in seconds, `max_pending` in bytes. `tls` is for a URL that asks for it.
    fn new(
        ruby: &Ruby,
        url: RString,
        ping: f64,
        timeout: f64,
        max_pending: usize,
        tls: Option<&Tls>,
    ) -> Result<Self, Error> {
        let url = url.to_string()?;
        let server = Server::parse(&url).map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))?;
        let server = match server.is_secure() {
            true => server.secured(tls.map_or_else(|| Tls::default().client(ruby), |tls| tls.client(ruby))?),
            false => server,
        };
        let seconds = |seconds: f64| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))
        };
        let settings = Settings { ping: seconds(ping)?, timeout: seconds(timeout)?, max_pending };
        let engine = engine(ruby, &server, settings)?;
        let number = process().add_engine(engine.clone());
        Ok(Self { server, settings, number, seat: Mutex::new(Some(Seat::new(Role::Owner(engine)))) })
    }

    /// The URL without its password.
    fn url(&self) -> String {
        self.server.to_string()
    }

    /// Connects, and talks to Redis from now on.
    fn start(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        match this.seat(ruby)?.role {
            Role::Owner(engine) => start(ruby, &engine),
            Role::Worker => Ok(()),
        }
    }

    /// Has the engine told of channels. Nil in a worker: it is told by the master, of those of all processes.
    fn attachment(ruby: &Ruby, this: &Self) -> Result<Option<Attachment>, Error> {
        Ok(match this.seat(ruby)?.role {
            Role::Owner(engine) => Some(Attachment::of(engine)),
            Role::Worker => None,
        })
    }

    fn publish(ruby: &Ruby, this: &Self, channel: RString, message: RString) -> Result<(), Error> {
        let (channel, payload) = (bytes(channel).into(), bytes(message).into());
        match this.seat(ruby)?.role {
            Role::Owner(engine) => {
                start(ruby, &engine)?;
                process().publish_through(engine, channel, payload);
            }
            Role::Worker => process().relay(this.number, channel, payload),
        }
        Ok(())
    }

    /// Queues a command of Strings, and the block for its answer, or nil.
    fn command(ruby: &Ruby, this: &Self, arguments: RArray, block: Value) -> Result<(), Error> {
        let Seat { role, answers, .. } = this.seat(ruby)?;
        let arguments = (0..arguments.len()).map(|index| Ok(bytes(arguments.entry(index as isize)?)));
        let arguments = arguments.collect::<Result<Vec<_>, Error>>()?;
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let block = Some(block).filter(|block| !block.is_nil()).map(Root::new);
        let done = move |reply| {
            if let Some(block) = block {
                answers.push(block, reply);
            }
        };
        match role {
            Role::Owner(engine) => {
                start(ruby, &engine)?;
                engine.command(&arguments, Box::new(done));
            }
            Role::Worker => {
                let answer = move |answer: Bytes| done(Reply::decode(&answer));
                process().call(this.number, pack(&arguments).into(), Box::new(answer));
            }
        }
        Ok(())
    }

    /// Waits for the next answer: the block, and what it is to be called with. Nil: there will be none.
    fn answer(ruby: &Ruby, this: &Self) -> Result<Option<(Value, Value)>, Error> {
        let answers = this.seat(ruby)?.answers;
        let Some((block, reply)) = answers.take(ruby)? else { return Ok(None) };
        Ok(Some((block.value(ruby), value(ruby, reply)?)))
    }

    /// Ends the engine's thread for the time of a fork.
    fn pause(ruby: &Ruby, this: &Self) {
        if let Some(engine) = this.engine() {
            // A turn of the thread is short, but for the look-up of a name.
            gvl::uninterrupted(ruby, || engine.pause());
        }
    }

    /// Begins again after a pause.
    fn resume(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.engine().map_or(Ok(()), |engine| engine.resume().map_err(|error| failure(ruby, &error)))
    }

    /// In a forked process: lets go of what is the master's. A worker asks the master; a process of the application
    /// has connections of its own, if it needs them.
    fn forget(&self, is_worker: bool) {
        let mut seat = self.lock();
        if let Some(Seat { role: Role::Owner(engine), .. }) = &*seat {
            engine.abandon();
        }
        *seat = is_worker.then(|| Seat::new(Role::Worker));
    }

    /// Sends what waits, for at most so many seconds, and ends.
    fn stop(ruby: &Ruby, this: &Self, seconds: f64) {
        if let Some(engine) = this.engine() {
            let within = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            gvl::uninterrupted(ruby, || engine.stop(within));
        }
        if let Some(seat) = this.taken() {
            seat.answers.close();
        }
    }

    /// The seat of this process, which is an owner's when it has none yet.
    fn seat(&self, ruby: &Ruby) -> Result<Seat, Error> {
        if let Some(seat) = self.taken() {
            return Ok(seat);
        }
        let seat = Seat::new(Role::Owner(engine(ruby, &self.server, self.settings)?));
        // One of another process is left as it is: the thread did not come along, and may have held a lock.
        std::mem::forget(self.lock().replace(seat.clone()));
        Ok(seat)
    }

    fn taken(&self) -> Option<Seat> {
        self.lock().as_ref().filter(|seat| seat.process == std::process::id()).cloned()
    }

    /// The engine, if this process has it.
    fn engine(&self) -> Option<Arc<RedisEngine>> {
        match self.taken()?.role {
            Role::Owner(engine) => Some(engine),
            Role::Worker => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new(role: Role) -> Self {
        Self { process: std::process::id(), role, answers: Arc::default() }
    }
}

impl Answers {
    fn push(&self, block: Root, reply: Reply) {
        self.lock().answers.push_back((block, reply));
        self.changed.notify_one();
    }

    /// No others will come.
    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits, without Ruby's lock, for the next one. `None`: there will be none.
    fn take(&self, ruby: &Ruby) -> Result<Option<(Root, Reply)>, Error> {
        loop {
            let interrupted = AtomicBool::new(false);
            let work = || {
                let mut state = self.lock();
                while state.answers.is_empty() && !state.is_closed && !interrupted.load(Ordering::SeqCst) {
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
            let mut state = self.lock();
            let answer = state.answers.pop_front();
            if answer.is_some() || state.is_closed {
                return Ok(answer);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine whose messages are for the subscribers of all processes.
fn engine(ruby: &Ruby, server: &Server, settings: Settings) -> Result<Arc<RedisEngine>, Error> {
    let sink = |Arrival { topic, channel, payload }| process().deliver(topic, Message::new(channel, payload));
    let engine = RedisEngine::new(server.clone(), settings, Box::new(sink));
    engine.map(Arc::new).map_err(|error| failure(ruby, &error))
}

fn start(ruby: &Ruby, engine: &RedisEngine) -> Result<(), Error> {
    engine.start().map_err(|error| failure(ruby, &error))
}

fn bytes(string: RString) -> Vec<u8> {
    // SAFETY: no Ruby code runs while the content is copied.
    unsafe { string.as_slice() }.to_vec()
}

fn failure(ruby: &Ruby, error: &std::io::Error) -> Error {
    Error::new(ruby.exception_runtime_error(), format!("the Redis engine could not be started: {error}"))
}

/// An answer as Ruby has it.
fn value(ruby: &Ruby, reply: Reply) -> Result<Value, Error> {
    Ok(match reply {
        Reply::Okay => true.into_value_with(ruby),
        Reply::Nil => ruby.qnil().as_value(),
        Reply::Integer(number) => number.into_value_with(ruby),
        Reply::Double(number) => number.into_value_with(ruby),
        Reply::Boolean(truth) => truth.into_value_with(ruby),
        Reply::Bytes(bytes) => ruby.str_from_slice(&bytes).as_value(),
        Reply::Array(replies) => {
            let array = ruby.ary_new_capa(replies.len());
            for reply in replies {
                array.push(value(ruby, reply)?)?;
            }
            array.as_value()
        }
        Reply::Map(pairs) => {
            let hash = ruby.hash_new();
            for (key, reply) in pairs {
                hash.aset(value(ruby, key)?, value(ruby, reply)?)?;
            }
            hash.as_value()
        }
        Reply::Error(text) => error_class(ruby)?.new_instance((text,))?.as_value(),
    })
}

/// `Iodine::PubSub::Redis::Error`
fn error_class(ruby: &Ruby) -> Result<ExceptionClass, Error> {
    let iodine: RModule = ruby.class_object().const_get("Iodine")?;
    let redis: RClass = iodine.const_get::<_, RModule>("PubSub")?.const_get("Redis")?;
    redis.const_get("Error")
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<RedisClient>(ruby, base, "RedisClient")?;
    class.define_singleton_method("new", function!(RedisClient::new, 5))?;
    class.define_method("url", method!(RedisClient::url, 0))?;
    class.define_method("start", method!(RedisClient::start, 0))?;
    class.define_method("attachment", method!(RedisClient::attachment, 0))?;
    class.define_method("publish", method!(RedisClient::publish, 2))?;
    class.define_method("command", method!(RedisClient::command, 2))?;
    class.define_method("answer", method!(RedisClient::answer, 0))?;
    class.define_method("pause", method!(RedisClient::pause, 0))?;
    class.define_method("resume", method!(RedisClient::resume, 0))?;
    class.define_method("forget", method!(RedisClient::forget, 1))?;
    class.define_method("stop", method!(RedisClient::stop, 1))
}
