//! What a process says before it is killed in which Ruby does not run, for C code keeps Ruby's lock: where its threads
//! are. Nobody but a signal handler can tell.

use std::io;

use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, function};

/// Has this process tell when it is asked.
fn prepare() {
    report(signal::prepare());
}

/// This process has told by itself.
fn spare() {
    report(signal::ignore());
}

/// Asks a process that was prepared. What it says is in its standard error a moment later.
fn ask(process: i32) {
    signal::ask(process);
}

fn report(done: io::Result<()>) {
    if let Err(error) = done {
        log::error!("what this process does when it hangs cannot be asked: {error}");
    }
}

#[cfg(target_os = "linux")]
mod signal {
    use std::ffi::c_int;
    use std::io::{self, Cursor, Write};
    use std::{fs, mem, ptr, slice};

    /// Calls that are told of each thread, the innermost first.
    const CALLS: usize = 40;

    /// One that has no other use: the last of those that have none by themselves.
    fn signal() -> c_int {
        libc::SIGRTMAX()
    }

    pub(super) fn prepare() -> io::Result<()> {
        act(tell as extern "C" fn(c_int) as libc::sighandler_t)
    }

    pub(super) fn ignore() -> io::Result<()> {
        act(libc::SIG_IGN)
    }

    fn act(handler: libc::sighandler_t) -> io::Result<()> {
        // SAFETY: an action of zeros is one without flags that blocks nothing more; `tell` has the type for that.
        let done = unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = handler;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal(), &raw const action, ptr::null_mut())
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Each thread is asked by itself: none knows what another one does.
    pub(super) fn ask(process: i32) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse::<c_int>().ok()) {
            // SAFETY: sends a signal. Should the thread be gone, that is an error of no interest.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal()) };
        }
    }

    /// The handler. It allocates nothing and takes no lock: the thread may be anywhere.
    extern "C" fn tell(_: c_int) {
        // SAFETY: the place of this thread's errno, which what was interrupted may be about to read.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        let before = unsafe { *errno };
        // SAFETY: looks at a thread-local variable.
        if unsafe { rb_sys::ruby_native_thread_p() } != 0 {
            let mut text = Cursor::new([0; 4096]);
            // What has no room is left out.
            let _ = describe(&mut text);
            let length = text.position() as usize;
            // SAFETY: so many bytes are there.
            unsafe { libc::write(libc::STDERR_FILENO, text.get_ref().as_ptr().cast(), length) };
        }
        // SAFETY: as above.
        unsafe { *errno = before };
    }

    fn describe(out: &mut impl Write) -> io::Result<()> {
        let (mut frames, mut lines) = ([0; CALLS], [0; CALLS]);
        // SAFETY: this is a thread of Ruby's, whose calls stay what they are while the handler runs. The function looks
        // at them without allocating, and fills so many entries.
        let found = unsafe { rb_sys::rb_profile_frames(0, CALLS as c_int, frames.as_mut_ptr(), lines.as_mut_ptr()) };
        // SAFETY: these ask for numbers.
        let (process, thread) = unsafe { (libc::getpid(), libc::syscall(libc::SYS_gettid)) };
        write!(out, "ERROR: ({process}) thread {thread} is here:")?;
        for (&frame, line) in frames.iter().zip(lines).take(usize::try_from(found).unwrap_or(0)) {
            // SAFETY: a frame of the list. Both return a String that the program has, or nil for what C code is.
            let (path, label) =
                unsafe { (rb_sys::rb_profile_frame_path(frame), rb_sys::rb_profile_frame_base_label(frame)) };
            if path != nil() {
                out.write_all(b"\n\t")?;
                out.write_all(bytes(path))?;
                write!(out, ":{line}:in ")?;
                out.write_all(bytes(label))?;
            }
        }
        out.write_all(b"\n")
    }

    fn nil() -> rb_sys::VALUE {
        rb_sys::Qnil as rb_sys::VALUE
    }

    /// The content of a String; that of nil is empty.
    fn bytes<'a>(string: rb_sys::VALUE) -> &'a [u8] {
        if string == nil() {
            return b"";
        }
        // SAFETY: a live String, which nobody changes: the thread that could is in this handler.
        unsafe { slice::from_raw_parts(rb_sys::RSTRING_PTR(string).cast(), rb_sys::RSTRING_LEN(string) as usize) }
    }
}

/// Threads cannot be asked one by one.
#[cfg(not(target_os = "linux"))]
mod signal {
    pub(super) fn prepare() -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn ignore() -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn ask(_process: i32) {}
}

pub(crate) fn init(_ruby: &Ruby, base: RModule) -> Result<(), Error> {
    base.define_singleton_method("prepare_last_words", function!(prepare, 0))?;
    base.define_singleton_method("spare_last_words", function!(spare, 0))?;
    base.define_singleton_method("ask_last_words", function!(ask, 1))
}
