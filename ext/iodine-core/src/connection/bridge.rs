//! One of two connections that pass on what they read: how an application gets the socket of an encrypted connection.
//!
//! It is given one end of a pair of sockets. The reactor has the other end, and the encrypted connection, and moves
//! bytes between the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::Turn;
use crate::net::write_queue::WriteQueue;
use crate::reactor::ConnectionId;
use crate::settings::WriteLimits;

/// Bytes that may wait in the write queue of one end before the other is read no more; half of it lets it go on.
const FULL: usize = 256 << 10;
/// An application reads from its own socket when it likes.
const FOR_EVER: Duration = Duration::from_secs(366 * 24 * 3600);

/// One end.
pub(crate) struct Bridge {
    other: ConnectionId,
    onward: Arc<Flow>,
    inward: Arc<Flow>,
    writes: WriteLimits,
    /// The encrypted end. An application that closes its socket wants no more; a peer that closes its side may still
    /// wait for an answer.
    is_encrypted: bool,
    /// The other end has ended its input: what was passed on is all there will be.
    complete: bool,
    /// Nothing is left to be done.
    finished: bool,
}

/// Bytes on their way to one end. Both ends are the reactor's: the atomics only make it movable between threads.
#[derive(Default)]
struct Flow {
    waiting: AtomicUsize,
    /// The other end is not read because of them.
    held: AtomicBool,
}

/// What one end has for the other.
pub(crate) enum Passed {
    /// Bytes that it has read.
    Bytes(Bytes),
    /// There will be no more of them.
    End,
    /// It is closed.
    Closed,
    /// Reading may go on.
    Room,
}

impl Bridge {
    /// The ends for an encrypted connection and for the pair's socket. `writes` are the limits of the former.
    pub(crate) fn pair(encrypted: ConnectionId, pair: ConnectionId, writes: WriteLimits) -> (Self, Self) {
        let (out, back) = (Arc::new(Flow::default()), Arc::new(Flow::default()));
        let end = |is_encrypted, other, onward: &Arc<Flow>, inward: &Arc<Flow>, writes| Self {
            is_encrypted,
            other,
            onward: Arc::clone(onward),
            inward: Arc::clone(inward),
            writes,
            complete: false,
            finished: false,
        };
        let patient = WriteLimits { max_pending: usize::MAX, timeout: FOR_EVER };
        (end(true, pair, &back, &out, writes), end(false, encrypted, &out, &back, patient))
    }

    /// Passes on what was read.
    pub(super) fn receive(&self, data: &[u8], turn: &mut Turn) {
        self.onward.waiting.fetch_add(data.len(), Ordering::Relaxed);
        turn.passed.push((self.other, Passed::Bytes(Bytes::copy_from_slice(data))));
    }

    /// Nothing more will be read here.
    pub(super) fn end_of_input(&self, turn: &mut Turn) {
        turn.passed.push((self.other, Passed::End));
    }

    /// The connection is gone.
    pub(super) fn end(&self, turn: &mut Turn) {
        turn.passed.push((self.other, Passed::Closed));
    }

    /// Takes what the other end has.
    pub(super) fn take(&mut self, passed: Passed, out: &mut WriteQueue) {
        match passed {
            Passed::Bytes(bytes) => out.push_shared(bytes),
            Passed::End if self.is_encrypted => self.finished = true,
            Passed::End => self.complete = true,
            Passed::Closed => self.finished = true,
            Passed::Room => {}
        }
    }

    /// So much is left to be written.
    pub(super) fn note_waiting(&self, waiting: usize, turn: &mut Turn) {
        self.inward.waiting.store(waiting, Ordering::Relaxed);
        if waiting <= FULL / 2 && self.inward.held.swap(false, Ordering::Relaxed) {
            turn.passed.push((self.other, Passed::Room));
        }
    }

    pub(super) fn wants_input(&self) -> bool {
        let full = self.onward.waiting.load(Ordering::Relaxed) > FULL;
        if full {
            self.onward.held.store(true, Ordering::Relaxed);
        }
        !self.finished && !full
    }

    /// Whether our side can be closed when all is written.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn writes(&self) -> WriteLimits {
        self.writes
    }
}
