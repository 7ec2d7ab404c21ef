//! The server below Ruby: one reactor owns every socket of a process, parses what arrives, hands complete requests to
//! the application's threads and writes what they answer.
//!
//! ```text
//!               reactor                                       application threads
//!  poll -> Connection::read -> Http::receive ── Job ──▶ Consumer::take ... run the application
//!          WriteQueue::flush <- Http::answer ◀─ Command ─ Handle::answer
//! ```
//!
//! What it does: sockets ([`net`]), protocol state of a connection (`connection`), timers and turns ([`reactor`]),
//! the hand-over to the application ([`jobs`], [`handle`]), publications ([`pubsub`]), the command line ([`cli`]) and the choice of how many
//! threads and workers to run ([`concurrency`]).
//!
//! What it never does: know Ruby, or wait for the application. A slow application delays no ping, no file and no
//! other connection.
//!
//! The seam to the application is three types: [`jobs::JobQueue`] (take a [`jobs::Job`] and run it),
//! [`exchange::Exchange`] (a request and the room for its answer) and [`handle::Handle`] (send the answer back).
//! `examples/hello.rs` is a whole server on that seam.
#![forbid(unsafe_code)]

pub mod access_log;
pub mod census;
pub mod cli;
pub mod client;
pub mod concurrency;
mod connection;
pub mod date;
pub mod exchange;
pub mod files;
pub mod handle;
pub mod handover;
pub mod jobs;
pub mod line_writer;
pub mod metrics;
pub mod net;
pub mod pubsub;
pub mod random;
pub mod reactor;
pub mod settings;
