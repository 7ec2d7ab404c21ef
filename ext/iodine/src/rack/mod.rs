//! The Rack side of a request: environment in, response out.
//!
//! ```text
//! Exchange -> env::build -> app.call -> response::send ── known body ──▶ Exchange::response -> Handle::answer
//!                               |              └──────── each, call ──▶ body::Writer (chunk by chunk)
//!                               ├─ rack.upgrade ──▶ upgrade::Upgrade -> Handle::upgrade, then connection::deliver
//!                               └─ rack.hijack ──▶ the socket leaves the reactor
//! ```

mod body;
mod call;
mod each;
mod env;
mod fields;
mod finished;
mod fixed;
mod hijack;
mod input;
mod keys;
mod lines;
mod named;
mod response;
mod shape;
mod stream;
mod upgrade;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_core::metrics;
use iodine_core::settings::HttpSettings;
use magnus::prelude::*;
use magnus::rb_sys::{AsRawId, AsRawValue, FromRawValue, protect};
use magnus::value::LazyId;
use magnus::{Error, RHash, RModule, Ruby, Value};

use crate::roots::Root;
use crate::worker::conclude;
use call::{Desk, State};
use env::Built;
use response::Context;
use upgrade::{Handlers, Upgrade};

/// A Rack application and the part of its environment that is the same for every request.
pub(crate) struct Application {
    app: Root,
    env: Root,
    /// Those of its listener.
    settings: Arc<HttpSettings>,
    /// Different from that of every other application, of a former start as well.
    serial: usize,
}

impl Application {
    pub(crate) fn new(app: Value, env: RHash, settings: Arc<HttpSettings>) -> Self {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self { app: Root::new(app), env: Root::new(env.as_value()), settings, serial }
    }

    /// What the application returns for a request, and the handlers that it has put into the environment.
    ///
    /// All of it under one `protect`, which costs more than a look into a Hash.
    fn call(&self, ruby: &Ruby, env: RHash) -> Result<(Value, Handlers), Error> {
        static CALL: LazyId = LazyId::new("call");
        let (app, call, arguments) =
            (self.app.value(ruby).as_raw(), LazyId::get_inner_with(&CALL, ruby).as_raw(), [env.as_raw()]);
        let mut handlers = Handlers::default();
        let returned = protect(|| {
            // SAFETY: the lock is held, one argument is announced and there, and a jump out of the call is caught by
            // `protect`, with no Rust value in between.
            let returned = unsafe { rb_sys::rb_funcallv(app, call, 1, arguments.as_ptr()) };
            handlers = Handlers::of(ruby, env);
            returned
        })?;
        // SAFETY: it has just come from Ruby.
        Ok((unsafe { Value::from_raw(returned) }, handlers))
    }
}

/// The applications of a process, by the number of their listener.
#[derive(Default)]
pub(crate) struct Applications {
    rack: Numbered<Application>,
    /// Those of raw connections.
    raw: Numbered<Root>,
    /// This is a process that the application has forked, maybe while it was called: what it was to serve is the
    /// parent's.
    left: AtomicBool,
}

type Numbered<T> = RwLock<Vec<Arc<T>>>;

impl Applications {
    /// Adds one; its number.
    pub(crate) fn add(&self, application: Application) -> usize {
        add(&self.rack, application)
    }

    /// Adds one that makes handlers for raw connections; its number.
    pub(crate) fn add_raw(&self, application: Value) -> usize {
        add(&self.raw, Root::new(application))
    }

    /// One that makes handlers for raw connections.
    pub(crate) fn find_raw(&self, listener: usize) -> Option<Arc<Root>> {
        find(&self.raw, listener)
    }

    /// In a process forked by the application: nothing is to be served there.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is to be served in this process.
    pub(crate) fn are_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    fn find(&self, listener: usize) -> Option<Arc<Application>> {
        find(&self.rack, listener)
    }
}

fn add<T>(all: &Numbered<T>, one: T) -> usize {
    let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
    all.push(Arc::new(one));
    all.len() - 1
}

fn find<T>(all: &Numbered<T>, number: usize) -> Option<Arc<T>> {
    all.read().unwrap_or_else(PoisonError::into_inner).get(number).map(Arc::clone)
}

/// What became of a request.
enum Outcome {
    /// `Exchange::response` is complete.
    Answered(Box<Exchange>),
    /// Somebody else ends it, or has.
    Taken,
}

/// Answers a request, and those that came behind it.
///
/// # Errors
/// Only when Ruby ends the thread. The request is answered then too, and the thread ends after that.
pub(crate) fn serve(
    ruby: &Ruby,
    handle: &Handle,
    applications: &Applications,
    first: Box<Exchange>,
) -> Result<(), Error> {
    let Some(application) = applications.find(first.listener) else {
        // A listener is added to `applications` before it accepts.
        log::error!("a request for a listener that does not exist was dropped");
        handle.abort(first.connection);
        return Ok(());
    };
    let desk = Desk::new(ruby, handle, first.connection);
    let mut next = Some(first);
    while let Some(exchange) = next.take() {
        let (outcome, ended) = serve_one(ruby, handle, &desk, &application, exchange);
        if applications.are_left() {
            // The parent answers.
            return ended;
        }
        if let Outcome::Answered(mut exchange) = outcome {
            if ended.is_ok() && !exchange.response.close {
                next = exchange.next.take();
            }
            handle.answer(exchange);
        }
        ended?;
    }
    Ok(())
}

fn serve_one(
    ruby: &Ruby,
    handle: &Handle,
    desk: &Desk,
    application: &Application,
    mut exchange: Box<Exchange>,
) -> (Outcome, Result<(), Error>) {
    if metrics::measures_times()
        && let Some(received) = exchange.received
    {
        handle.sheet().note_queue(received.elapsed());
    }
    let Built { env, call, callbacks, input, upgrade } = match env::build(ruby, desk, &mut exchange, application) {
        Ok(built) => built,
        Err(error) => return fail(ruby, exchange, error),
    };
    let returned = application.call(ruby, env);
    match desk.finish(ruby, call) {
        State::Running(behind) => exchange.next = behind,
        State::Hijacked => return end_of_hijacked(ruby, returned.map(|(triple, _)| triple)),
    }
    match returned {
        Ok((triple, handlers)) => {
            let settings = &application.settings;
            let context = Context { ruby, handle, settings, env, callbacks, input };
            match Upgrade::of(handlers, upgrade, triple) {
                Some(upgrade) => upgrade.send(&context, exchange),
                None => response::send(context, exchange, triple),
            }
        }
        Err(error) => {
            let (outcome, ended) = fail(ruby, exchange, error.clone());
            (outcome, finished::notify(ruby, callbacks, env, None, Some(&error)).and(ended))
        }
    }
}

/// The application has the socket; what it returns is of no use.
fn end_of_hijacked(ruby: &Ruby, returned: Result<Value, Error>) -> (Outcome, Result<(), Error>) {
    let ended =
        returned.map(drop).or_else(|error| conclude(ruby, error, "the application raised after it hijacked a request"));
    (Outcome::Taken, ended)
}

/// Answers 500; the reason goes to the log and not to the peer.
fn fail(ruby: &Ruby, mut exchange: Box<Exchange>, error: Error) -> (Outcome, Result<(), Error>) {
    let ended = conclude(ruby, error, &response::place_of(&exchange));
    response::server_error(&mut exchange);
    (Outcome::Answered(exchange), ended)
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    ruby.require("socket")?;
    env::init(ruby)?;
    input::init(ruby, base)?;
    call::init(ruby, base)?;
    each::init(ruby, base)?;
    stream::init(ruby, base)
}
