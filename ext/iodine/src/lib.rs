//! The extension: the only crate that knows Ruby. It converts and forwards; what is worth deciding is decided below, in
//! `iodine-core`, or above, in `lib/iodine`.
//!
//! - `runtime`, `socket`, `tls`: the reactor, listening sockets and their certificates as Ruby objects
//! - `worker`: the application's threads
//! - `connection`: WebSockets, event streams and raw connections; `dial`, `attachment`: those that the application opens
//! - `pubsub`: subscriptions, publications and the blocks that are called with messages
//! - `rack`: requests as Rack environments, Rack responses as bytes
//! - `json`, `rack_utils`: `Iodine::JSON` and `Iodine::Rack::Utils`
//! - `mustache`: templates, for `Iodine::Mustache`
//! - `gvl`, `roots`: the two places where the rules of Ruby's VM are kept: its lock, and its collector
//! - `cli`, `logger`, `metrics`, `memory`

// The function that Ruby calls is made public by `magnus::init`.
#![allow(missing_docs)]

mod attachment;
mod class;
mod cli;
mod connection;
mod dial;
mod gvl;
mod json;
mod last_words;
mod life_line;
mod link;
mod logger;
mod memory;
mod metrics;
mod mustache;
mod pubsub;
mod rack;
mod rack_utils;
mod redis;
mod roots;
mod runtime;
mod socket;
mod tls;
mod worker;

use magnus::prelude::*;
use magnus::{Error, Ruby, function};

/// Network buffers come and go in all sizes; this keeps them from fragmenting the memory that Ruby allocates with the
/// system's allocator.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[magnus::init(name = "iodine_ext")]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let iodine = ruby.define_module("Iodine")?;
    let base = iodine.define_module("Base")?;
    logger::init(4);
    base.define_singleton_method("native_verbosity=", function!(logger::set_verbosity, 1))?;
    base.define_singleton_method("concurrency", function!(concurrency, 2))?;
    cli::init(ruby, base)?;
    last_words::init(ruby, base)?;
    life_line::init(ruby, base)?;
    memory::init(ruby, base)?;
    metrics::init(ruby, base)?;
    roots::init(ruby, base)?;
    tls::init(ruby, base)?;
    socket::init(ruby, base)?;
    runtime::init(ruby, base)?;
    link::init(ruby, base)?;
    connection::init(ruby, iodine)?;
    pubsub::init(ruby, base)?;
    attachment::init(ruby, base)?;
    dial::init(ruby, base)?;
    rack::init(ruby, base)?;
    json::init(ruby, base)?;
    mustache::init(ruby, base)?;
    redis::init(ruby, base)?;
    rack_utils::init(ruby, base)
}

/// `[threads, workers, capped]` for what was asked for, on this machine.
fn concurrency(threads: i32, workers: i32) -> (u32, u32, bool) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let resolved = iodine_core::concurrency::resolve(threads, workers, cores);
    (resolved.threads, resolved.workers, resolved.capped)
}
