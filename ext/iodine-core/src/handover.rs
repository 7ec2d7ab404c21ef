//! A connection on its way out of the reactor, to a thread of the application that waits for it.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A connection that was taken out of the reactor.
#[derive(Debug)]
pub struct Hijacked {
    /// The socket, non-blocking.
    pub socket: OwnedFd,
    /// Bytes the peer has sent of which no request was made. Those of requests that were read ahead come before them.
    pub unread: Vec<u8>,
}

/// The end of who waits. Dropped, it wants the connection no more, which is closed then.
#[derive(Debug)]
pub struct Handover(Arc<Shared>);

/// The reactor's end. Dropped, the connection is gone.
pub(crate) struct Giver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
enum State {
    Awaited,
    Given(Hijacked),
    /// One of both has left.
    Over,
}

/// How a wait has ended.
#[derive(Debug)]
pub enum Waited {
    /// Here it is, once.
    Taken(Hijacked),
    /// The peer has closed the connection, or the reactor has.
    Gone,
    /// Nothing has happened but [`Interrupter::interrupt`].
    Interrupted,
}

/// Ends a wait from another thread.
#[derive(Debug, Default)]
pub struct Interrupter(AtomicBool);

impl Handover {
    pub(crate) fn new() -> (Self, Giver) {
        let shared = Arc::new(Shared { state: Mutex::new(State::Awaited), changed: Condvar::new() });
        (Self(Arc::clone(&shared)), Giver(shared))
    }

    /// Waits for the connection.
    pub fn wait(&self, interrupter: &Interrupter) -> Waited {
        let mut state = self.0.lock();
        loop {
            match std::mem::replace(&mut *state, State::Over) {
                State::Given(hijacked) => return Waited::Taken(hijacked),
                State::Over => return Waited::Gone,
                State::Awaited => *state = State::Awaited,
            }
            if interrupter.0.load(Ordering::Acquire) {
                return Waited::Interrupted;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the wait that was given this interrupter, or the next one that will be.
    pub fn interrupt(&self, interrupter: &Interrupter) {
        // Under the lock, or it would be missed between the look at it and the wait.
        let _state = self.0.lock();
        interrupter.0.store(true, Ordering::Release);
        self.0.changed.notify_all();
    }
}

impl Giver {
    /// Hands the connection over. When nobody waits for it any more, it is closed.
    pub(crate) fn give(self, hijacked: Hijacked) {
        let mut state = self.0.lock();
        if matches!(*state, State::Awaited) {
            *state = State::Given(hijacked);
            self.0.changed.notify_all();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        *self.0.lock() = State::Over;
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Awaited) {
            *state = State::Over;
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn hijacked() -> (Hijacked, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Hijacked { socket: ours.into(), unread: b"early".to_vec() }, theirs)
    }

    #[test]
    fn a_connection_reaches_who_waits_for_it_once() {
        let (handover, giver) = Handover::new();
        let waiter = thread::spawn(move || (handover.wait(&Interrupter::default()), handover));
        giver.give(hijacked().0);
        let (waited, handover) = waiter.join().unwrap();
        assert!(matches!(waited, Waited::Taken(hijacked) if hijacked.unread == b"early"));
        assert!(matches!(handover.wait(&Interrupter::default()), Waited::Gone));
    }

    #[test]
    fn who_waits_for_a_connection_that_is_gone_is_told() {
        let (handover, giver) = Handover::new();
        let waiter = thread::spawn(move || handover.wait(&Interrupter::default()));
        drop(giver);
        assert!(matches!(waiter.join().unwrap(), Waited::Gone));
    }

    #[test]
    fn an_interrupt_ends_one_wait_whether_it_comes_before_or_meanwhile() {
        let (handover, giver) = Handover::new();
        let early = Interrupter::default();
        handover.interrupt(&early);
        assert!(matches!(handover.wait(&early), Waited::Interrupted));
        let late = Interrupter::default();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| handover.wait(&late));
            handover.interrupt(&late);
            assert!(matches!(waiter.join().unwrap(), Waited::Interrupted));
        });
        giver.give(hijacked().0);
        assert!(matches!(handover.wait(&Interrupter::default()), Waited::Taken(_)));
    }

    #[test]
    fn a_connection_that_nobody_waits_for_is_closed() {
        let (handover, giver) = Handover::new();
        let (given, mut peer) = hijacked();
        drop(handover);
        giver.give(given);
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
        let (handover, giver) = Handover::new();
        let (given, mut peer) = hijacked();
        giver.give(given);
        drop(handover);
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    }
}
