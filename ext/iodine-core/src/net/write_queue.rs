//! What a connection still has to write, in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::file::FilePart;
use super::stream::Stream;
use crate::exchange::ResponseBody;

/// Small writes are gathered in buffers of up to this size.
const GATHERED: usize = 64 << 10;
/// Shared bytes shorter than this are cheaper to copy than to give an own slice.
const COPIED: usize = 1 << 10;
/// Slices handed to one `writev`.
const SLICES: usize = 16;
/// Bytes in memory, and segments, that may wait before answers that can be made later are put off.
const CONGESTED: usize = 256 << 10;
const CONGESTED_SEGMENTS: usize = 128;
/// Most bytes written to one connection in one turn.
const WRITE_BUDGET: usize = 4 << 20;
/// An empty buffer that is kept for the next answer; larger ones are given back.
const KEPT_CAPACITY: usize = 4 << 10;

/// A queue of bytes, shared bytes and parts of files.
#[derive(Default)]
pub(crate) struct WriteQueue {
    segments: VecDeque<Segment>,
    /// An empty buffer from before.
    spare: Vec<u8>,
    /// Bytes in memory, files not counted.
    memory: usize,
}

enum Segment {
    /// Bytes from `start` on are to be written; more may be appended.
    Gathered {
        bytes: Vec<u8>,
        start: usize,
    },
    Shared(Bytes),
    File(FilePart),
}

/// How far a flush came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Everything is written.
    All,
    /// The socket is full.
    Blocked,
    /// The socket takes more, but others have waited for long enough.
    Paused,
    /// A file was shorter than announced: the answer cannot be completed.
    Truncated,
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Bytes that a reader who takes too little has let gather: those in memory, but for a large message that is being
    /// written, and for a large one that has come last. So a message may be as large as it likes when nothing waits
    /// before it, and small ones may come while it is written.
    pub(crate) fn backlog(&self) -> usize {
        let shared = |segment: &Segment| if let Segment::Shared(bytes) = segment { bytes.len() } else { 0 };
        let first = self.segments.front().map_or(0, shared);
        let last = if self.segments.len() > 1 { self.segments.back().map_or(0, shared) } else { 0 };
        self.memory - first - last
    }

    /// Copies `bytes` behind what is there.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.memory += bytes.len();
        match self.segments.back_mut() {
            Some(Segment::Gathered { bytes: buffer, .. }) if buffer.len() + bytes.len() <= GATHERED => {
                buffer.extend_from_slice(bytes);
            }
            _ => {
                let mut buffer = std::mem::take(&mut self.spare);
                buffer.extend_from_slice(bytes);
                self.segments.push_back(Segment::Gathered { bytes: buffer, start: 0 });
            }
        }
    }

    /// Appends what is in a buffer, without a copy unless it is little, and leaves another buffer in its place.
    pub(crate) fn push_buffer(&mut self, buffer: &mut Vec<u8>) {
        if buffer.len() < COPIED {
            return self.push(buffer);
        }
        self.memory += buffer.len();
        let bytes = std::mem::replace(buffer, std::mem::take(&mut self.spare));
        self.segments.push_back(Segment::Gathered { bytes, start: 0 });
    }

    /// Appends bytes without a copy, unless they are few.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < COPIED {
            self.push(&bytes);
        } else {
            self.memory += bytes.len();
            self.segments.push_back(Segment::Shared(bytes));
        }
    }

    /// Appends a part of a file.
    pub(crate) fn push_file(&mut self, file: Arc<File>, offset: u64, length: u64) {
        if length > 0 {
            self.segments.push_back(Segment::File(FilePart { file, offset, remaining: length }));
        }
    }

    /// Appends the body of a response.
    pub(crate) fn push_body(&mut self, body: ResponseBody) {
        match body {
            ResponseBody::Sent => {}
            ResponseBody::Shared(bytes) => self.push_shared(bytes),
            ResponseBody::File { file, offset, length } => self.push_file(file, offset, length),
            ResponseBody::Parts(parts) => parts.into_iter().for_each(|part| self.push_body(part)),
        }
    }

    /// Whether so much waits that no more answers should be made until the peer has read.
    pub(crate) fn is_congested(&self) -> bool {
        self.memory > CONGESTED || self.segments.len() > CONGESTED_SEGMENTS
    }

    /// Writes until all is written, the socket is full, or a turn's share has left.
    ///
    /// # Errors
    /// The socket's error when the connection is broken.
    pub(crate) fn flush(&mut self, stream: &mut Stream) -> io::Result<Flushed> {
        let mut budget = WRITE_BUDGET;
        loop {
            if budget == 0 {
                return Ok(Flushed::Paused);
            }
            match self.write_some(stream) {
                Ok(Some(0)) => return Ok(Flushed::Truncated),
                Ok(Some(written)) => budget = budget.saturating_sub(written),
                Ok(None) => return Ok(Flushed::All),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes once: so many bytes, of a file that has none left zero. `None`: there was nothing to write.
    fn write_some(&mut self, stream: &mut Stream) -> io::Result<Option<usize>> {
        let alone = self.segments.len() == 1;
        let written = match self.segments.front_mut() {
            None => return stream.flush().map(|()| None),
            Some(Segment::File(part)) => {
                let sent = part.send(stream)?;
                if part.remaining == 0 {
                    self.segments.pop_front();
                }
                return Ok(Some(sent));
            }
            Some(Segment::Gathered { bytes, start }) if alone => stream.write(&bytes[*start..]),
            Some(_) => self.write_vectored(stream),
        }?;
        self.advance(written);
        Ok(Some(written))
    }

    /// What would be written, files left out.
    #[cfg(test)]
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for segment in self.segments.drain(..) {
            match segment {
                Segment::Gathered { bytes: gathered, start } => bytes.extend_from_slice(&gathered[start..]),
                Segment::Shared(shared) => bytes.extend_from_slice(&shared),
                Segment::File(_) => {}
            }
        }
        self.memory = 0;
        bytes
    }

    fn write_vectored(&self, stream: &mut Stream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for segment in self.segments.iter().take(SLICES) {
            slices[count] = IoSlice::new(match segment {
                Segment::Gathered { bytes, start } => &bytes[*start..],
                Segment::Shared(bytes) => bytes,
                Segment::File(_) => break,
            });
            count += 1;
        }
        stream.write_vectored(&slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.memory -= written;
        while let Some(first) = self.segments.front_mut() {
            let left = match first {
                Segment::Gathered { bytes, start } => bytes.len() - *start,
                Segment::Shared(bytes) => bytes.len(),
                Segment::File(_) => return,
            };
            if written < left {
                match first {
                    Segment::Gathered { start, .. } => *start += written,
                    Segment::Shared(bytes) => bytes.advance(written),
                    Segment::File(_) => {}
                }
                return;
            }
            written -= left;
            if let Some(Segment::Gathered { bytes, .. }) = self.segments.pop_front() {
                self.keep(bytes);
            }
        }
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= KEPT_CAPACITY {
            buffer.clear();
            self.spare = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (mio::net::UnixStream::from_std(ours).into(), theirs)
    }

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        Arc::new(file)
    }

    fn drain(queue: &mut WriteQueue, ours: &mut Stream, theirs: &mut UnixStream) -> Vec<u8> {
        let mut received = Vec::new();
        theirs.set_nonblocking(true).unwrap();
        loop {
            let flushed = queue.flush(ours).unwrap();
            let _ = theirs.read_to_end(&mut received);
            if flushed == Flushed::All {
                return received;
            }
        }
    }

    #[test]
    fn writes_every_kind_of_segment_in_order() {
        let (mut ours, mut theirs) = pair();
        let mut queue = WriteQueue::default();
        let large = vec![b's'; 300_000];
        queue.push(b"one ");
        queue.push(b"two ");
        queue.push_shared(Bytes::from(large.clone()));
        queue.push_file(file(b"xx three yy"), 3, 5);
        queue.push_shared(Bytes::from_static(b" four"));
        let expected = [b"one two ".as_slice(), &large, b"three four"].concat();
        assert_eq!(drain(&mut queue, &mut ours, &mut theirs), expected);
        assert_eq!((queue.memory(), queue.is_empty()), (0, true));
    }

    #[test]
    fn takes_large_buffers_as_they_are() {
        let (mut ours, mut theirs) = pair();
        let mut queue = WriteQueue::default();
        for size in [COPIED - 1, COPIED, COPIED + 1] {
            let mut buffer = vec![b'x'; size];
            let place = buffer.as_ptr();
            queue.push(b"<");
            queue.push_buffer(&mut buffer);
            queue.push(b">");
            assert_eq!(buffer.as_ptr() == place, size < COPIED, "{size}");
            assert_eq!(queue.memory(), size + 2);
            assert_eq!(drain(&mut queue, &mut ours, &mut theirs), [b"<", &vec![b'x'; size][..], b">"].concat());
            assert_eq!(queue.memory(), 0);
        }
    }

    #[test]
    fn reports_a_file_that_is_shorter_than_announced() {
        let (mut ours, _theirs) = pair();
        let mut queue = WriteQueue::default();
        queue.push_file(file(b"short"), 0, 6);
        assert_eq!(queue.flush(&mut ours).unwrap(), Flushed::Truncated);
    }

    #[test]
    fn counts_what_the_peer_has_not_taken() {
        let (mut ours, mut theirs) = pair();
        let mut queue = WriteQueue::default();
        queue.push_shared(Bytes::from(vec![0; 4 << 20]));
        assert_eq!(queue.flush(&mut ours).unwrap(), Flushed::Blocked);
        assert!(queue.memory() > 0 && queue.memory() < 4 << 20);
        assert_eq!(drain(&mut queue, &mut ours, &mut theirs).len(), 4 << 20);
    }

    #[test]
    fn a_large_message_at_either_end_is_no_backlog() {
        let large = || Bytes::from(vec![0; 10_000]);
        let mut queue = WriteQueue::default();
        assert_eq!(queue.backlog(), 0);
        queue.push_shared(large());
        assert_eq!(queue.backlog(), 0, "it is being written");
        queue.push(b"small");
        assert_eq!(queue.backlog(), 5);
        queue.push_shared(large());
        assert_eq!(queue.backlog(), 5, "it has come last");
        queue.push_shared(large());
        assert_eq!(queue.backlog(), 10_005);
        queue.push(b"small");
        assert_eq!((queue.backlog(), queue.memory()), (20_010, 30_010));
    }

    #[test]
    fn a_vanished_peer_is_an_error() {
        let (mut ours, theirs) = pair();
        drop(theirs);
        let mut queue = WriteQueue::default();
        queue.push(b"anyone?");
        assert!(queue.flush(&mut ours).is_err());
    }
}
