//! `Iodine::Base::RedisClient`: a Redis engine as Ruby has it, and the answers that blocks wait for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iodine_core::pubsub::Message;
use iodine_core::pubsub::redis::{Arrival, RedisEngine, Reply, Server, Settings};
use magnus::prelude::*;
use magnus::{Error, ExceptionClass, IntoValue, RArray, RClass, RModule, RString, Ruby, Value, function, method};

use crate::gvl;
use crate::pubsub::{Attachment, process};
use crate::roots::Root;

/// The engine of one server, as the processes have it that may use it: its own one in that which has made it, and in
/// one that came of a fork that was not ours.
#[magnus::wrap(class = "Iodine::Base::RedisClient", free_immediately)]
pub(crate) struct RedisClient {
    server: Server,
    settings: Settings,
    /// Locked only with Ruby's lock, and for a moment, so it is free in a process that was forked.
    owned: Mutex<Option<Owned>>,
}

#[derive(Clone)]
struct Owned {
    process: u32,
    engine: Arc<RedisEngine>,
    answers: Arc<Answers>,
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
    /// `ping` and `timeout` in seconds, `max_pending` in bytes.
    fn new(ruby: &Ruby, url: RString, ping: f64, timeout: f64, max_pending: usize) -> Result<Self, Error> {
        let url = url.to_string()?;
        let server = Server::parse(&url).map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))?;
        let seconds = |seconds: f64| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))
        };
        let settings = Settings { ping: seconds(ping)?, timeout: seconds(timeout)?, max_pending };
        Ok(Self { server, settings, owned: Mutex::default() })
    }

    /// The URL without its password.
    fn url(&self) -> String {
        self.server.to_string()
    }

    /// Connects, and talks to Redis from now on.
    fn start(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        start(ruby, &this.owned(ruby)?.engine)
    }

    /// Has the engine told of channels.
    fn attachment(ruby: &Ruby, this: &Self) -> Result<Attachment, Error> {
        Ok(Attachment::of(this.owned(ruby)?.engine))
    }

    fn publish(ruby: &Ruby, this: &Self, channel: RString, message: RString) -> Result<(), Error> {
        let engine = this.owned(ruby)?.engine;
        start(ruby, &engine)?;
        process().publish_through(engine, bytes(channel).into(), bytes(message).into());
        Ok(())
    }

    /// Queues a command of Strings, and the block for its answer, or nil.
    fn command(ruby: &Ruby, this: &Self, arguments: RArray, block: Value) -> Result<(), Error> {
        let Owned { engine, answers, .. } = this.owned(ruby)?;
        start(ruby, &engine)?;
        let arguments = (0..arguments.len()).map(|index| Ok(bytes(arguments.entry(index as isize)?)));
        let arguments = arguments.collect::<Result<Vec<_>, Error>>()?;
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let block = Some(block).filter(|block| !block.is_nil()).map(Root::new);
        let done = move |reply| {
            if let Some(block) = block {
                answers.push(block, reply);
            }
        };
        engine.command(&arguments, Box::new(done));
        Ok(())
    }

    /// Waits for the next answer: the block, and what it is to be called with. Nil: there will be none.
    fn answer(ruby: &Ruby, this: &Self) -> Result<Option<(Value, Value)>, Error> {
        let answers = this.owned(ruby)?.answers;
        let Some((block, reply)) = answers.take(ruby)? else { return Ok(None) };
        Ok(Some((block.value(ruby), value(ruby, reply)?)))
    }

    /// Ends the engine's thread for the time of a fork.
    fn pause(ruby: &Ruby, this: &Self) {
        if let Some(Owned { engine, .. }) = this.running() {
            // There is nothing to interrupt: a turn of the thread is short, but for the look-up of a name.
            gvl::without(ruby, || engine.pause(), || ());
        }
    }

    /// Begins again after a pause.
    fn resume(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.running().map_or(Ok(()), |owned| owned.engine.resume().map_err(|error| failure(ruby, &error)))
    }

    /// In a forked process: lets go of what is the master's.
    fn forget(&self) {
        *self.state() = None;
    }

    /// Sends what waits, for at most so many seconds, and ends.
    fn stop(ruby: &Ruby, this: &Self, seconds: f64) {
        if let Some(Owned { engine, answers, .. }) = this.running() {
            let within = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            gvl::without(ruby, || engine.stop(within), || ());
            answers.close();
        }
    }

    /// The engine of this process, which is made when there is none.
    fn owned(&self, ruby: &Ruby) -> Result<Owned, Error> {
        if let Some(owned) = self.running() {
            return Ok(owned);
        }
        let sink = |Arrival { topic, channel, payload }| process().deliver(topic, Message::new(channel, payload));
        let engine = RedisEngine::new(self.server.clone(), self.settings, Box::new(sink));
        let engine = Arc::new(engine.map_err(|error| failure(ruby, &error))?);
        let owned = Owned { process: std::process::id(), engine, answers: Arc::default() };
        // One that was inherited by a fork that was not ours is left as it is: its thread did not come along, and may
        // have held a lock.
        std::mem::forget(self.state().replace(owned.clone()));
        Ok(owned)
    }

    /// The engine, if this process has one.
    fn running(&self) -> Option<Owned> {
        self.state().as_ref().filter(|owned| owned.process == std::process::id()).cloned()
    }

    fn state(&self) -> MutexGuard<'_, Option<Owned>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
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
    let class = base.define_class("RedisClient", ruby.class_object())?;
    class.define_singleton_method("new", function!(RedisClient::new, 4))?;
    class.define_method("url", method!(RedisClient::url, 0))?;
    class.define_method("start", method!(RedisClient::start, 0))?;
    class.define_method("attachment", method!(RedisClient::attachment, 0))?;
    class.define_method("publish", method!(RedisClient::publish, 2))?;
    class.define_method("command", method!(RedisClient::command, 2))?;
    class.define_method("answer", method!(RedisClient::answer, 0))?;
    class.define_method("pause", method!(RedisClient::pause, 0))?;
    class.define_method("resume", method!(RedisClient::resume, 0))?;
    class.define_method("forget", method!(RedisClient::forget, 0))?;
    class.define_method("stop", method!(RedisClient::stop, 1))
}
