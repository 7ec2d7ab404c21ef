//! Calling `each` with a Rust closure for its block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue, protect, resume_error};
use magnus::typed_data::Obj;
use magnus::{Error, RModule, Ruby, Value};

use crate::class;

/// What the block does with the first argument of a yield.
type Block<'a> = &'a mut dyn FnMut(&Ruby, Value) -> Result<(), Error>;

/// Calls `object.each`, and `block` with the first argument of every yield.
///
/// # Errors
/// What `each` raises, or what `block` returns as an error: that stops the iteration, `ensure` clauses run.
pub(super) fn each(ruby: &Ruby, object: Value, mut block: Block<'_>) -> Result<(), Error> {
    let name = ruby.to_symbol("each").as_raw();
    let yielder = ruby.obj_wrap(Yielder(Mutex::new(Some(Pointer((&raw mut block).cast())))));
    let result = protect(|| {
        // SAFETY: the lock is held. `yielder` is on this stack for as long as the iteration lasts, and Ruby keeps it
        // for as long as it keeps the block. Nothing that needs to be dropped is between here and `protect`.
        unsafe {
            rb_sys::rb_block_call(
                object.as_raw(),
                rb_sys::rb_sym2id(name),
                0,
                std::ptr::null(),
                Some(yielded),
                yielder.as_value().as_raw(),
            )
        }
    });
    // The object may have kept the block: from now on it leads nowhere.
    yielder.take();
    result.map(drop)
}

/// Leads from the Ruby block, which may outlive the call of `each`, to the closure, which does not.
#[magnus::wrap(class = "Iodine::Base::Yielder", free_immediately)]
struct Yielder(Mutex<Option<Pointer>>);

/// The address of `each`'s own block.
#[derive(Clone, Copy)]
struct Pointer(*mut Block<'static>);

// SAFETY: it is followed only while it is out of its `Yielder`, which it is once at a time, and put there and taken
// away for good by the thread that waits for the iteration.
unsafe impl Send for Pointer {}

impl Yielder {
    /// The way to the closure, which is closed until it is put back. `None` while a yield is going on, and after the
    /// iteration.
    fn take(&self) -> Option<Pointer> {
        self.lock().take()
    }

    fn put_back(&self, pointer: Pointer) {
        *self.lock() = Some(pointer);
    }

    fn call(&self, ruby: &Ruby, value: Value) -> Result<(), Error> {
        let Some(pointer) = self.take() else {
            let message = "the block of a response body was called after each had returned, or twice at a time";
            return Err(Error::new(ruby.exception_runtime_error(), message));
        };
        let result = {
            // SAFETY: the pointer was in place, so `each` has not returned, and nobody else has it now.
            let block = unsafe { &mut *pointer.0 };
            catch_unwind(AssertUnwindSafe(|| block(ruby, value)))
        };
        self.put_back(pointer);
        result.unwrap_or_else(|_| Err(Error::new(ruby.exception_fatal(), "the server panicked while it wrote a body")))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Pointer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

unsafe extern "C" fn yielded(
    argument: rb_sys::VALUE,
    yielder: rb_sys::VALUE,
    _count: i32,
    _arguments: *const rb_sys::VALUE,
    _block: rb_sys::VALUE,
) -> rb_sys::VALUE {
    let result = {
        // SAFETY: Ruby calls us on a thread that holds the lock, with the object that `each` gave it.
        let (ruby, value, yielder) =
            unsafe { (Ruby::get_unchecked(), Value::from_raw(argument), Value::from_raw(yielder)) };
        Obj::<Yielder>::try_convert(yielder).and_then(|yielder| yielder.call(&ruby, value))
    };
    match result {
        Ok(()) => rb_sys::Qnil as rb_sys::VALUE,
        // SAFETY: all Rust values of this frame are dropped; the jump ends in the `protect` of whoever called.
        Err(error) => unsafe { resume_error(error) },
    }
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Yielder>(ruby, base, "Yielder")?;
    class.undef_default_alloc_func();
    Ok(())
}
