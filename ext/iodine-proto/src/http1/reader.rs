//! Finds request heads in a stream of bytes.

use super::request_line::{RequestLine, RequestLineReader};
use super::span;
use super::syntax::{is_text, is_token_byte};
use super::{Head, Refusal};

/// How large a request head may be.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Bytes of the request line, or of one field line, without its line end. Default 8192.
    pub line: usize,
    /// Field lines. Default 128.
    pub fields: usize,
    /// Bytes of the whole head: the request line and all field lines with their line ends, the empty line included.
    /// Default 32 KiB, at most 1 GiB.
    pub block: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits { line: 8192, fields: 128, block: 32 * 1024 }
    }
}

/// Finds the end of a head across packets, and fills a [`Head`].
///
/// It remembers how far it has looked, so a head that comes byte by byte costs no more than one that comes whole, and it
/// refuses what cannot become a valid head as soon as it sees it: wrong line ends, control characters, folded lines,
/// blanks before a colon, and whatever is beyond the limits.
///
/// Clients send the same field lines with each request of a connection. So the reader remembers the last head whose lines
/// were new, from the second head on and up to 2 KiB, and only compares lines, or the whole head, that come again.
///
/// ```
/// use iodine_proto::http1::{Head, HeadLimits, HeadReader};
///
/// let mut reader = HeadReader::new(HeadLimits::default());
/// let mut head = Head::default();
/// let mut input = b"GET /hello?x HTTP/1.1\r\nHost: localhost:3000\r\n".to_vec();
/// assert_eq!(reader.read(&input, &mut head), Ok(None));
/// input.extend_from_slice(b"\r\n");
/// assert_eq!(reader.read(&input, &mut head), Ok(Some(input.len())));
/// assert_eq!((head.path(), head.query(), head.host()), (&b"/hello"[..], &b"x"[..], &b"localhost"[..]));
/// ```
pub struct HeadReader {
    limits: HeadLimits,
    progress: Progress,
    refused: Option<Refusal>,
    /// Whether a head was read before: the client uses its connection more than once.
    used: bool,
    known: Option<Box<Head>>,
}

impl HeadReader {
    /// A reader at the start of a message.
    pub fn new(limits: HeadLimits) -> Self {
        let block = limits.block.min(span::LARGEST);
        let line = limits.line.min(block);
        let limits = HeadLimits { line, block, ..limits };
        HeadReader { limits, progress: Progress::default(), refused: None, used: false, known: None }
    }

    /// Looks for a head at the start of `input`, which is all that has come of this message so far: after `Ok(None)`,
    /// call again with the same bytes and more.
    ///
    /// `Ok(Some(consumed))` means that `head` is filled, that its bytes were the first `consumed`, and that the reader is
    /// ready for the next message.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], and the same one for every later call. `head` is then empty.
    ///
    /// # Panics
    ///
    /// May panic if `input` lost bytes since the last call.
    pub fn read(&mut self, input: &[u8], head: &mut Head) -> Result<Option<usize>, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        let result = self.fill(input, head);
        if let Err(refusal) = result {
            self.refused = Some(refusal);
            head.clear();
        }
        result
    }

    /// Whether nothing of a next message has come yet, empty lines aside: the connection waits for a request, not for the
    /// rest of one.
    pub fn is_idle(&self) -> bool {
        matches!(self.progress.part, Part::EmptyLines)
    }

    fn fill(&mut self, input: &[u8], head: &mut Head) -> Result<Option<usize>, Refusal> {
        let known = self.known.as_deref();
        if let Some(known) = known
            && input.starts_with(known.raw())
            && self.progress.has_not_begun()
        {
            head.assign(known);
            return Ok(Some(known.raw().len()));
        }
        let Some(end) = self.progress.find_end(input, &self.limits, known)? else {
            return Ok(None);
        };
        let Progress { start, line, fields, repeats, .. } = core::mem::take(&mut self.progress);
        match known {
            Some(known) if repeats => head.repeat(known, &input[start..end], line),
            _ => {
                head.fill(&input[start..end], line, fields)?;
                self.remember(head);
            }
        }
        Ok(Some(end))
    }

    fn remember(&mut self, head: &Head) {
        if !core::mem::replace(&mut self.used, true) || head.field_lines().len() > MOST_REMEMBERED {
            return;
        }
        self.known.get_or_insert_default().assign(head);
    }
}

/// How far into a message the reader is. Offsets count from the first byte of the input.
#[derive(Default)]
struct Progress {
    part: Part,
    empty_lines: usize,
    /// Where the request line begins.
    start: usize,
    /// Where the current line begins.
    begin: usize,
    /// Bytes before this one were looked at. When a line is refused, it is refused for the byte before, or for a later
    /// one.
    seen: usize,
    /// The request line, complete once `part` is past it.
    line: RequestLine,
    /// Complete field lines.
    fields: usize,
    /// The field lines are those that are known.
    repeats: bool,
}

#[derive(Default)]
enum Part {
    /// Before the request line, where empty lines are ignored (RFC 9112 section 2.2).
    #[default]
    EmptyLines,
    RequestLine(RequestLineReader),
    Fields,
}

impl Progress {
    /// Whether nothing has come yet, not even an empty line.
    fn has_not_begun(&self) -> bool {
        matches!(self.part, Part::EmptyLines) && self.begin == 0
    }

    /// Where the head ends, if its end has come.
    fn find_end(&mut self, input: &[u8], limits: &HeadLimits, known: Option<&Head>) -> Result<Option<usize>, Refusal> {
        if matches!(self.part, Part::EmptyLines) && !self.skip_empty_lines(input)? {
            return Ok(None);
        }
        let seen = self.seen;
        let end = self.scan_lines(input, limits, known);
        // Control characters are looked for in all new field lines at once, which is far quicker than line by line. A
        // mistake of the lines comes after what was seen, so one found here was the first, however the bytes were cut.
        // Those of the request line it refuses itself.
        if is_text(&input[seen..self.seen]) || matches!(self.part, Part::RequestLine(_)) {
            end
        } else {
            Err(Refusal::Control)
        }
    }

    /// Goes from line to line, up to the empty one.
    fn scan_lines(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        known: Option<&Head>,
    ) -> Result<Option<usize>, Refusal> {
        while let Some(end) = self.find_line_end(input, limits)? {
            let line = &input[self.begin..end];
            self.begin = end + 2;
            self.seen = self.begin;
            match &self.part {
                Part::RequestLine(reader) => {
                    self.line = reader.finish()?;
                    self.part = Part::Fields;
                    if let Some(end) = known.and_then(|known| self.end_of_known(input, limits, known)) {
                        self.repeats = true;
                        return Ok(Some(end));
                    }
                }
                _ if line.is_empty() => return Ok(Some(self.begin)),
                _ => self.count_field(line, limits)?,
            }
        }
        Ok(None)
    }

    /// Where the head ends, if the known field lines follow the request line. They were within the limits of a line and
    /// of their number then, and have to be within that of the block now.
    fn end_of_known(&self, input: &[u8], limits: &HeadLimits, known: &Head) -> Option<usize> {
        let lines = known.field_lines();
        let end = self.begin + lines.len();
        let repeats =
            input[self.begin..].starts_with(lines) && known.may_repeat(&self.line) && end <= self.start + limits.block;
        repeats.then_some(end)
    }

    /// Goes to the request line. False if it has not begun.
    fn skip_empty_lines(&mut self, input: &[u8]) -> Result<bool, Refusal> {
        loop {
            match &input[self.begin..] {
                [] | [b'\r'] => return Ok(false),
                [b'\r', b'\n', ..] => self.begin += 2,
                [b'\r' | b'\n', ..] => return Err(Refusal::LineEnd),
                _ => break,
            }
            self.empty_lines += 1;
            if self.empty_lines > MOST_EMPTY_LINES {
                return Err(Refusal::EmptyLines);
            }
        }
        self.part = Part::RequestLine(RequestLineReader::default());
        self.start = self.begin;
        self.seen = self.begin;
        Ok(true)
    }

    /// Where the content of the current line ends, if its CRLF has come.
    fn find_line_end(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Refusal> {
        let room = self.room(limits)?;
        // One byte past the room may be the CR, so it is looked at as well.
        let horizon = input.len().min(self.begin + room + 1);
        let fresh = &input[self.seen..horizon];
        let Some(length) = memchr::memchr2(b'\r', b'\n', fresh) else {
            self.check(input, horizon)?;
            return if horizon > self.begin + room { Err(self.too_long(room, limits)) } else { Ok(None) };
        };
        let end = self.seen + length;
        self.check(input, end)?;
        match &input[end..] {
            [b'\r'] => Ok(None),
            [b'\r', b'\n', ..] => Ok(Some(end)),
            _ => Err(Refusal::LineEnd),
        }
    }

    /// Looks at the content of the current line up to `end`.
    fn check(&mut self, input: &[u8], end: usize) -> Result<(), Refusal> {
        let line = &input[self.begin..end];
        self.seen = end;
        match &mut self.part {
            Part::RequestLine(reader) => reader.advance(line),
            _ if line.starts_with(b" ") || line.starts_with(b"\t") => {
                self.seen = self.begin + 1;
                Err(Refusal::Folding)
            }
            _ => Ok(()),
        }
    }

    fn count_field(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(Refusal::TooManyFields);
        }
        match line.iter().position(|byte| !is_token_byte(*byte)) {
            Some(length) if length > 0 && line[length] == b':' => Ok(()),
            _ => Err(Refusal::FieldName),
        }
    }

    /// How long the current line may be without its line end.
    fn room(&self, limits: &HeadLimits) -> Result<usize, Refusal> {
        let block = (self.start + limits.block).checked_sub(self.begin + 2).ok_or(Refusal::HeadTooLarge)?;
        Ok(block.min(limits.line))
    }

    fn too_long(&self, room: usize, limits: &HeadLimits) -> Refusal {
        match self.part {
            Part::RequestLine(_) => Refusal::RequestLineTooLong,
            _ if room == limits.line => Refusal::FieldTooLong,
            _ => Refusal::HeadTooLarge,
        }
    }
}

/// Field lines that are remembered, in bytes: what browsers send, cookies of the usual size included.
const MOST_REMEMBERED: usize = 2048;

/// Some clients send an empty line after a body (RFC 9112 section 2.2), and none should send many.
const MOST_EMPTY_LINES: usize = 4;
