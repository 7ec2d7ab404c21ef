//! `Iodine::Base::PubSub`: subscriptions and publications of Ruby, and the blocks that are called with messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iodine_core::handle::Handle;
use iodine_core::jobs::Job;
use iodine_core::pubsub::census::{self, Census};
use iodine_core::pubsub::engine::{Change, Listener};
use iodine_core::pubsub::{
    Bounds, Delivery, Engine, Handler, LastSeen, Message, MessageId, Process, Scope, Subscription, Topic,
};
use magnus::prelude::*;
use magnus::typed_data::Obj;
use magnus::value::LazyId;
use magnus::{Error, RArray, RModule, RString, Ruby, TypedData, Value, function};

use crate::class;
use crate::connection::Connection;
use crate::gvl;
use crate::roots::Root;
use crate::runtime::Runtime;
use crate::worker::{is_jump, report};

static PROCESS: LazyLock<Process> = LazyLock::new(Process::default);

/// What this process subscribes to and publishes.
pub(crate) fn process() -> &'static Process {
    &PROCESS
}

/// Calls a subscription of the process with its messages, at most so many that other jobs have their turn.
///
/// # Errors
/// Only when Ruby ends the thread; what is left is for another one then.
pub(crate) fn deliver(ruby: &Ruby, handle: &Handle, subscription: Arc<Subscription>) -> Result<(), Error> {
    let mut called = Ok(());
    for _ in 0..CALLS_A_JOB {
        let Some(message) = subscription.next_message() else { return Ok(()) };
        called = call(ruby, &subscription, &message);
        if called.is_err() {
            break;
        }
    }
    handle.push_job(Job::Subscription(subscription));
    called
}

/// Calls the block of a subscription with a message. What it raises is logged.
///
/// # Errors
/// Only when Ruby ends the thread.
pub(crate) fn call(ruby: &Ruby, subscription: &Subscription, message: &Message) -> Result<(), Error> {
    static CALL: LazyId = LazyId::new("call");
    let Some(handler) = subscription.handler().filter(|_| subscription.is_active()) else { return Ok(()) };
    let Some(block) = handler.downcast_ref::<Block>() else { return Ok(()) };
    let (channel, payload) = (ruby.str_from_slice(&message.channel), ruby.str_from_slice(&message.payload));
    let object = block.object.value(ruby);
    let called = if block.takes_id {
        let id = message.id.map(|id| id.to_string());
        object.funcall::<_, _, Value>(*CALL, (channel, payload, id))
    } else {
        object.funcall::<_, _, Value>(*CALL, (channel, payload))
    };
    log_exception(ruby, called, "a block of a subscription raised")
}

/// Tells an engine of the application what has changed.
///
/// # Errors
/// Only when Ruby ends the thread; what is left is for another one then.
pub(crate) fn inform(ruby: &Ruby, handle: &Handle, listener: Arc<Listener>) -> Result<(), Error> {
    static SUBSCRIBE: LazyId = LazyId::new("subscribe");
    static UNSUBSCRIBE: LazyId = LazyId::new("unsubscribe");
    let engine = value(ruby, listener.handler())?;
    while let Some(change) = listener.next_change() {
        let (name, topic) = match &change {
            Change::Gained(topic) => (*SUBSCRIBE, topic),
            Change::Lost(topic) => (*UNSUBSCRIBE, topic),
        };
        let arguments = (ruby.str_from_slice(&topic.name), topic.is_pattern.then_some(true));
        let called = engine.funcall::<_, _, Value>(name, arguments);
        if let Err(error) = log_exception(ruby, called, "a pub/sub engine raised") {
            handle.push_job(Job::Listener(listener));
            return Err(error);
        }
    }
    Ok(())
}

fn log_exception(ruby: &Ruby, called: Result<Value, Error>, place: &str) -> Result<(), Error> {
    match called {
        Err(error) if is_jump(&error) => Err(error),
        Err(error) => {
            report(ruby, &error, place);
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// What is called with messages.
struct Block {
    object: Root,
    /// It takes three arguments: the channel, the message and its id.
    takes_id: bool,
}

/// The block of a subscription, for the core to keep.
fn block(object: Value, takes_id: bool) -> Handler {
    Arc::new(Block { object: Root::new(object), takes_id })
}

/// An object of the application, for the core to keep.
fn handler(object: Value) -> Handler {
    Arc::new(Root::new(object))
}

/// What [`handler`] was made of.
fn value(ruby: &Ruby, handler: &Handler) -> Result<Value, Error> {
    let root = handler.downcast_ref::<Root>();
    root.map(|root| root.value(ruby)).ok_or_else(|| Error::new(ruby.exception_runtime_error(), "not a Ruby object"))
}

fn topic(name: RString, is_pattern: bool) -> Topic {
    Topic { name: bytes(name), is_pattern }
}

fn bytes(string: RString) -> Bytes {
    // SAFETY: no Ruby code runs while the content is copied.
    Bytes::copy_from_slice(unsafe { string.as_slice() })
}

/// What a subscriber has seen last: nil for who asks for nothing of before, true for who wants all, or an id.
fn last_seen(since: Value) -> Option<LastSeen> {
    if !since.to_bool() {
        return None;
    }
    let id = RString::from_value(since).and_then(|id| MessageId::parse(&bytes(id)));
    Some(LastSeen::from(id))
}

/// Has a channel, or those of a pattern, keep so many messages, bytes, and seconds. False: the server has begun.
fn remember(name: RString, is_pattern: bool, messages: usize, bytes: usize, seconds: f64) -> bool {
    let age = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    PROCESS.remember(topic(name, is_pattern), Bounds { messages, bytes, age }).is_ok()
}

/// A server begins, whose channels keep so many bytes together.
fn begin(runtime: &Runtime, most_bytes: usize) {
    PROCESS.begin(runtime.handle(), most_bytes);
}

/// Whether a text is an id of a message.
fn is_id(text: RString) -> bool {
    MessageId::parse(&bytes(text)).is_some()
}

fn attach(runtime: &Runtime) {
    PROCESS.attach(runtime.handle());
}

fn detach() {
    PROCESS.detach();
}

fn keep() {
    PROCESS.keep();
}

fn inherit() {
    PROCESS.inherit();
}

/// Subscribes the process.
fn subscribe(name: RString, is_pattern: bool, object: Value, takes_id: bool, since: Value) {
    PROCESS.subscribe(topic(name, is_pattern), block(object, takes_id), last_seen(since));
}

fn unsubscribe(name: RString) -> bool {
    PROCESS.unsubscribe(&bytes(name))
}

/// Subscribes a connection; with nil for a block, messages are written to it. False: it is closed.
fn subscribe_connection(
    connection: Obj<Connection>,
    name: RString,
    is_pattern: bool,
    (object, takes_id): (Value, bool),
    as_binary: bool,
    since: Value,
) -> bool {
    let delivery =
        if object.is_nil() { Delivery::Direct { as_binary } } else { Delivery::Block(block(object, takes_id)) };
    let (topic, last_seen) = (topic(name, is_pattern), last_seen(since));
    connection.open_client().is_some_and(|client| client.subscribe(topic, delivery, last_seen))
}

/// Nil: it is closed.
fn unsubscribe_connection(connection: Obj<Connection>, name: RString) -> Option<bool> {
    connection.open_client().map(|client| client.unsubscribe(&bytes(name)))
}

/// Publishes to processes of a scope: 0 the cluster, 1 this process, 2 the others, 3 the master.
fn publish(ruby: &Ruby, scope: u8, channel: RString, message: RString) -> Result<(), Error> {
    let scope = match scope {
        0 => Scope::Cluster,
        1 => Scope::Process,
        2 => Scope::Siblings,
        3 => Scope::Root,
        _ => return Err(Error::new(ruby.exception_arg_error(), "no such scope")),
    };
    PROCESS.publish(scope, bytes(channel), bytes(message));
    Ok(())
}

/// Subscribers of a channel in all processes.
fn subscribers(ruby: &Ruby, name: RString) -> Result<u64, Error> {
    Ok(ask(ruby, Census::Subscribers(bytes(name)))?.map_or(0, census::number))
}

/// The channels that have subscribers in any process.
fn channels(ruby: &Ruby) -> Result<RArray, Error> {
    let names = ask(ruby, Census::Channels)?.map(census::names).unwrap_or_default();
    Ok(ruby.ary_from_iter(names.iter().map(|name| ruby.str_from_slice(name))))
}

/// Waits for the master's answer, without the lock. `None`: this process does not serve.
fn ask(ruby: &Ruby, question: Census) -> Result<Option<Bytes>, Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // The one who waits may be gone.
    if !PROCESS.ask(&question, Box::new(move |answer| drop(sender.send(answer)))) {
        return Ok(None);
    }
    let deadline = Instant::now() + census::PATIENCE;
    while Instant::now() < deadline {
        let interrupted = AtomicBool::new(false);
        let wait = || {
            while !interrupted.load(Ordering::SeqCst) && Instant::now() < deadline {
                match receiver.recv_timeout(LOOK) {
                    Err(RecvTimeoutError::Timeout) => {}
                    other => return other.ok(),
                }
            }
            None
        };
        if let Some(Some(answer)) = gvl::without(ruby, wait, || interrupted.store(true, Ordering::SeqCst)) {
            return Ok(Some(answer));
        }
        gvl::check_interrupts(ruby)?;
        match receiver.try_recv() {
            Ok(answer) => return Ok(Some(answer)),
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {}
        }
    }
    Err(Error::new(ruby.exception_runtime_error(), "the master of the cluster does not answer"))
}

/// What tells an engine of channels.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::PubSub::Attachment", free_immediately)]
pub(crate) struct Attachment(Arc<dyn Engine>);

impl magnus::DataTypeFunctions for Attachment {}

impl Attachment {
    /// Tells the engine of all channels, and of those that come and go.
    pub(crate) fn of(engine: Arc<dyn Engine>) -> Self {
        PROCESS.attach_engine(Arc::clone(&engine));
        Self(engine)
    }

    /// The same for one that is written in Ruby.
    fn new(engine: Value) -> Self {
        Self::of(Listener::new(handler(engine)))
    }

    fn end(&self) {
        PROCESS.detach_engine(&self.0);
    }

    fn reset(&self) {
        PROCESS.reset_engine(&self.0);
    }
}

/// How soon a thread that waits for an answer notices that Ruby wants something of it.
const LOOK: Duration = Duration::from_millis(10);

/// Messages of one block that a thread takes before it looks at other jobs.
const CALLS_A_JOB: usize = 32;

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let module = base.define_module("PubSub")?;
    module.define_singleton_method("native_remember", function!(remember, 5))?;
    module.define_singleton_method("native_begin", function!(begin, 2))?;
    module.define_singleton_method("native_id?", function!(is_id, 1))?;
    module.define_singleton_method("native_attach", function!(attach, 1))?;
    module.define_singleton_method("native_detach", function!(detach, 0))?;
    module.define_singleton_method("native_keep", function!(keep, 0))?;
    module.define_singleton_method("native_inherit", function!(inherit, 0))?;
    module.define_singleton_method("native_subscribe", function!(subscribe, 5))?;
    module.define_singleton_method("native_unsubscribe", function!(unsubscribe, 1))?;
    module.define_singleton_method("native_subscribe_connection", function!(subscribe_connection, 6))?;
    module.define_singleton_method("native_unsubscribe_connection", function!(unsubscribe_connection, 2))?;
    module.define_singleton_method("native_publish", function!(publish, 3))?;
    module.define_singleton_method("native_subscribers", function!(subscribers, 1))?;
    module.define_singleton_method("native_channels", function!(channels, 0))?;
    let attachment = class::define::<Attachment>(ruby, module, "Attachment")?;
    attachment.define_singleton_method("new", function!(Attachment::new, 1))?;
    attachment.define_method("end", magnus::method!(Attachment::end, 0))?;
    attachment.define_method("reset", magnus::method!(Attachment::reset, 0))
}
