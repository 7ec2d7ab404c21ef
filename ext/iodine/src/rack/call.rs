//! One request while the application works on it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_core::handover::Hijacked;
use iodine_core::reactor::ConnectionId;
use iodine_proto::http1::{Framing, Persistence, ResponseWriter};
use magnus::prelude::*;
use magnus::scan_args::scan_args;
use magnus::value::Opaque;
use magnus::{DataTypeFunctions, Error, RHash, RModule, Ruby, TypedData, Value, gc, method};

use super::hijack::{IO_KEY, io_of, take_socket};
use super::response::{each_line, write_line};
use crate::class;

/// What stands in `rack.hijack` and in `rack.early_hints`: one object for both, because every request needs them and
/// hardly any uses them. Without an argument `call` hijacks, with a Hash it sends early hints.
///
/// It outlives the request when the application keeps its environment; it does nothing then.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::Call", mark, free_immediately)]
pub(super) struct Call {
    handle: Handle,
    connection: ConnectionId,
    env: Opaque<RHash>,
    state: Mutex<State>,
}

enum State {
    /// The application runs. Requests that came behind this one wait here.
    Running(Option<Box<Exchange>>),
    Hijacked,
    Finished,
}

impl DataTypeFunctions for Call {
    fn mark(&self, marker: &gc::Marker) {
        marker.mark(self.env);
    }
}

impl Call {
    pub(super) fn new(handle: &Handle, exchange: &mut Exchange, env: RHash) -> Self {
        Self {
            handle: handle.clone(),
            connection: exchange.connection,
            env: env.into(),
            state: Mutex::new(State::Running(exchange.next.take())),
        }
    }

    pub(super) fn is_hijacked(&self) -> bool {
        matches!(*self.state(), State::Hijacked)
    }

    /// The application has returned; gives back the requests behind this one.
    pub(super) fn finish(&self) -> Option<Box<Exchange>> {
        match std::mem::replace(&mut *self.state(), State::Finished) {
            State::Running(behind) => behind,
            State::Hijacked | State::Finished => None,
        }
    }

    fn call(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<Value, Error> {
        let arguments = scan_args::<(), (Option<RHash>,), (), (), (), ()>(arguments)?;
        match arguments.optional.0 {
            Some(headers) => this.send_early_hints(ruby, headers),
            None => this.hijack(ruby),
        }
    }

    /// A 103 ahead of the response (RFC 8297), unless that is on its way.
    fn send_early_hints(&self, ruby: &Ruby, headers: RHash) -> Result<Value, Error> {
        let mut bytes = Vec::new();
        let mut writer = ResponseWriter::new(&mut bytes, 103);
        each_line(headers, &mut |name, value| write_line(ruby, &mut writer, name, value))?;
        writer.finish(Framing::None, Persistence::Default, &iodine_core::date::now());
        if matches!(*self.state(), State::Running(_)) {
            self.handle.interim(self.connection, bytes);
        }
        Ok(ruby.qnil().as_value())
    }

    /// The socket as an IO, which is `rack.hijack_io` from then on.
    fn hijack(&self, ruby: &Ruby) -> Result<Value, Error> {
        let env = ruby.get_inner(self.env);
        let taken: Option<Value> = env.lookup(IO_KEY)?;
        if let Some(io) = taken {
            return Ok(io);
        }
        let io = io_of(ruby, self.take(ruby)?)?;
        // An environment that the application has frozen stays without it.
        let _ = env.aset(IO_KEY, io);
        Ok(io)
    }

    fn take(&self, ruby: &Ruby) -> Result<Hijacked, Error> {
        // In a statement of its own: in the head of the match the lock would be held through its arms.
        let former = std::mem::replace(&mut *self.state(), State::Hijacked);
        let behind = match former {
            State::Running(behind) => behind,
            State::Hijacked => return Err(Error::new(ruby.exception_io_error(), "the request was hijacked before")),
            State::Finished => {
                *self.state() = State::Finished;
                return Err(Error::new(ruby.exception_io_error(), "the request is over: it cannot be hijacked"));
            }
        };
        take_socket(ruby, &self.handle, self.connection, behind)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Call>(ruby, base, "Call")?;
    class.undef_default_alloc_func();
    class.define_method("call", method!(Call::call, -1))
}
