//! Lines to a log that somebody may have stopped reading: a terminal that was halted, a pipe to a process that hangs.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};
use rustix::pipe::PIPE_BUF;

/// Writes lines one by one, and never waits for the reader: what finds no room is counted instead, and the count is told
/// when there is room again.
#[derive(Debug, Default)]
pub struct LineWriter {
    dropped: AtomicUsize,
}

impl LineWriter {
    /// A writer that has dropped nothing.
    pub const fn new() -> Self {
        Self { dropped: AtomicUsize::new(0) }
    }

    /// Writes a line, which has its end, in one piece. Of a longer one than a pipe takes at once, 4 KiB on Linux, the end
    /// is left out.
    pub fn write(&self, out: impl AsFd, line: &str) {
        if !has_room(&out) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // A closed log is no reason to stop.
        let _ = match self.dropped.swap(0, Ordering::Relaxed) {
            0 => write_shortened(out, line),
            dropped => write_shortened(out, &(dropped_lines("log", dropped) + line)),
        };
    }
}

/// What the log says of lines that are not in it.
pub(crate) fn dropped_lines(log: &str, count: usize) -> String {
    format!("WARNING: {count} lines of the {log} were dropped: nobody read them in time\n")
}

/// Cuts `lines` into pieces that a pipe takes undivided, so that several processes may write to one (write(2)). A line
/// that is longer is a piece of its own.
pub(crate) fn pieces(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let whole = memchr::memrchr(b'\n', &rest[..rest.len().min(PIPE_BUF)]);
        let end = whole.or_else(|| memchr::memchr(b'\n', rest)).map_or(rest.len(), |at| at + 1);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}

/// Whether a write of `PIPE_BUF` bytes would not have to wait. True for what is no pipe, terminal or socket.
fn has_room(out: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(out, PollFlags::OUT)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(ready) => ready > 0,
        Err(_) => false,
    }
}

fn write_shortened(out: impl AsFd, line: &str) -> Result<(), Errno> {
    if line.len() <= PIPE_BUF {
        return write_once(out, line.as_bytes());
    }
    let end = (0..PIPE_BUF).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    write_once(out, format!("{}\n", &line[..end]).as_bytes())
}

fn write_once(out: impl AsFd, bytes: &[u8]) -> Result<(), Errno> {
    loop {
        match write(&out, bytes) {
            Err(Errno::INTR) => {}
            written => return written.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_finds_no_room_is_counted_and_told_later() {
        let (mut reader, out) = std::io::pipe().unwrap();
        let writer = LineWriter::new();
        let line = format!("{}\n", "x".repeat(1023));
        // Far more than a pipe holds: this would wait for ever.
        for _ in 0..4096 {
            writer.write(&out, &line);
        }
        let dropped = writer.dropped.load(Ordering::Relaxed);
        assert!(dropped > 0);
        let mut written = vec![0; (4096 - dropped) * line.len()];
        reader.read_exact(&mut written).unwrap();
        assert!(written.chunks(line.len()).all(|chunk| chunk == line.as_bytes()));
        writer.write(&out, "again\n");
        drop(out);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, format!("{}again\n", dropped_lines("log", dropped)));
    }

    #[test]
    fn long_lines_are_shortened() {
        for length in [PIPE_BUF - 1, PIPE_BUF, PIPE_BUF + 1, 3 * PIPE_BUF] {
            let (mut reader, out) = std::io::pipe().unwrap();
            LineWriter::new().write(&out, &format!("{}\n", "\u{e9}".repeat(length / 2)));
            drop(out);
            let mut written = String::new();
            reader.read_to_string(&mut written).unwrap();
            assert!(written.ends_with("\u{e9}\n") && written.len() <= PIPE_BUF, "{length}");
        }
    }

    #[test]
    fn a_closed_log_is_no_error() {
        let (reader, out) = std::io::pipe().unwrap();
        drop(reader);
        LineWriter::new().write(&out, "nobody\n");
    }

    #[test]
    fn pieces_end_with_lines_and_fit_into_a_pipe() {
        let lines: Vec<u8> = (0..2000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
        assert!(pieces(&lines).all(|piece| piece.ends_with(b"\n") && piece.len() <= PIPE_BUF));
        assert_eq!(pieces(&lines).collect::<Vec<_>>().concat(), lines);
        let long = [&b"a\n"[..], &vec![b'x'; 2 * PIPE_BUF], b"\nb\n"].concat();
        assert_eq!(pieces(&long).map(<[u8]>::len).collect::<Vec<_>>(), [2, 2 * PIPE_BUF + 1, 2]);
        assert_eq!(pieces(b"no end").collect::<Vec<_>>(), [b"no end"]);
        assert_eq!(pieces(b"").count(), 0);
    }
}
