//! Calling `each` with a Rust closure for its block.

use std::panic::{AssertUnwindSafe, catch_unwind};

use magnus::rb_sys::{AsRawValue, FromRawValue, protect, resume_error};
use magnus::{Error, Ruby, Value};

/// Calls `object.each`, and `block` with the first argument of every yield.
///
/// # Errors
/// What `each` raises, or what `block` returns as an error: that stops the iteration, `ensure` clauses run.
pub(super) fn each(
    ruby: &Ruby,
    object: Value,
    block: &mut dyn FnMut(&Ruby, Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let name = ruby.to_symbol("each").as_raw();
    let mut block = block;
    let data = (&raw mut block) as rb_sys::VALUE;
    protect(|| {
        // SAFETY: `data` points to `block`, which lives until `rb_block_call` has returned or jumped. Nothing that
        // needs to be dropped is between here and `protect`.
        unsafe {
            rb_sys::rb_block_call(object.as_raw(), rb_sys::rb_sym2id(name), 0, std::ptr::null(), Some(yielded), data)
        }
    })
    .map(drop)
}

unsafe extern "C" fn yielded(
    argument: rb_sys::VALUE,
    data: rb_sys::VALUE,
    _count: i32,
    _arguments: *const rb_sys::VALUE,
    _block: rb_sys::VALUE,
) -> rb_sys::VALUE {
    let result = {
        // SAFETY: `each` passes the address of its own block, and waits for the iteration. Ruby calls us on a thread
        // that holds the lock.
        let (ruby, block, value) = unsafe {
            let block = &mut *(data as *mut &mut dyn FnMut(&Ruby, Value) -> Result<(), Error>);
            (Ruby::get_unchecked(), block, Value::from_raw(argument))
        };
        catch_unwind(AssertUnwindSafe(|| block(&ruby, value)))
            .unwrap_or_else(|_| Err(Error::new(ruby.exception_fatal(), "the server panicked while it wrote a body")))
    };
    match result {
        Ok(()) => rb_sys::Qnil as rb_sys::VALUE,
        // SAFETY: all Rust values of this frame are dropped; the jump ends in the `protect` of `each`.
        Err(error) => unsafe { resume_error(error) },
    }
}
