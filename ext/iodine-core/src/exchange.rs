//! One request and the room for its answer: what travels between the reactor and the application.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use iodine_proto::http1::Head;

use crate::net::tls::Identity;
use crate::reactor::ConnectionId;

/// A complete request, and the buffers its answer is written to.
///
/// Exchanges are recycled: the reactor fills one, the application answers it in place and sends it back by
/// [`Handle::answer`](crate::handle::Handle::answer), so that a request in steady state allocates nothing.
#[derive(Default)]
pub struct Exchange {
    /// The request line and the header fields.
    pub head: Head,
    /// The body, received in full.
    pub body: RequestBody,
    /// Which connection asked.
    pub connection: ConnectionId,
    /// Which listener it came by: the index that `Listener::id` was made with.
    pub listener: usize,
    /// The peer's address without port (IP), or the socket's path.
    pub peer: Option<Arc<str>>,
    /// Who the peer is, when it has shown a certificate (TLS with client certificates).
    pub identity: Option<Arc<Identity>>,
    /// When the request was complete.
    pub received: Option<Instant>,
    /// What the application answers.
    pub response: Response,
    /// The request that came behind this one on the same connection. It is to be taken out and run after this one,
    /// unless this one's response closes the connection; if it is still here when the answer comes, the reactor hands
    /// it out again.
    pub next: Option<Box<Exchange>>,
}

impl Exchange {
    /// The bytes that this request and those behind it were read from, for who takes the connection over: they are no
    /// requests to it. There is no chunked body among them, for that would not be read before its turn.
    pub fn into_bytes(self: Box<Self>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut next = Some(self);
        while let Some(mut exchange) = next {
            bytes.extend_from_slice(exchange.head.raw());
            if let Err(error) = exchange.body.append_to(&mut bytes) {
                log::error!("a request body could not be read from its temporary file: {error}");
            }
            next = exchange.next.take();
        }
        bytes
    }

    /// Makes it ready for another request; buffers up to a bound are kept.
    pub fn clear(&mut self) {
        self.head.clear();
        self.body.clear();
        self.response.clear();
        self.peer = None;
        self.identity = None;
        self.received = None;
        self.next = None;
    }
}

/// Request body bytes: in memory while small, in an unlinked temporary file above `HttpSettings::body_memory`.
#[derive(Default)]
pub struct RequestBody {
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
}

/// Where a request body's bytes are.
pub enum BodySource<'a> {
    /// All of it.
    Memory(&'a [u8]),
    /// All of it, from offset 0.
    File(&'a mut File),
}

/// Capacity of a recycled body or response buffer; larger ones are given back to the allocator.
const KEPT_CAPACITY: usize = 16 << 10;

impl RequestBody {
    /// Bytes received.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is no body, or an empty one.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes.
    pub fn source(&mut self) -> BodySource<'_> {
        match &mut self.file {
            Some(file) => BodySource::File(file),
            None => BodySource::Memory(&self.memory),
        }
    }

    /// Announces how much will come, so that a body that fits into memory is allocated once.
    pub(crate) fn reserve(&mut self, expected: u64, memory: usize) {
        if expected <= memory as u64 {
            self.memory.reserve(expected as usize);
        }
    }

    /// Appends what arrived; moves to a file when more than `memory` bytes are there.
    ///
    /// # Errors
    /// When the temporary file cannot be made or written (no space, no permission).
    pub(crate) fn push(&mut self, data: &[u8], memory: usize) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + data.len() > memory {
            self.spool()?;
        }
        match &mut self.file {
            Some(file) => file.write_all(data)?,
            None => self.memory.extend_from_slice(data),
        }
        self.length += data.len() as u64;
        Ok(())
    }

    /// The body is complete: a reader starts at its first byte.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.seek(SeekFrom::Start(0)).map(drop),
            None => Ok(()),
        }
    }

    fn append_to(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.rewind().and_then(|()| file.read_to_end(bytes)).map(drop),
            None => {
                bytes.extend_from_slice(&self.memory);
                Ok(())
            }
        }
    }

    fn spool(&mut self) -> io::Result<()> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&self.memory)?;
        self.memory = Vec::new();
        self.file = Some(file);
        Ok(())
    }

    fn clear(&mut self) {
        recycle(&mut self.memory);
        self.file = None;
        self.length = 0;
    }
}

/// An answer: a serialized head (with the body behind it when that is small) and what follows.
#[derive(Default)]
pub struct Response {
    /// The bytes of the head, and of a body small enough to be copied.
    pub head: Vec<u8>,
    /// The body, unless it is in `head` already.
    pub body: ResponseBody,
    /// Close the connection when all is written.
    pub close: bool,
    /// For the request log.
    pub status: u16,
    /// Bytes of the body, for the request log.
    pub length: u64,
    /// Answer by the server's own page for this status instead.
    pub error: Option<u16>,
}

impl Response {
    fn clear(&mut self) {
        recycle(&mut self.head);
        self.body = ResponseBody::Sent;
        self.close = false;
        self.status = 0;
        self.length = 0;
        self.error = None;
    }
}

/// What follows a response's head.
#[derive(Default)]
pub enum ResponseBody {
    /// Nothing: the body is part of `head`, or was streamed, or there is none.
    #[default]
    Sent,
    /// Bytes that are not copied: their owner lives until they are written.
    Shared(Bytes),
    /// `length` bytes of a file from `offset`.
    File {
        /// The open file; its position is not used.
        file: Arc<File>,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// One after the other.
    Parts(Vec<ResponseBody>),
}

fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_CAPACITY {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}
