//! Strings that are made once and kept for ever: environment keys and frequent values.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{RString, Ruby, Value};

/// A frozen, interned String. Two of the same content are identical.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed(rb_sys::VALUE);

impl Fixed {
    /// A value: bytes without an encoding (Rack SPEC).
    pub(super) fn new(ruby: &Ruby, content: &[u8]) -> Self {
        Self::keep(ruby, ruby.str_from_slice(content))
    }

    /// A key: identical to the literal in the application's source, which spares each look into the environment the
    /// comparison of their bytes.
    pub(super) fn key(ruby: &Ruby, text: &str) -> Self {
        Self::keep(ruby, ruby.str_new(text))
    }

    fn keep(ruby: &Ruby, string: RString) -> Self {
        let string = string.to_interned_str();
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

/// Values that most requests repeat, such as `Host` and `Accept`, as frozen Strings.
#[derive(Default)]
pub(super) struct Repeated(HashMap<Box<[u8]>, Fixed, RandomState>);

impl Repeated {
    /// A peer that invents values fills this once and costs a little more from then on.
    const ENTRIES: usize = 512;
    /// Longer values are not kept, so that all of them together stay below 128 KiB.
    const LENGTH: usize = 256;

    /// The String: a kept one, or a new one when there is no room.
    pub(super) fn get(&mut self, ruby: &Ruby, content: &[u8]) -> Value {
        if let Some(kept) = self.0.get(content) {
            return kept.value(ruby);
        }
        if self.0.len() < Self::ENTRIES && content.len() <= Self::LENGTH {
            let kept = Fixed::new(ruby, content);
            self.0.insert(content.into(), kept);
            return kept.value(ruby);
        }
        ruby.str_from_slice(content).as_value()
    }
}
