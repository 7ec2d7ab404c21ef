//! Reads one request body.

use core::ops::Range;

use super::syntax::{is_token_byte, is_value_byte};
use super::{BodyLength, Refusal};

/// Reads one body, with or without chunks (RFC 9112 sections 6 and 7.1). Allocates nothing.
///
/// Chunk extensions are skipped, at most 4 KiB of them a body. Trailer fields are checked and then dropped, at most 64 of
/// them and 8 KiB a body: RFC 9110 section 6.5.1 lets a recipient do so, and merging them into the head is how forbidden
/// ones slip past it.
///
/// ```
/// use iodine_proto::http1::{BodyLength, BodyReader};
///
/// let mut input = &b"5\r\nhello\r\n0\r\n\r\nGET /next"[..];
/// let mut body = Vec::new();
/// let mut reader = BodyReader::new(BodyLength::Chunked, 1024)?;
/// loop {
///     let step = reader.read(input)?;
///     body.extend_from_slice(&input[step.data]);
///     input = &input[step.consumed..];
///     if step.done {
///         break;
///     }
///     assert!(!input.is_empty(), "a real server waits for more bytes here");
/// }
/// assert_eq!((&body[..], input), (&b"hello"[..], &b"GET /next"[..]));
/// # Ok::<(), iodine_proto::http1::Refusal>(())
/// ```
pub struct BodyReader {
    state: State,
    /// How many more bytes chunks may announce.
    room: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

/// What one step of [`BodyReader::read`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyStep {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// Which of them are the body's, its framing removed. May be empty.
    pub data: Range<usize>,
    /// Whether the body is complete.
    pub done: bool,
}

impl BodyReader {
    /// A reader for a body of at most `max` bytes, its framing not counted.
    ///
    /// # Errors
    ///
    /// [`Refusal::BodyTooLarge`] if the body is known to be larger.
    pub fn new(length: BodyLength, max: u64) -> Result<Self, Refusal> {
        let state = match length {
            BodyLength::None | BodyLength::Sized(0) => State::Done,
            BodyLength::Sized(size) if size > max => return Err(Refusal::BodyTooLarge),
            BodyLength::Sized(size) => State::Sized { left: size },
            BodyLength::Chunked => State::Size { size: 0, digits: 0 },
        };
        Ok(BodyReader { state, room: max, extension_bytes: 0, trailer_bytes: 0, trailer_fields: 0 })
    }

    /// Takes one step through `input`, the bytes after those consumed so far. Call it until `done`, each time with what
    /// is left and has come since. A body without bytes is done after a step on no input.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], and the same one for every later call.
    pub fn read(&mut self, input: &[u8]) -> Result<BodyStep, Refusal> {
        let mut at = 0;
        loop {
            match (self.state, input.get(at)) {
                (State::Refused(refusal), _) => return Err(refusal),
                (State::Sized { left }, Some(_)) => return Ok(self.data(left, at, input.len(), State::Done)),
                (State::Data { left }, Some(_)) => return Ok(self.data(left, at, input.len(), State::DataCr)),
                (State::Done, _) => return Ok(BodyStep { consumed: at, data: at..at, done: true }),
                (_, None) => return Ok(BodyStep { consumed: at, data: at..at, done: false }),
                (_, Some(byte)) => self.state = self.frame(*byte).unwrap_or_else(State::Refused),
            }
            at += 1;
        }
    }

    /// Takes as much data as there is, of `left` bytes before the state `after`.
    fn data(&mut self, left: u64, begin: usize, end: usize, after: State) -> BodyStep {
        let length = left.min((end - begin) as u64);
        let end = begin + length as usize;
        self.state = match (left - length, self.state) {
            (0, _) => after,
            (left, State::Sized { .. }) => State::Sized { left },
            (left, _) => State::Data { left },
        };
        BodyStep { consumed: end, data: begin..end, done: self.state == State::Done }
    }

    /// Takes one byte that is not data.
    fn frame(&mut self, byte: u8) -> Result<State, Refusal> {
        match self.state {
            State::Size { size, digits } => self.size(size, digits, byte),
            State::Extension { size } => self.extension(size, byte),
            State::SizeLf { size } => self.size_end(size, byte),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(State::Size { size: 0, digits: 0 }),
            State::DataCr | State::DataLf => Err(Refusal::ChunkEnd),
            State::LastLf if byte == b'\n' => Ok(State::Done),
            State::LastLf => Err(Refusal::LineEnd),
            _ => self.trailer(byte),
        }
    }

    /// Nothing but hexadecimal digits: the blanks that RFC 9112 section 7.1.1 would have a recipient skip before an
    /// extension are refused too, because peers disagree about them.
    fn size(&mut self, size: u64, digits: u8, byte: u8) -> Result<State, Refusal> {
        match char::from(byte).to_digit(16) {
            Some(digit) if digits < MOST_SIZE_DIGITS => {
                let size = size << 4 | u64::from(digit);
                if size > self.room { Err(Refusal::BodyTooLarge) } else { Ok(State::Size { size, digits: digits + 1 }) }
            }
            None if digits > 0 && byte == b'\r' => Ok(State::SizeLf { size }),
            None if digits > 0 && byte == b';' => self.extension(size, byte),
            _ => Err(Refusal::ChunkSize),
        }
    }

    fn extension(&mut self, size: u64, byte: u8) -> Result<State, Refusal> {
        if byte == b'\r' {
            return Ok(State::SizeLf { size });
        }
        self.extension_bytes += 1;
        if is_value_byte(byte) && self.extension_bytes <= MOST_EXTENSION_BYTES {
            Ok(State::Extension { size })
        } else {
            Err(Refusal::ChunkExtension)
        }
    }

    fn size_end(&mut self, size: u64, byte: u8) -> Result<State, Refusal> {
        if byte != b'\n' {
            return Err(Refusal::LineEnd);
        }
        self.room -= size;
        Ok(if size == 0 { State::TrailerStart } else { State::Data { left: size } })
    }

    fn trailer(&mut self, byte: u8) -> Result<State, Refusal> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MOST_TRAILER_BYTES {
            return Err(Refusal::TrailersTooLarge);
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart | State::TrailerName, byte) if is_token_byte(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => self.count_trailer(),
            (State::TrailerValue, byte) if is_value_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::TrailerLf, _) => Err(Refusal::LineEnd),
            _ => Err(Refusal::Trailer),
        }
    }

    fn count_trailer(&mut self) -> Result<State, Refusal> {
        self.trailer_fields += 1;
        if self.trailer_fields > MOST_TRAILER_FIELDS { Err(Refusal::TrailersTooLarge) } else { Ok(State::TrailerLf) }
    }
}

/// What the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Data of a body of known size; `left` is above 0.
    Sized { left: u64 },
    /// A digit of a chunk size, or what follows the last one.
    Size { size: u64, digits: u8 },
    /// Part of an extension, up to CR.
    Extension { size: u64 },
    /// The LF after a chunk size.
    SizeLf { size: u64 },
    /// Data of a chunk; `left` is above 0.
    Data { left: u64 },
    /// The CR after the data of a chunk.
    DataCr,
    /// The LF after the data of a chunk.
    DataLf,
    /// The first byte of a trailer line, or the CR of the empty line that ends the body.
    TrailerStart,
    /// Part of a trailer's name, up to the colon.
    TrailerName,
    /// Part of a trailer's value, up to CR.
    TrailerValue,
    /// The LF of a trailer line.
    TrailerLf,
    /// The LF that ends the body.
    LastLf,
    /// Not this body's.
    Done,
    /// Not to be looked at.
    Refused(Refusal),
}

/// 64 bits, leading zeros included.
const MOST_SIZE_DIGITS: u8 = 16;

/// Of all chunks of a body together. Hardly anyone sends extensions, and endless ones are an attack.
const MOST_EXTENSION_BYTES: usize = 4096;

const MOST_TRAILER_BYTES: usize = 8192;
const MOST_TRAILER_FIELDS: usize = 64;
