//! `rack.hijack`: the application takes the socket.

use std::os::fd::IntoRawFd;
use std::sync::Arc;

use iodine_core::handle::Hijacked;
use magnus::prelude::*;
use magnus::value::Opaque;
use magnus::{DataTypeFunctions, Error, RClass, RHash, RModule, Ruby, TypedData, Value, gc, method};

use super::call::Call;

/// What stands in `rack.hijack`.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::Hijack", mark)]
pub(super) struct Hijack {
    call: Arc<Call>,
    env: Opaque<RHash>,
}

impl DataTypeFunctions for Hijack {
    fn mark(&self, marker: &gc::Marker) {
        marker.mark(self.env);
    }
}

impl Hijack {
    pub(super) fn new(ruby: &Ruby, call: &Arc<Call>, env: RHash) -> Value {
        ruby.obj_wrap(Self { call: Arc::clone(call), env: env.into() }).as_value()
    }

    /// The IO, which is `rack.hijack_io` from then on.
    fn call(ruby: &Ruby, this: &Self) -> Result<Value, Error> {
        let env = ruby.get_inner(this.env);
        let taken: Value = env.lookup("rack.hijack_io")?;
        if !taken.is_nil() {
            return Ok(taken);
        }
        let io = io_of(ruby, this.call.hijack(ruby)?)?;
        env.aset("rack.hijack_io", io)?;
        Ok(io)
    }
}

/// A Ruby socket for a hijacked connection. Bytes that were read already are put back.
pub(super) fn io_of(ruby: &Ruby, hijacked: Hijacked) -> Result<Value, Error> {
    let class: RClass = ruby.class_object().const_get("Socket")?;
    // From here on the descriptor is the Ruby object's.
    let io: Value = class.funcall("for_fd", (hijacked.socket.into_raw_fd(),))?;
    io.funcall::<_, _, Value>("sync=", (true,))?;
    if !hijacked.unread.is_empty() {
        io.funcall::<_, _, Value>("ungetbyte", (ruby.str_from_slice(&hijacked.unread),))?;
    }
    Ok(io)
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    ruby.require("socket")?;
    let class = base.define_class("Hijack", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("call", method!(Hijack::call, 0))
}
