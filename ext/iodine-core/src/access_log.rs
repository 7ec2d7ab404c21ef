//! The request log: a line a response, on stderr.
//!
//! The reactor only appends to a buffer; a thread of its own writes it. A log pipe that nobody reads fills the buffer
//! up to its bound, and what does not fit is counted and reported when the pipe moves again: requests never wait for it.

mod line;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use iodine_proto::http1::Head;

use crate::line_writer::{dropped_lines, pieces};
use line::write_line;

/// Bytes of lines that may wait for the pipe.
const BOUND: usize = 1 << 20;
/// Lines are gathered for so long before they are written, so that a busy server writes them in few system calls.
const GATHER: Duration = Duration::from_millis(5);
/// How long the last lines are waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `PEER - - [DATE] "METHOD PATH VERSION" STATUS BYTESb MSms`, as iodine 0.7 wrote it.
    Iodine,
    /// The Common Log Format, and the seconds the response took.
    Common,
    /// The Combined Log Format (referrer and user agent), and the seconds.
    Combined,
    /// A JSON object.
    Json,
}

impl LogFormat {
    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "iodine" => Some(Self::Iodine),
            "common" => Some(Self::Common),
            "combined" => Some(Self::Combined),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What there is to be said about a response.
pub(crate) struct Entry<'a> {
    pub(crate) peer: &'a str,
    /// `None`: the request was refused before it had a head.
    pub(crate) head: Option<&'a Head>,
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) length: u64,
    pub(crate) duration: Duration,
}

/// The reactor's end.
#[derive(Default)]
pub(crate) struct AccessLog {
    /// Lines of this turn.
    lines: Vec<u8>,
    count: usize,
    sink: Option<Arc<Sink>>,
}

impl AccessLog {
    /// Adds a line to those of the turn.
    pub(crate) fn add(&mut self, format: LogFormat, entry: &Entry<'_>) {
        write_line(format, entry, &mut self.lines);
        self.count += 1;
    }

    /// The turn is over: its lines go to the writer.
    pub(crate) fn flush(&mut self) {
        if self.count > 0 {
            self.sink.get_or_insert_with(Sink::start).take(&mut self.lines, self.count);
            self.count = 0;
        }
    }

    /// Waits until all lines are written, a second at most.
    pub(crate) fn finish(&mut self) {
        self.flush();
        if let Some(sink) = self.sink.take() {
            sink.finish();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Lines on their way to stderr.
#[derive(Default)]
struct Sink {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: usize,
    /// The writer sleeps until there is something.
    idle: bool,
    closed: bool,
    written: bool,
}

impl Sink {
    fn start() -> Arc<Self> {
        let sink = Arc::new(Self::default());
        let writer = Arc::clone(&sink);
        let spawned = thread::Builder::new().name("iodine-log".into()).spawn(move || writer.write_all(io::stderr()));
        if let Err(error) = spawned {
            log::error!("the request log has no thread to write it: {error}");
        }
        sink
    }

    fn take(&self, lines: &mut Vec<u8>, count: usize) {
        let mut waiting = self.lock();
        if waiting.lines.len() + lines.len() > BOUND {
            waiting.dropped += count;
        } else {
            waiting.lines.extend_from_slice(lines);
        }
        lines.clear();
        if std::mem::take(&mut waiting.idle) {
            self.changed.notify_all();
        }
    }

    /// The writer's thread.
    fn write_all(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        while self.next(&mut lines) {
            for piece in pieces(&lines) {
                // Nobody reads the log any more: that is no reason to stop serving.
                let _ = out.write_all(piece);
            }
            lines.clear();
        }
        self.lock().written = true;
        self.changed.notify_all();
    }

    fn next(&self, lines: &mut Vec<u8>) -> bool {
        let mut waiting = self.lock();
        while waiting.lines.is_empty() && waiting.dropped == 0 && !waiting.closed {
            waiting.idle = true;
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.closed {
            waiting = self.changed.wait_timeout(waiting, GATHER).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut waiting.lines, lines);
        let dropped = std::mem::take(&mut waiting.dropped);
        if dropped > 0 {
            lines.extend_from_slice(dropped_lines("request log", dropped).as_bytes());
        }
        !lines.is_empty() || !waiting.closed
    }

    /// Lets the writer come to its end.
    fn finish(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.changed.notify_all();
        let deadline = Instant::now() + LAST_WORDS;
        while !waiting.written {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_counted() {
        let sink = Sink::default();
        let mut lines = vec![b'x'; BOUND];
        sink.take(&mut lines, 3);
        lines.push(b'y');
        sink.take(&mut lines, 2);
        assert!(lines.is_empty());
        sink.lock().closed = true;
        assert!(sink.next(&mut lines));
        let text = String::from_utf8(lines.split_off(BOUND)).unwrap();
        assert_eq!(text, "WARNING: 2 lines of the request log were dropped: nobody read them in time\n");
    }

    #[test]
    fn the_last_lines_are_written_before_the_end() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::new(Sink::default());
        let (writer, out) = (Arc::clone(&sink), Shared(Arc::clone(&written)));
        let thread = thread::spawn(move || writer.write_all(out));
        sink.take(&mut b"first\n".to_vec(), 1);
        sink.take(&mut b"last\n".to_vec(), 1);
        sink.finish();
        assert_eq!(*written.lock().unwrap(), b"first\nlast\n");
        thread.join().unwrap();
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
