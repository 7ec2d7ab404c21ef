//! Reads one request body.

use core::ops::Range;

use super::{BodyLength, Refusal};

/// Reads one body. Allocates nothing.
pub struct BodyReader {
    length: BodyLength,
}

/// What one step of [`BodyReader::read`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyStep {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// Which of them are the body's, framing removed. May be empty.
    pub data: Range<usize>,
    /// Whether the body is complete.
    pub done: bool,
}

impl BodyReader {
    /// A reader for a body of at most `max` bytes.
    pub fn new(length: BodyLength, max: u64) -> Result<Self, Refusal> {
        match length {
            BodyLength::Sized(size) if size > max => Err(Refusal::BodyTooLarge),
            _ => Ok(BodyReader { length }),
        }
    }

    /// Takes one step.
    pub fn read(&mut self, input: &[u8]) -> Result<BodyStep, Refusal> {
        Ok(BodyStep { consumed: input.len(), data: 0..0, done: self.length == BodyLength::None })
    }
}
