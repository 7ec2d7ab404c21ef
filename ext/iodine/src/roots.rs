//! Ruby values that Rust keeps: marked and pinned until their handle is dropped, on whatever thread.

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{DataTypeFunctions, Error, RModule, RString, Ruby, TypedData, Value, gc};
use slab::Slab;

use crate::class;

static KEPT: Mutex<Slab<rb_sys::VALUE>> = Mutex::new(Slab::new());

/// Never held across a call into Ruby, so the collector, which takes it in `mark`, cannot meet its own thread here.
fn kept() -> MutexGuard<'static, Slab<rb_sys::VALUE>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a Ruby value alive and in its place.
pub(crate) struct Root {
    entry: usize,
    /// That of the entry, for a look without the lock.
    value: rb_sys::VALUE,
}

impl Root {
    pub(crate) fn new(value: Value) -> Self {
        let value = value.as_raw();
        Self { entry: kept().insert(value), value }
    }

    /// The value. The token proves that the lock is held, so that the collector does not run meanwhile.
    pub(crate) fn value(&self, _ruby: &Ruby) -> Value {
        // SAFETY: taken from a `Value`, which is marked and pinned since, because its entry belongs to this handle.
        unsafe { Value::from_raw(self.value) }
    }

    /// Whether it keeps this very object.
    pub(crate) fn is(&self, value: Value) -> bool {
        self.value == value.as_raw()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        kept().remove(self.entry);
    }
}

/// Strings from this size on are not copied: below it a copy is cheaper than to keep the String.
pub(crate) const SHARED_FROM: usize = 16 << 10;

/// The bytes of a String, not copied: for a socket to write while Ruby goes on.
pub(crate) fn shared_bytes(string: RString) -> Bytes {
    // A frozen copy shares the content; when the application changes its String later, Ruby gives that one new memory.
    let frozen = RString::new_frozen(string);
    // SAFETY: the content of a frozen String is never changed, and the root keeps it alive and in its place.
    let content: &'static [u8] = unsafe { slice::from_raw_parts(frozen.as_slice().as_ptr(), frozen.len()) };
    Bytes::from_owner(FrozenString { content, _root: Root::new(frozen.as_value()) })
}

struct FrozenString {
    content: &'static [u8],
    _root: Root,
}

impl AsRef<[u8]> for FrozenString {
    fn as_ref(&self) -> &[u8] {
        self.content
    }
}

/// The one Ruby object that the collector asks for all kept values.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::Roots", mark)]
struct Roots;

impl DataTypeFunctions for Roots {
    fn mark(&self, marker: &gc::Marker) {
        for (_, &value) in kept().iter() {
            // SAFETY: entries are valid values; see `Root::value`.
            marker.mark(unsafe { Value::from_raw(value) });
        }
    }
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Roots>(ruby, base, "Roots")?;
    class.undef_default_alloc_func();
    ruby.gc_register_mark_object(ruby.obj_wrap(Roots));
    Ok(())
}
