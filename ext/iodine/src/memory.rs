//! Gives memory back that was needed at some time, and is not any more.

use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, function};

use crate::gvl;

unsafe extern "C" {
    /// Of mimalloc, whose crate declares no more than a global allocator needs.
    safe fn mi_collect(force: bool);
}

/// Has both allocators, that of the server and that of Ruby, give back to the system what is free. It takes
/// milliseconds, in which Ruby runs on.
fn release(ruby: &Ruby) {
    gvl::uninterrupted(ruby, || {
        // What other threads have allocated, and is free, is theirs to give back: this thread should be one that has
        // run the reactor.
        mi_collect(true);
        trim();
    });
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: looks at free memory alone, under the locks of the allocator. Any thread may call it at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Only glibc keeps so much that it has to be asked.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

pub(crate) fn init(_ruby: &Ruby, base: RModule) -> Result<(), Error> {
    base.define_singleton_method("release_memory", function!(release, 0))
}
