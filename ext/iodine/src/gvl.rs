//! Letting go of Ruby's global VM lock, and taking Ruby's interrupts.
//!
//! The only place that calls `rb_thread_call_without_gvl2`. With an unblock function, so that signals, `Thread#kill` and
//! `Timeout` reach a thread that waits in Rust; only [`uninterrupted`], whose work is bounded, has none.

use std::cell::{RefCell, RefMut};
use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use magnus::{Error, Ruby};

/// Runs `work` without the lock; other Ruby threads run meanwhile. `unblock` is called, from any thread, to make
/// `work` come back early.
///
/// `None`: an interrupt was pending and `work` did not run. Call [`check_interrupts`] after every early return.
pub(crate) fn without<T, W, U>(_ruby: &Ruby, work: W, unblock: U) -> Option<T>
where
    W: FnOnce() -> T,
    U: Fn() + Sync,
{
    let mut task = Task { work: Some(work), result: None };
    // SAFETY: the `Ruby` token proves that this thread holds the lock. Both pointers outlive the call, which returns
    // only after `run` has, and Ruby calls `unblock` only while `run` is running. `run` does not unwind.
    unsafe {
        rb_sys::rb_thread_call_without_gvl2(
            Some(run::<T, W>),
            (&raw mut task).cast(),
            Some(interrupt::<U>),
            (&raw const unblock).cast_mut().cast(),
        );
    }
    match task.result? {
        Ok(value) => Some(value),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs `work` to its end whatever is pending: what must not be left out, and takes a bounded time. Without the lock, unless
/// an interrupt is there already.
pub(crate) fn uninterrupted<T>(ruby: &Ruby, work: impl Fn() -> T) -> T {
    without(ruby, &work, || ()).unwrap_or_else(&work)
}

/// Runs what Ruby has for this thread: trap handlers, `Thread#raise`, `Thread#kill`.
///
/// # Errors
/// When that raises or ends the thread; to be returned to Ruby.
pub(crate) fn check_interrupts(_ruby: &Ruby) -> Result<(), Error> {
    magnus::rb_sys::protect(|| {
        // SAFETY: the lock is held, and a jump out of here is caught by `protect`; no Rust value is in between.
        unsafe { rb_sys::rb_thread_check_ints() };
        rb_sys::Qnil as rb_sys::VALUE
    })
    .map(drop)
}

/// Waits until `fd` can be read. Of all ways to wait without the lock this is the one in which Ruby itself looks for
/// signals, whatever its other threads do: the one for the main thread, which may have to wait for long.
///
/// # Errors
/// When an interrupt raises or ends the thread; to be returned to Ruby.
pub(crate) fn wait_readable(_ruby: &Ruby, fd: BorrowedFd<'_>) -> Result<(), Error> {
    magnus::rb_sys::protect(|| {
        // SAFETY: the lock is held, the descriptor is borrowed for as long as the call lasts, and a jump out of here is
        // caught by `protect`; no Rust value is in between.
        unsafe { rb_sys::rb_thread_wait_fd(fd.as_raw_fd()) };
        rb_sys::Qnil as rb_sys::VALUE
    })
    .map(drop)
}

/// Forgets a jump, the end of a thread, that has to wait for its turn or goes no further. What is left of it in `$!` is
/// no exception, and the next one that is raised would trip over it.
pub(crate) fn forget_jump(_ruby: &Ruby) {
    // SAFETY: the lock is held, and nil is what `$!` is when nothing was raised.
    unsafe { rb_sys::rb_set_errinfo(rb_sys::Qnil as rb_sys::VALUE) };
}

struct Task<T, W> {
    work: Option<W>,
    result: Option<thread::Result<T>>,
}

unsafe extern "C" fn run<T, W: FnOnce() -> T>(task: *mut c_void) -> *mut c_void {
    // SAFETY: `without` passes its own `Task<T, W>`, and waits for us.
    let task = unsafe { &mut *task.cast::<Task<T, W>>() };
    task.result = task.work.take().map(|work| catch_unwind(AssertUnwindSafe(work)));
    ptr::null_mut()
}

unsafe extern "C" fn interrupt<U: Fn() + Sync>(unblock: *mut c_void) {
    // SAFETY: `without` passes its own `U`, which is shared between threads (`Sync`) and lives while `run` runs.
    let unblock = unsafe { &*unblock.cast::<U>() };
    // A panic must not unwind into Ruby; without the wake-up the thread comes back when its work is done.
    let _ = catch_unwind(AssertUnwindSafe(unblock));
}

/// Data that only the holder of the lock may touch.
pub(crate) struct GvlCell<T>(RefCell<T>);

// SAFETY: `get` asks for the `Ruby` token, which exists only on the thread that holds the lock, and the borrow cannot
// outlive it.
unsafe impl<T: Send> Sync for GvlCell<T> {}

impl<T> GvlCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// The data. Call nothing that may run Ruby code while it is borrowed.
    pub(crate) fn get<'a>(&'a self, _ruby: &'a Ruby) -> RefMut<'a, T> {
        self.0.borrow_mut()
    }
}
