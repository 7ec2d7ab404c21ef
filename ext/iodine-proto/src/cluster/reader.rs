//! Packets on their way in.

use std::collections::HashMap;

use bytes::Bytes;

use super::packet::MAX_PACKET;
use super::{CHUNK, Error, HEADER, LAST};

/// Packets of several frames that may have begun at the same time. A sender has one for each lane.
const MAX_STREAMS: usize = 4096;

/// Puts packets together from frames.
#[derive(Default)]
pub struct FrameReader {
    header: [u8; HEADER],
    /// Bytes of the header that are there. Invariant: below [`HEADER`] between frames.
    known: usize,
    /// Bytes of the frame's payload that have not come.
    left: usize,
    /// Packets that have begun, by their stream.
    begun: HashMap<u16, Vec<u8>>,
}

impl FrameReader {
    /// Takes bytes from the start of `input` until there is a packet. `None`: all of it is taken, and more has to come.
    ///
    /// # Errors
    ///
    /// An [`Error`], after which there is nothing to be read.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, Error> {
        loop {
            if self.known < HEADER && !self.read_header(input)? {
                return Ok(None);
            }
            let is_last = self.flags() & LAST != 0;
            if is_last && input.len() >= self.left && !self.begun.contains_key(&self.stream()) {
                // All of a packet of one frame.
                let (packet, rest) = input.split_at(self.left);
                *input = rest;
                self.known = 0;
                return Ok(Some(Bytes::copy_from_slice(packet)));
            }
            if !self.read_payload(input)? {
                return Ok(None);
            }
            self.known = 0;
            if is_last {
                return Ok(self.begun.remove(&self.stream()).map(Bytes::from));
            }
        }
    }

    /// False: more has to come.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        let taken = input.len().min(HEADER - self.known);
        let (bytes, rest) = input.split_at(taken);
        self.header[self.known..self.known + taken].copy_from_slice(bytes);
        self.known += taken;
        *input = rest;
        if self.known < HEADER {
            return Ok(false);
        }
        self.left = u32::from_be_bytes([self.header[4], self.header[5], self.header[6], self.header[7]]) as usize;
        if self.left > CHUNK { Err(Error::FrameLength) } else { Ok(true) }
    }

    /// False: more has to come.
    fn read_payload(&mut self, input: &mut &[u8]) -> Result<bool, Error> {
        let stream = self.stream();
        if self.begun.len() >= MAX_STREAMS && !self.begun.contains_key(&stream) {
            return Err(Error::Streams);
        }
        let packet = self.begun.entry(stream).or_default();
        if packet.len() + self.left > MAX_PACKET {
            return Err(Error::PacketLength);
        }
        let (bytes, rest) = input.split_at(input.len().min(self.left));
        packet.extend_from_slice(bytes);
        self.left -= bytes.len();
        *input = rest;
        Ok(self.left == 0)
    }

    fn stream(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    fn flags(&self) -> u16 {
        u16::from_be_bytes([self.header[2], self.header[3]])
    }
}
