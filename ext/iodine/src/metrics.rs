//! `Iodine::Base::Metrics`: the numbers that are counted below Ruby, and the memory that all processes count in.

use std::sync::atomic::AtomicU64;
use std::{ptr, slice};

use iodine_core::metrics::{self, Count, Sheet, WORDS};
use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, function};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Sheets: twice as many as there may be workers, for each may have a successor, and one of the master.
const SHEETS: usize = 1024;

/// Has this process and all that it will fork count in one piece of memory. Only what is used of it is taken from the
/// system.
fn share(ruby: &Ruby) -> Result<(), Error> {
    let words = SHEETS * WORDS;
    let flags = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, placed by the kernel, overlaps with nothing.
    let mapped = unsafe { mmap_anonymous(ptr::null_mut(), words * size_of::<AtomicU64>(), flags, MapFlags::SHARED) };
    let memory = mapped.map_err(|error| {
        Error::new(ruby.exception_runtime_error(), format!("there is no memory to count in: {error}"))
    })?;
    // SAFETY: the mapping is that long, aligned to a page, zeroed, and never unmapped. Atomics may be shared with whoever
    // has it, other processes included.
    metrics::share(unsafe { slice::from_raw_parts(memory.cast::<AtomicU64>(), words) });
    Ok(())
}

/// In a process that the application has forked: what it counts from now on, if anything, is nobody else's business.
/// There is new memory in the place of what it shares with its parent.
fn unshare() {
    let Some(memory) = metrics::shared() else { return };
    let (start, length) = (memory.as_ptr().cast_mut(), size_of_val(memory));
    let flags = MapFlags::SHARED | MapFlags::FIXED;
    // SAFETY: this replaces a whole mapping that `share` has made, by one of the same kind. All who have it keep valid
    // atomics, and no other thread runs: the process was forked just now.
    let mapped = unsafe { mmap_anonymous(start.cast(), length, ProtFlags::READ | ProtFlags::WRITE, flags) };
    if let Err(error) = mapped {
        log::error!("a forked process counts for its parent: {error}");
    }
}

fn count(ruby: &Ruby, name: &str) -> Result<Count, Error> {
    Count::named(name).ok_or_else(|| Error::new(ruby.exception_arg_error(), format!("there is no count {name}")))
}

fn get(ruby: &Ruby, sheet: usize, name: String) -> Result<u64, Error> {
    Ok(Sheet::numbered(sheet).get(count(ruby, &name)?))
}

fn set(ruby: &Ruby, sheet: usize, name: String, value: u64) -> Result<(), Error> {
    Sheet::numbered(sheet).set(count(ruby, &name)?, value);
    Ok(())
}

fn add(ruby: &Ruby, sheet: usize, name: String, amount: u64) -> Result<(), Error> {
    Sheet::numbered(sheet).add(count(ruby, &name)?, amount);
    Ok(())
}

fn begin(sheet: usize, pid: u64, now: u64) {
    Sheet::numbered(sheet).begin(pid, now);
}

fn end(sheet: usize) {
    Sheet::numbered(sheet).end();
}

fn requests(sheet: usize) -> u64 {
    Sheet::numbered(sheet).requests()
}

pub(crate) fn init(_ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let module = base.define_module("Metrics")?;
    module.define_singleton_method("share", function!(share, 0))?;
    module.define_singleton_method("unshare", function!(unshare, 0))?;
    module.define_singleton_method("measure_times", function!(metrics::measure_times, 0))?;
    module.define_singleton_method("get", function!(get, 2))?;
    module.define_singleton_method("set", function!(set, 3))?;
    module.define_singleton_method("add", function!(add, 3))?;
    module.define_singleton_method("begin", function!(begin, 3))?;
    module.define_singleton_method("finish", function!(end, 1))?;
    module.define_singleton_method("requests", function!(requests, 1))
}
