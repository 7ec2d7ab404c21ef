//! The stream that a callable body writes to (Rack 3 SPEC, "Streaming Body").

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use magnus::prelude::*;
use magnus::typed_data::Obj;
use magnus::value::Opaque;
use magnus::{DataTypeFunctions, Error, RModule, RString, Ruby, TypedData, Value, gc, method};

use super::body::{Writer, wait_for_room};
use super::input::Input;
use super::response::break_off;
use crate::class;

/// The application may hand it to another thread and return: the response ends when the stream is closed, or when the
/// application has lost it.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::Stream", mark, free_immediately)]
pub(super) struct BodyStream {
    open: Mutex<Option<Open>>,
    /// `rack.input`, which lives as long as this: outside of the lock, because the collector may come while it is held.
    input: Option<Opaque<Value>>,
}

impl DataTypeFunctions for BodyStream {
    fn mark(&self, marker: &gc::Marker) {
        if let Some(input) = self.input {
            marker.mark(input);
        }
    }
}

struct Open {
    writer: Writer,
    exchange: Box<Exchange>,
    handle: Handle,
    input: Option<Input>,
}

impl BodyStream {
    pub(super) fn new(writer: Writer, exchange: Box<Exchange>, handle: Handle, input: Option<Input>) -> Self {
        let object = input.as_ref().map(Input::object);
        Self { open: Mutex::new(Some(Open { writer, exchange, handle, input })), input: object }
    }

    /// The body broke off: the peer must not take it for complete.
    pub(super) fn abort(&self) {
        if let Some(open) = self.open().take() {
            open.abort();
        }
    }

    /// Whether the peer has left.
    pub(super) fn is_gone(&self) -> bool {
        self.open().as_ref().is_some_and(|open| open.writer.stream().is_closed())
    }

    /// The number of bytes written.
    fn write(ruby: &Ruby, this: &Self, chunk: Value) -> Result<usize, Error> {
        let chunk = RString::try_convert(chunk).or_else(|_| chunk.to_r_string())?;
        // The stream stays open to others while this thread waits for room.
        let stream = match &mut *this.open() {
            Some(open) => open.writer.write(chunk).then(|| Arc::clone(open.writer.stream())),
            None => return Err(Error::new(ruby.exception_io_error(), "closed stream")),
        };
        let Some(stream) = stream else {
            return Err(Error::new(epipe(ruby)?, "the peer has closed the connection"));
        };
        wait_for_room(ruby, &stream)?;
        Ok(chunk.len())
    }

    fn append(ruby: &Ruby, this: Obj<Self>, chunk: Value) -> Result<Obj<Self>, Error> {
        Self::write(ruby, &this, chunk)?;
        Ok(this)
    }

    /// Everything written is on its way already.
    fn flush(this: Obj<Self>) -> Obj<Self> {
        this
    }

    fn read(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<Value, Error> {
        match this.input {
            Some(input) => ruby.get_inner(input).funcall("read", arguments),
            None if arguments.first().is_none_or(|length| length.is_nil()) => Ok(ruby.str_new("").as_value()),
            None => Ok(ruby.qnil().as_value()),
        }
    }

    fn close(&self) {
        if let Some(open) = self.open().take() {
            open.finish();
        }
    }

    fn close_read(&self) {
        if let Some(open) = &mut *self.open() {
            open.input = None;
        }
    }

    fn is_closed(&self) -> bool {
        self.open().as_ref().is_none_or(|open| open.writer.stream().is_closed())
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BodyStream {
    fn drop(&mut self) {
        self.close();
    }
}

impl Open {
    fn finish(mut self) {
        match self.writer.end() {
            Some(end) => {
                self.exchange.response.head.extend_from_slice(end);
                self.exchange.response.length = self.writer.written();
                self.handle.answer(self.exchange);
            }
            None => break_off(&self.handle, self.exchange),
        }
    }

    fn abort(self) {
        break_off(&self.handle, self.exchange);
    }
}

fn epipe(ruby: &Ruby) -> Result<magnus::ExceptionClass, Error> {
    ruby.class_object().const_get::<_, RModule>("Errno")?.const_get("EPIPE")
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<BodyStream>(ruby, base, "Stream")?;
    class.undef_default_alloc_func();
    class.define_method("write", method!(BodyStream::write, 1))?;
    class.define_method("<<", method!(BodyStream::append, 1))?;
    class.define_method("flush", method!(BodyStream::flush, 0))?;
    class.define_method("read", method!(BodyStream::read, -1))?;
    class.define_method("close", method!(BodyStream::close, 0))?;
    class.define_method("close_write", method!(BodyStream::close, 0))?;
    class.define_method("close_read", method!(BodyStream::close_read, 0))?;
    class.define_method("closed?", method!(BodyStream::is_closed, 0))
}
