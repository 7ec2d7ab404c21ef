//! One direction of a connection.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    time::Instant,
};

use mio::net::TcpStream;

use super::{faults::Faults, random::Random};

/// More is not read before some of it has gone on: a peer that does not read has to be felt by the other one.
const MOST_QUEUED: usize = 256 << 10;

#[derive(Default)]
pub(super) struct Lane {
    pieces: VecDeque<Piece>,
    queued: usize,
    /// Bytes that have gone on.
    passed: u64,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The source has ended.
    ended: bool,
    /// The target has been told of the end. What still comes is dropped.
    closed: bool,
}

struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

impl Lane {
    /// Reads what is there, and decides when it goes on.
    pub(super) fn pull(
        &mut self,
        mut source: &TcpStream,
        now: Instant,
        faults: &Faults,
        random: &mut Random,
    ) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        while self.readable && !self.ended && self.queued < MOST_QUEUED {
            match source.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(_) if self.closed => {}
                Ok(length) => self.queue(&buffer[..length], now, faults, random),
                Err(error) => self.readable = blocked(error)?,
            }
        }
        Ok(())
    }

    fn queue(&mut self, mut bytes: &[u8], now: Instant, faults: &Faults, random: &mut Random) {
        self.queued += bytes.len();
        let mut cuts = random.below(faults.pieces);
        while !bytes.is_empty() {
            let length = if cuts == 0 { bytes.len() } else { 1 + random.below(bytes.len() as u64) as usize };
            let (piece, rest) = bytes.split_at(length);
            // None overtakes another.
            let before = self.pieces.back().map_or(now, |last| last.due.max(now));
            self.pieces.push_back(Piece { due: before + faults.wait(random), bytes: piece.into() });
            bytes = rest;
            cuts = cuts.saturating_sub(1);
        }
    }

    /// Passes on what is due, up to the `limit` of bytes in all. Whether the limit is reached.
    pub(super) fn push(&mut self, mut target: &TcpStream, now: Instant, limit: Option<u64>) -> io::Result<bool> {
        while self.writable {
            let Some(piece) = self.pieces.front_mut().filter(|piece| piece.due <= now) else { break };
            let left = limit.map_or(usize::MAX, |limit| (limit - self.passed) as usize);
            if left == 0 {
                return Ok(true);
            }
            match target.write(&piece.bytes[..piece.bytes.len().min(left)]) {
                Ok(length) => self.passed(length),
                Err(error) => self.writable = blocked(error)?,
            }
        }
        if self.ended && self.pieces.is_empty() && !self.closed {
            self.close(target)?;
        }
        Ok(false)
    }

    fn passed(&mut self, length: usize) {
        self.passed += length as u64;
        self.queued -= length;
        let piece = self.pieces.front_mut().expect("bytes of a piece were written");
        piece.bytes.drain(..length);
        if piece.bytes.is_empty() {
            self.pieces.pop_front();
        }
    }

    /// Tells the target that nothing more comes.
    pub(super) fn close(&mut self, target: &TcpStream) -> io::Result<()> {
        self.closed = true;
        self.pieces.clear();
        self.queued = 0;
        target.shutdown(Shutdown::Write)
    }

    /// When to look again, if nothing happens before: at once when it has stopped reading for want of room.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.readable && !self.ended && self.queued < MOST_QUEUED {
            return Some(now);
        }
        self.pieces.front().filter(|_| self.writable).map(|piece| piece.due)
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended && self.closed
    }
}

/// False when the call would have had to wait; other errors as they are.
fn blocked(error: io::Error) -> io::Result<bool> {
    match error.kind() {
        ErrorKind::WouldBlock => Ok(false),
        ErrorKind::Interrupted => Ok(true),
        _ => Err(error),
    }
}
