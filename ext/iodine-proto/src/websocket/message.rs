//! A message being put together from its fragments.

use super::frame::Frame;
use super::inflate::Inflater;
use super::{Error, Kind};

/// A message being put together. Holds what has come of it, inflated, which is UTF-8 so far if it is a text.
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) is_compressed: bool,
    /// Whether any compressed payload has come.
    has_payload: bool,
    data: Vec<u8>,
    /// How much of a text is known to be UTF-8: all but a character cut by the end.
    checked: usize,
    /// Bytes the message may have.
    max: usize,
}

impl Message {
    pub(super) fn new(kind: Kind, is_compressed: bool, max: usize) -> Self {
        Message { kind, is_compressed, has_payload: false, data: Vec::new(), checked: 0, max }
    }

    /// Whether a frame of that many bytes makes the message too big before any of them has come. How much a compressed
    /// frame inflates to is not known.
    pub(super) fn check_length(&self, length: u64) -> Result<(), Error> {
        let is_too_big = !self.is_compressed && length > (self.max - self.data.len()) as u64;
        if is_too_big { Err(Error::TooBig) } else { Ok(()) }
    }

    /// Appends bytes of a frame that is not compressed. Memory grows with what has come, not with what the header says.
    pub(super) fn push(&mut self, payload: &[u8], frame: &mut Frame) -> Result<(), Error> {
        let start = self.data.len();
        self.data.extend_from_slice(payload);
        frame.unmask(&mut self.data[start..]);
        self.check_text()
    }

    /// Inflates bytes of a compressed frame.
    pub(super) fn inflate(&mut self, payload: &[u8], frame: &mut Frame, inflater: &mut Inflater) -> Result<(), Error> {
        self.has_payload |= !payload.is_empty();
        let mut room = [0; 4096];
        for piece in payload.chunks(room.len()) {
            let plain = &mut room[..piece.len()];
            plain.copy_from_slice(piece);
            frame.unmask(plain);
            inflater.inflate(plain, self)?;
        }
        Ok(())
    }

    /// Inflates what the end of the message leaves out. Without any payload there is nothing to end: some senders compress
    /// an empty message to nothing.
    pub(super) fn inflate_end(&mut self, inflater: &mut Inflater) -> Result<(), Error> {
        if self.has_payload { inflater.finish(self) } else { Ok(()) }
    }

    /// Lets `write` append to the data, in room of one byte or more and of about `wanted`. The message never takes more
    /// room than for one byte too many.
    pub(super) fn append<T>(&mut self, wanted: usize, write: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T, Error> {
        let length = self.data.len();
        if self.data.capacity() == length {
            let most = self.max.saturating_add(1) - length;
            self.data.reserve_exact(wanted.max(length).max(LEAST_ROOM).min(most));
        }
        let result = write(&mut self.data);
        // In this order, so that how the message was cut does not change which mistake is found.
        self.check_text()?;
        if self.data.len() > self.max { Err(Error::TooBig) } else { Ok(result) }
    }

    /// The message, now that it is complete.
    pub(super) fn finish(self) -> Result<Vec<u8>, Error> {
        let is_cut = self.kind == Kind::Text && self.checked < self.data.len();
        if is_cut { Err(Error::Utf8) } else { Ok(self.data) }
    }

    /// Looks at the bytes that were not looked at yet.
    fn check_text(&mut self) -> Result<(), Error> {
        if self.kind != Kind::Text {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(&self.data[self.checked..]) {
            Ok(_) => self.checked = self.data.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Error::Utf8),
        }
        Ok(())
    }
}

/// The least room made for inflated data, in bytes.
const LEAST_ROOM: usize = 128;
