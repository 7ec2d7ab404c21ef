//! Names of members: documents repeat few of them often.

use std::cell::RefCell;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use magnus::prelude::*;
use magnus::rb_sys::FromRawValue;
use magnus::{Ruby, Value, gc};

/// A bounded cache of names as frozen Strings or as Symbols. A new name takes the place of another with the same hash, so
/// that a peer who invents names gains nothing but the cost of making them.
pub(super) struct Names {
    make: fn(&Ruby, &str) -> Value,
    hasher: RandomState,
    cache: RefCell<Cache>,
}

// SAFETY: Ruby objects are reached under Ruby's lock only, on one thread at a time.
unsafe impl Send for Names {}

/// Two tables of the same length, so that the collector reads one without holes.
#[derive(Default)]
struct Cache {
    names: Vec<String>,
    values: Vec<Value>,
}

impl Names {
    /// A power of two.
    const ENTRIES: usize = 256;
    /// Longer names, in bytes, are made anew each time.
    const LENGTH: usize = 64;

    pub(super) fn strings() -> Self {
        Self::new(interned)
    }

    pub(super) fn symbols() -> Self {
        Self::new(|ruby, name| ruby.to_symbol(name).as_value())
    }

    fn new(make: fn(&Ruby, &str) -> Value) -> Self {
        Self { make, hasher: RandomState::default(), cache: RefCell::default() }
    }

    pub(super) fn get(&self, ruby: &Ruby, name: &str) -> Value {
        if name.len() > Self::LENGTH {
            return (self.make)(ruby, name);
        }
        let place = self.hasher.hash_one(name) as usize % Self::ENTRIES;
        let known = self.cache.borrow().find(place, name);
        known.unwrap_or_else(|| {
            // Not under a borrow: the collector may run.
            let value = (self.make)(ruby, name);
            self.cache.borrow_mut().put(place, name, value);
            value
        })
    }

    pub(super) fn mark(&self, marker: &gc::Marker) {
        marker.mark_slice(&self.cache.borrow().values);
    }
}

/// The String of this content that all of Ruby shares.
fn interned(_ruby: &Ruby, name: &str) -> Value {
    // A str is never longer than isize::MAX bytes.
    let length = name.len() as std::ffi::c_long;
    // SAFETY: Ruby copies the bytes, which are as many as it is told, and returns a String.
    unsafe { Value::from_raw(rb_sys::rb_enc_interned_str(name.as_ptr().cast(), length, rb_sys::rb_utf8_encoding())) }
}

impl Cache {
    fn find(&self, place: usize, name: &str) -> Option<Value> {
        // The empty String marks a free place, and is no name that must be quick.
        (!name.is_empty() && self.names.get(place)? == name).then(|| self.values[place])
    }

    fn put(&mut self, place: usize, name: &str, value: Value) {
        if self.names.is_empty() {
            self.names.resize(Names::ENTRIES, String::new());
            self.values.resize(Names::ENTRIES, value);
        }
        self.names[place].clear();
        self.names[place].push_str(name);
        self.values[place] = value;
    }
}
