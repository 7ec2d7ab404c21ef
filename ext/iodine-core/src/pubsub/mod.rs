//! Publish and subscribe.
//!
//! ```text
//!  Client::subscribe ─┐                         ┌─▶ Connection::publish   a WebSocket, an event stream: no Ruby
//!  Process::subscribe ┼─▶ Registry, in the ─────┼─▶ Event::Published      a block of a connection: its mailbox
//!  Process::publish ──┘   reactor's turn        └─▶ Job::Subscription     a block of the process: its inbox
//!                               │
//!                               └─▶ Engine: told which topics have subscribers
//! ```
//!
//! Who subscribes and publishes are threads of the application; all that they want goes to the reactor as commands, in
//! order. The reactor alone has the [`Registry`], so nothing of this takes a lock while a message is given to thousands.
//!
//! Channels may keep their messages (`history.rs`), for subscribers who come back and say what they have seen. The master
//! numbers these messages, and every process keeps the same ones; so a worker answers from its own memory.
//!
//! A message carries the time at which it was published, and a subscription that of its beginning, by a clock that all
//! processes of the machine share. A subscriber is never given what was published before it subscribed, whatever way
//! the message took.

pub mod census;
pub mod engine;
pub mod history;
mod inbox;
mod message;
mod message_id;
pub(crate) mod presence;
mod process;
pub mod redis;
pub mod registry;
pub(crate) mod rules;
mod subscription;
mod topic;

pub use engine::{Answer, Change, Engine};
pub use inbox::Inbox;
pub use message::Message;
pub use message_id::{LastSeen, MessageId};
pub use process::Process;
pub use registry::{Registry, Start};
pub use rules::{Bounds, Rules};
pub use subscription::{Delivery, Handler, Subscription};
pub use topic::Topic;

pub(crate) use inbox::is_worth_a_line;
pub(crate) use message::Encodings;
pub(crate) use subscription::{OwnerGone, Subscriptions, Target};

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;

use crate::client::Client;
use crate::reactor::ConnectionId;
use crate::settings::WriteLimits;

/// Which processes of the cluster a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// The one that publishes.
    Process,
    /// All but the one that publishes.
    Siblings,
    /// The master, which in a single process is the process itself.
    Root,
}

/// An end of the link between a worker and its master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// That of the master.
    Master,
    /// That of the worker.
    Worker,
}

/// Nanoseconds of a clock that never goes back, and that is the same one in all processes of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

impl Stamp {
    pub(crate) fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Self(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}

/// What the reactor is asked to do.
pub(crate) enum Request {
    /// Channels keep messages. Before all else.
    Remember(Arc<Rules>),
    /// A block of the process.
    Subscribe(Arc<Subscription>),
    SubscribeClient(Arc<Subscription>, Client),
    Unsubscribe(Arc<Subscription>),
    Publish(Scope, Arc<Message>),
    /// By way of an engine.
    PublishThrough(Arc<dyn Engine>, Arc<Message>),
    Attach(Arc<dyn Engine>),
    /// The engine of this address is told of nothing any more.
    Detach(Arc<dyn Engine>),
    /// The engine is told of all topics again.
    Reset(Arc<dyn Engine>),
    /// This process has this end of the link to another one.
    Join(End, UnixStream, WriteLimits),
    /// An engine of the master's has the next number.
    AddEngine(Arc<dyn Engine>),
    /// Has the engine of this number publish.
    Relay(u64, Bytes, Bytes),
    /// Asks the engine of this number.
    Call(u64, Bytes, Answer),
    /// The answer to a question that has come by this link.
    Reply(ConnectionId, u64, Bytes),
}
