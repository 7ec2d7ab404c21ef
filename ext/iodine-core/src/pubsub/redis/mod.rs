//! Publishing and subscribing through a Redis server: what reaches other machines.
//!
//! ```text
//!  any thread                    the engine's thread                          Redis
//!  publish, command ── Outbox ──▶ driver ── Session, commands ──────────────▶ PUBLISH …
//!  subscribe ──────── changes ──▶        ── Session, subscriptions ─────────▶ SUBSCRIBE …
//!  sink ◀──────────── Arrival ──────────                       ◀───────────── message, pmessage
//! ```
//!
//! Two connections, because a connection that subscribes can do little else. Both are opened again when they break,
//! and are asked for signs of life. A message that is published here comes back by the subscription, if there is one,
//! and is delivered then: so every server on one Redis sees it once, this one too.
//!
//! - `url`: where the server is
//! - `outbox`: what waits to be sent, up to a limit
//! - `session`: a connection, with the questions asked and the answers due
//! - `link`: a connection that comes back, after the pauses of `backoff`
//! - `subscriptions`: what Redis has to be told, and what it knows
//! - `driver`: the loop of the engine's thread
//! - `engine`: that thread, and how the rest of the process reaches it
//! - `reply`: answers
//!
//! Delivery is at most once, as always with Redis: a message that was sent when the connection broke, and not
//! confirmed, is not sent again. It is counted, and the log says how many there were.

mod backoff;
mod driver;
mod engine;
mod link;
mod outbox;
mod reply;
mod session;
mod subscriptions;
mod url;

use std::time::Duration;

use bytes::Bytes;

use super::Topic;

pub use driver::Sink;
pub use engine::RedisEngine;
pub use outbox::Done;
pub use reply::Reply;
pub use session::pack;
pub use url::{Server, URL_LIMIT, UrlError};

/// A message that Redis has sent for one topic. One that several topics match comes once for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The topic, among those subscribed to.
    pub topic: Topic,
    /// Where it was published.
    pub channel: Bytes,
    /// What was published.
    pub payload: Bytes,
}

/// How an engine treats its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A ping is sent after so long without a word from Redis. Default 5 minutes.
    pub ping: Duration,
    /// Redis may owe an answer for so long; then the connection is given up. Default 10 seconds.
    pub timeout: Duration,
    /// Bytes of the commands that may wait for Redis; what comes on top is dropped. Default 16 MiB.
    pub max_pending: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ping: Duration::from_secs(300), timeout: Duration::from_secs(10), max_pending: 16 << 20 }
    }
}
