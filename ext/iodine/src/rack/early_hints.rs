//! `rack.early_hints`: header fields ahead of the response (103, RFC 8297).

use std::sync::Arc;

use iodine_proto::http1::{Framing, Persistence, ResponseWriter};
use magnus::prelude::*;
use magnus::{Error, RHash, RModule, Ruby, Value, method};

use super::call::Call;
use super::response::write_fields;

#[magnus::wrap(class = "Iodine::Base::EarlyHints")]
pub(super) struct EarlyHints(Arc<Call>);

impl EarlyHints {
    pub(super) fn new(ruby: &Ruby, call: &Arc<Call>) -> Value {
        ruby.obj_wrap(Self(Arc::clone(call))).as_value()
    }

    fn call(ruby: &Ruby, this: &Self, headers: RHash) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let mut writer = ResponseWriter::new(&mut bytes, 103);
        write_fields(ruby, headers, &mut writer)?;
        writer.finish(Framing::None, Persistence::Default, &iodine_core::date::now());
        this.0.interim(bytes);
        Ok(())
    }
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = base.define_class("EarlyHints", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("call", method!(EarlyHints::call, 1))
}
