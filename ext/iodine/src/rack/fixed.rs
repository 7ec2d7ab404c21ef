//! Strings that are made once and kept for ever: environment keys and frequent values.

use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{Ruby, Value};

/// A frozen, interned String. Two of the same content are identical.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed(rb_sys::VALUE);

impl Fixed {
    pub(super) fn new(ruby: &Ruby, content: &[u8]) -> Self {
        let string = ruby.str_from_slice(content).to_interned_str();
        ruby.gc_register_mark_object(string);
        Self(string.as_raw())
    }

    pub(super) fn value(self, _ruby: &Ruby) -> Value {
        // SAFETY: `new` took it from a String that the collector neither frees nor moves since.
        unsafe { Value::from_raw(self.0) }
    }

    pub(super) fn is(self, value: Value) -> bool {
        value.as_raw() == self.0
    }
}
