//! The end of a worker that does not leave though its master is gone. A thread of Ruby's could not bring it about: C code
//! may keep Ruby's lock.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, function};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, getpid, kill_process};

/// Ends this process at once when it is still there so many seconds after the end of a pipe: that of the descriptor,
/// into which nobody writes.
///
/// # Errors
/// `IOError` when there is no descriptor, or no thread, left.
fn leave_after(ruby: &Ruby, line: i32, seconds: f64) -> Result<(), Error> {
    let failed = |reason: &dyn std::fmt::Display| {
        Error::new(ruby.exception_io_error(), format!("the end of the master cannot be waited for: {reason}"))
    };
    let grace = Duration::try_from_secs_f64(seconds).map_err(|error| failed(&error))?;
    // SAFETY: the caller has the pipe open, and it is asked for a copy alone, here and now.
    let line = unsafe { BorrowedFd::borrow_raw(line) }.try_clone_to_owned().map_err(|error| failed(&error))?;
    thread::Builder::new()
        .name("iodine-life-line".into())
        .spawn(move || follow(&line, grace))
        .map_err(|error| failed(&error))?;
    Ok(())
}

fn follow(line: &OwnedFd, grace: Duration) {
    if let Err(error) = wait_for_end(line) {
        return log::error!("the end of the master cannot be waited for: {error}");
    }
    thread::sleep(grace);
    log::error!("({}) the master is gone, and this worker hangs: it ends at once.", getpid().as_raw_nonzero());
    if let Err(error) = kill_process(getpid(), Signal::KILL) {
        log::error!("it could not be ended: {error}");
    }
}

fn wait_for_end(line: &OwnedFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(line, PollFlags::IN)], None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn init(_ruby: &Ruby, base: RModule) -> Result<(), Error> {
    base.define_singleton_method("leave_after", function!(leave_after, 2))
}
