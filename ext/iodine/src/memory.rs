//! The allocators: what is free is given back, and not spread over more places than needed.

use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, function};

use crate::gvl;

#[cfg(feature = "mimalloc")]
unsafe extern "C" {
    /// Of mimalloc, whose crate declares no more than a global allocator needs.
    safe fn mi_collect(force: bool);
}

/// The server allocates with the system's allocator.
#[cfg(not(feature = "mimalloc"))]
fn mi_collect(_force: bool) {}

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

/// Has the threads of Ruby share so many arenas of glibc's allocator, where there would be one for each.
#[cfg(target_env = "gnu")]
fn limit_arenas(count: i32) {
    // SAFETY: sets a number that is looked at when a thread allocates for the first time. Ruby's lock is held, so nobody
    // else sets one.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, count) };
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: looks at free memory alone, under the locks of the allocator. Any thread may call it at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators have none.
#[cfg(not(target_env = "gnu"))]
fn limit_arenas(_count: i32) {}

/// Only glibc keeps so much that it has to be asked.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

pub(crate) fn init(_ruby: &Ruby, base: RModule) -> Result<(), Error> {
    base.define_singleton_method("release_memory", function!(release, 0))?;
    base.define_singleton_method("limit_arenas", function!(limit_arenas, 1))
}
