//! The request log: a line a response, on stderr.
//!
//! The reactor only appends to a buffer; a thread of its own writes it. A log pipe that nobody reads fills the buffer
//! up to its bound, and what does not fit is counted and reported when the pipe moves again: requests never wait for it.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use iodine_proto::http1::Head;

use crate::date;

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
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
        if let Some(sink) = &self.sink {
            sink.finish();
        }
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
            // Nobody reads the log any more: that is no reason to stop serving.
            let _ = out.write_all(&lines);
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
            lines.extend_from_slice(
                format!("WARNING: {dropped} lines of the request log were dropped: nobody read them in time\n")
                    .as_bytes(),
            );
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

fn write_line(format: LogFormat, entry: &Entry<'_>, out: &mut Vec<u8>) {
    match format {
        LogFormat::Iodine => write_iodine(entry, out),
        LogFormat::Common => write_common(entry, out),
        LogFormat::Combined => {
            write_common(entry, out);
            for name in ["referer", "user-agent"] {
                out.extend_from_slice(b" \"");
                push_escaped(entry.head.and_then(|head| head.field(name)).unwrap_or(b"-"), out);
                out.push(b'"');
            }
        }
        LogFormat::Json => return write_json(entry, out),
    }
    if format != LogFormat::Iodine {
        push_text(out, format_args!(" {:.6}", entry.duration.as_secs_f64()));
    }
    out.push(b'\n');
}

fn write_iodine(entry: &Entry<'_>, out: &mut Vec<u8>) {
    push_text(out, format_args!("{} - - [", entry.peer));
    out.extend_from_slice(&date::now());
    out.extend_from_slice(b"] \"");
    push_request(entry.head, false, out);
    push_text(out, format_args!("\" {} ", entry.status));
    match entry.length {
        0 => out.extend_from_slice(b"--"),
        length => push_text(out, format_args!("{length}b")),
    }
    push_text(out, format_args!(" {}ms", entry.duration.as_millis()));
}

fn write_common(entry: &Entry<'_>, out: &mut Vec<u8>) {
    push_text(out, format_args!("{} - - [", entry.peer));
    out.extend_from_slice(&clf_date(&date::now()));
    out.extend_from_slice(b"] \"");
    push_request(entry.head, true, out);
    push_text(out, format_args!("\" {} {}", entry.status, entry.length));
}

fn write_json(entry: &Entry<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&iso_date(&date::now()));
    for (name, value) in [
        ("peer", Some(entry.peer.as_bytes())),
        ("method", entry.head.map(Head::method)),
        ("path", entry.head.map(Head::path)),
        ("query", entry.head.map(Head::query)),
        ("version", entry.head.map(|head| head.version().as_str().as_bytes())),
        ("host", entry.head.map(Head::authority)),
        ("referer", entry.head.and_then(|head| head.field("referer"))),
        ("user_agent", entry.head.and_then(|head| head.field("user-agent"))),
    ] {
        if let Some(value) = value {
            push_text(out, format_args!("\",\"{name}\":\""));
            push_json(value, out);
        }
    }
    let seconds = entry.duration.as_secs_f64();
    push_text(
        out,
        format_args!("\",\"status\":{},\"bytes\":{},\"seconds\":{seconds:.6}}}\n", entry.status, entry.length),
    );
}

/// `METHOD PATH VERSION`; a request that was refused without a head is `-`.
fn push_request(head: Option<&Head>, with_query: bool, out: &mut Vec<u8>) {
    let Some(head) = head else { return out.push(b'-') };
    push_escaped(head.method(), out);
    out.push(b' ');
    push_escaped(head.path(), out);
    if with_query && !head.query().is_empty() {
        out.push(b'?');
        push_escaped(head.query(), out);
    }
    out.push(b' ');
    out.extend_from_slice(head.version().as_str().as_bytes());
}

/// `23/Nov/2026:07:25:04 +0000` of `Mon, 23 Nov 2026 07:25:04 GMT`.
fn clf_date(date: &[u8; 29]) -> [u8; 26] {
    let mut clf = *b"dd/Mmm/yyyy:hh:mm:ss +0000";
    clf[..2].copy_from_slice(&date[5..7]);
    clf[3..6].copy_from_slice(&date[8..11]);
    clf[7..11].copy_from_slice(&date[12..16]);
    clf[12..20].copy_from_slice(&date[17..25]);
    clf
}

/// `2026-11-23T07:25:04Z` of `Mon, 23 Nov 2026 07:25:04 GMT` (RFC 3339).
fn iso_date(date: &[u8; 29]) -> [u8; 20] {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.chunks(3).position(|name| name == &date[8..11]).map_or(0, |index| index as u8 + 1);
    let mut iso = *b"yyyy-mm-ddThh:mm:ssZ";
    iso[..4].copy_from_slice(&date[12..16]);
    iso[5..7].copy_from_slice(&[b'0' + month / 10, b'0' + month % 10]);
    iso[8..10].copy_from_slice(&date[5..7]);
    iso[11..19].copy_from_slice(&date[17..25]);
    iso
}

fn push_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// Peers choose these bytes: nothing of them may end the line, the field, or steer a terminal.
fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => push_text(out, format_args!("\\x{byte:02X}")),
        }
    }
}

/// The same for JSON (RFC 8259, 7). Bytes that are no ASCII stand for the characters of their numbers.
fn push_json(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => push_text(out, format_args!("\\u{byte:04x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iodine_proto::http1::{HeadLimits, HeadReader};

    fn head(request: &str) -> Head {
        let mut head = Head::default();
        HeadReader::new(HeadLimits::default()).read(request.as_bytes(), &mut head).unwrap().unwrap();
        head
    }

    fn line(format: LogFormat, head: Option<&Head>, length: u64) -> String {
        let mut out = Vec::new();
        let duration = Duration::from_micros(1234);
        write_line(format, &Entry { peer: "127.0.0.1", head, status: 200, length, duration }, &mut out);
        let date = String::from_utf8(date::now().to_vec()).unwrap();
        let clf = String::from_utf8(clf_date(&date::now()).to_vec()).unwrap();
        let iso = String::from_utf8(iso_date(&date::now()).to_vec()).unwrap();
        String::from_utf8(out).unwrap().replace(&date, "DATE").replace(&clf, "CLF").replace(&iso, "ISO")
    }

    #[test]
    fn each_format_has_its_line() {
        let head =
            head("GET /x?y=1 HTTP/1.1\r\nHost: example.com:80\r\nUser-Agent: a \"b\"\r\nReferer: http://r/\r\n\r\n");
        for (format, expected) in [
            (LogFormat::Iodine, "127.0.0.1 - - [DATE] \"GET /x HTTP/1.1\" 200 14b 1ms\n"),
            (LogFormat::Common, "127.0.0.1 - - [CLF] \"GET /x?y=1 HTTP/1.1\" 200 14 0.001234\n"),
            (
                LogFormat::Combined,
                "127.0.0.1 - - [CLF] \"GET /x?y=1 HTTP/1.1\" 200 14 \"http://r/\" \"a \\\"b\\\"\" 0.001234\n",
            ),
            (
                LogFormat::Json,
                "{\"time\":\"ISO\",\"peer\":\"127.0.0.1\",\"method\":\"GET\",\"path\":\"/x\",\"query\":\"y=1\",\
                 \"version\":\"HTTP/1.1\",\"host\":\"example.com:80\",\"referer\":\"http://r/\",\
                 \"user_agent\":\"a \\\"b\\\"\",\"status\":200,\"bytes\":14,\"seconds\":0.001234}\n",
            ),
        ] {
            assert_eq!(line(format, Some(&head), 14), expected);
        }
    }

    #[test]
    fn dates_have_the_shape_of_their_format() {
        let date = b"Mon, 23 Nov 2026 07:25:04 GMT";
        assert_eq!(&clf_date(date), b"23/Nov/2026:07:25:04 +0000");
        assert_eq!(&iso_date(date), b"2026-11-23T07:25:04Z");
    }

    #[test]
    fn a_response_without_body_or_head_has_dashes() {
        assert_eq!(line(LogFormat::Iodine, None, 0), "127.0.0.1 - - [DATE] \"-\" 200 -- 1ms\n");
    }

    #[test]
    fn what_peers_choose_cannot_forge_a_line() {
        let head = head("GET /\u{1b}%41\" HTTP/1.1\r\nHost: h\r\n\r\n".replace('\u{1b}', "\u{e9}").as_str());
        assert_eq!(
            line(LogFormat::Iodine, Some(&head), 1),
            "127.0.0.1 - - [DATE] \"GET /\\xC3\\xA9%41\\\" HTTP/1.1\" 200 1b 1ms\n"
        );
        let mut out = Vec::new();
        push_escaped(b"\r\n\x1b[31m\0\x7f", &mut out);
        assert_eq!(out, b"\\x0D\\x0A\\x1B[31m\\x00\\x7F");
        out.clear();
        push_json(b"\r\n\x1b\xff", &mut out);
        assert_eq!(out, b"\\u000d\\u000a\\u001b\\u00ff");
    }

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
