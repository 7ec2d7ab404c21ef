//! Back-pressure between a producer thread and a connection's write queue.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may be queued before the producer has to wait; it goes on at half of it.
const FULL: usize = 256 << 10;

/// Counts the bytes a producer has queued and the socket has not taken.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queued: usize,
    waiting: bool,
    closed: bool,
}

impl Gate {
    /// Counts bytes in. False, and nothing is counted, when the connection is gone.
    pub(crate) fn enter(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        if !state.closed {
            state.queued += bytes;
        }
        !state.closed
    }

    /// Counts bytes out.
    pub(crate) fn leave(&self, bytes: usize) {
        let mut state = self.lock();
        state.queued = state.queued.saturating_sub(bytes);
        if state.waiting && state.queued <= FULL / 2 {
            self.changed.notify_all();
        }
    }

    /// The connection is gone: nobody waits any longer.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn is_full(&self) -> bool {
        let state = self.lock();
        state.queued > FULL && !state.closed
    }

    pub(crate) fn wait(&self, interrupted: impl Fn() -> bool) -> bool {
        let mut state = self.lock();
        state.waiting = true;
        while state.queued > FULL / 2 && !state.closed && !interrupted() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting = false;
        !state.closed
    }

    pub(crate) fn interrupt(&self) {
        let _state = self.lock();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
