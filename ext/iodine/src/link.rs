//! `Iodine::Base::Link`: what connects a worker with its master.

use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use iodine_core::pubsub::End;
use iodine_core::settings::WriteLimits;
use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, function, method};

use crate::class;
use crate::runtime::Runtime;

/// Both ends, until a process takes one of them and closes the other; the fork comes in between.
#[magnus::wrap(class = "Iodine::Base::Link", free_immediately)]
struct Link {
    ends: Mutex<Option<(UnixStream, UnixStream)>>,
    limits: WriteLimits,
}

impl Link {
    /// `most_waiting` bytes wait for a process that takes nothing, for so many seconds.
    fn new(ruby: &Ruby, most_waiting: usize, seconds: f64) -> Result<Self, Error> {
        let pair = UnixStream::pair().map_err(|error| {
            let message = format!("a worker cannot be connected with its master: {error}");
            Error::new(ruby.exception_system_call_error(), message)
        })?;
        let timeout = Duration::try_from_secs_f64(seconds)
            .map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))?;
        Ok(Self { ends: Mutex::new(Some(pair)), limits: WriteLimits { max_pending: most_waiting, timeout } })
    }

    /// Gives the master's end to its reactor.
    fn join_workers(&self, reactor: &Runtime) {
        if let Some((master, _)) = self.take() {
            reactor.handle().join(End::Master, master, self.limits);
        }
    }

    /// Gives the worker's end to its reactor.
    fn join_master(&self, reactor: &Runtime) {
        if let Some((_, worker)) = self.take() {
            reactor.handle().join(End::Worker, worker, self.limits);
        }
    }

    /// The fork has failed.
    fn close(&self) {
        self.take();
    }

    fn take(&self) -> Option<(UnixStream, UnixStream)> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Link>(ruby, base, "Link")?;
    class.define_singleton_method("new", function!(Link::new, 2))?;
    class.define_method("join_workers", method!(Link::join_workers, 1))?;
    class.define_method("join_master", method!(Link::join_master, 1))?;
    class.define_method("close", method!(Link::close, 0))
}
