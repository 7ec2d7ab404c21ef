//! One request while the application works on it.

use std::ffi::{CStr, c_void};
use std::hint::black_box;
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_core::handover::Hijacked;
use iodine_core::reactor::ConnectionId;
use iodine_proto::http1::{Framing, Persistence, ResponseWriter};
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue, protect};
use magnus::scan_args::scan_args;
use magnus::{Error, RHash, RModule, Ruby, Value, method};
use slab::Slab;

use super::fields::{each_line, write_line};
use super::hijack::{IO_KEY, io_of, take_socket};
use crate::gvl::GvlCell;

/// What stands in `rack.hijack` and in `rack.early_hints`: one object for both, because every request needs them and
/// hardly any uses them. Without an argument `call` hijacks, with a Hash it sends early hints.
///
/// It outlives the request when the application keeps its environment; it does nothing then. All it holds is the
/// environment, in the place of a pointer, so that it costs no memory beside the Ruby object. The rest is on the
/// [`Desk`] of the thread that serves the request.
#[derive(Clone, Copy)]
pub(super) struct Call(Value);

/// Where a thread has the request that its application works on. Given up when dropped.
pub(super) struct Desk(usize);

struct Work {
    handle: Handle,
    connection: ConnectionId,
    /// The object of the request. It lives as long as it stands here: see [`Desk::finish`].
    call: rb_sys::VALUE,
    state: State,
}

/// What has become of a request.
pub(super) enum State {
    /// The application runs, or has returned. Requests that came behind this one wait here.
    Running(Option<Box<Exchange>>),
    /// The application has the socket.
    Hijacked,
}

static DESKS: GvlCell<Slab<Work>> = GvlCell::new(Slab::new());

impl Desk {
    /// One for the requests of a connection.
    pub(super) fn new(ruby: &Ruby, handle: &Handle, connection: ConnectionId) -> Self {
        let work = Work { handle: handle.clone(), connection, call: 0, state: State::Running(None) };
        Self(DESKS.get(ruby).insert(work))
    }

    /// The application begins with a request. `behind` are those that came behind it.
    pub(super) fn begin(&self, ruby: &Ruby, env: RHash, behind: Option<Box<Exchange>>) -> Call {
        let call = Call::new(env);
        let work = &mut DESKS.get(ruby)[self.0];
        work.call = call.0.as_raw();
        work.state = State::Running(behind);
        call
    }

    /// The application has returned.
    pub(super) fn finish(&self, ruby: &Ruby, call: Call) -> State {
        // It has to be on the stack up to here: the collector must not give its place to another one.
        black_box(call.0.as_raw());
        let work = &mut DESKS.get(ruby)[self.0];
        work.call = 0;
        mem::replace(&mut work.state, State::Running(None))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Ok(ruby) = Ruby::get() {
            DESKS.get(&ruby).remove(self.0);
        }
    }
}

impl Call {
    fn new(env: RHash) -> Self {
        let kind = KIND.get().expect("init has set it");
        // A place in memory that nobody follows but `mark` and `env`.
        let env = ptr::without_provenance_mut(env.as_raw() as usize);
        // SAFETY: the class is registered with the collector, the type is never dropped, and `env` is the value that
        // its functions expect. Beyond that this is an allocation.
        Self(unsafe { Value::from_raw(rb_sys::rb_data_typed_object_wrap(kind.class, env, &raw const kind.data)) })
    }

    pub(super) fn value(self) -> Value {
        self.0
    }

    /// # Errors
    /// `TypeError` when the object is none of ours.
    fn env(self) -> Result<RHash, Error> {
        let kind = KIND.get().expect("init has set it");
        // SAFETY: the lock is held, and what is raised is caught by `protect`; no Rust value is in between.
        let env = protect(|| unsafe { rb_sys::rb_check_typeddata(self.0.as_raw(), &raw const kind.data) } as _)?;
        // SAFETY: `new` took it from an `RHash`, and `mark` keeps it alive and in its place.
        RHash::try_convert(unsafe { Value::from_raw(env) })
    }

    fn call(ruby: &Ruby, this: Value, arguments: &[Value]) -> Result<Value, Error> {
        let arguments = scan_args::<(), (Option<RHash>,), (), (), (), ()>(arguments)?;
        match arguments.optional.0 {
            Some(headers) => Self(this).send_early_hints(ruby, headers),
            None => Self(this).hijack(ruby),
        }
    }

    /// A 103 ahead of the response (RFC 8297), unless that is on its way.
    fn send_early_hints(self, ruby: &Ruby, headers: RHash) -> Result<Value, Error> {
        let mut bytes = Vec::new();
        let mut writer = ResponseWriter::new(&mut bytes, 103);
        each_line(headers, |name, value| write_line(ruby, &mut writer, name, value))?;
        writer.finish(Framing::None, Persistence::Default, &iodine_core::date::now());
        self.at_desk(ruby, |work| {
            if matches!(work.state, State::Running(_)) {
                work.handle.interim(work.connection, bytes);
            }
        });
        Ok(ruby.qnil().as_value())
    }

    /// The socket as an IO, which is `rack.hijack_io` from then on.
    fn hijack(self, ruby: &Ruby) -> Result<Value, Error> {
        let env = self.env()?;
        let taken: Option<Value> = env.lookup(IO_KEY)?;
        if let Some(io) = taken {
            return Ok(io);
        }
        let io = io_of(ruby, self.take(ruby)?)?;
        // An environment that the application has frozen stays without it.
        let _ = env.aset(IO_KEY, io);
        Ok(io)
    }

    fn take(self, ruby: &Ruby) -> Result<Hijacked, Error> {
        let taken = self.at_desk(ruby, |work| match mem::replace(&mut work.state, State::Hijacked) {
            State::Running(behind) => Ok((work.handle.clone(), work.connection, behind)),
            State::Hijacked => Err("the request was hijacked before"),
        });
        match taken {
            Some(Ok((handle, connection, behind))) => take_socket(ruby, &handle, connection, behind),
            Some(Err(message)) => Err(Error::new(ruby.exception_io_error(), message)),
            None => Err(Error::new(ruby.exception_io_error(), "the request is over: it cannot be hijacked")),
        }
    }

    /// Does something with the request, which must not call Ruby. `None`: it is over.
    fn at_desk<T>(self, ruby: &Ruby, work: impl FnOnce(&mut Work) -> T) -> Option<T> {
        let mut desks = DESKS.get(ruby);
        desks.iter_mut().find(|(_, at)| at.call == self.0.as_raw()).map(|(_, at)| work(at))
    }
}

/// The class of the objects, and what the collector has to know about them.
struct Kind {
    class: rb_sys::VALUE,
    data: rb_sys::rb_data_type_t,
}

static KIND: OnceLock<Kind> = OnceLock::new();

// SAFETY: it is never changed, and what its pointers lead to is static.
unsafe impl Send for Kind {}
// SAFETY: as above.
unsafe impl Sync for Kind {}

unsafe extern "C" fn mark(env: *mut c_void) {
    // SAFETY: the collector calls it with what `Call::new` has put there, a live Hash.
    unsafe { rb_sys::rb_gc_mark(env.addr() as rb_sys::VALUE) };
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    const NAME: &CStr = c"Iodine::Base::Call";
    let class = base.define_class("Call", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("call", method!(Call::call, -1))?;
    ruby.gc_register_mark_object(class);
    // SAFETY: all of its fields are numbers, pointers and optional functions, for which zero is a value: there is
    // nothing to free, and nothing to be told when objects move, because what is marked stays in its place.
    let mut data: rb_sys::rb_data_type_t = unsafe { mem::zeroed() };
    data.wrap_struct_name = NAME.as_ptr();
    data.function.dmark = Some(mark);
    // Its one reference never changes.
    data.flags = rb_sys::rbimpl_typeddata_flags::RUBY_TYPED_WB_PROTECTED as rb_sys::VALUE;
    let _ = KIND.set(Kind { class: class.as_raw(), data });
    Ok(())
}
