//! One request while the application works on it: what its hijack and early-hints objects hold on to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use iodine_core::exchange::Exchange;
use iodine_core::handle::{Handle, Hijacked};
use iodine_core::reactor::ConnectionId;
use magnus::{Error, Ruby};

use crate::gvl;

/// Outlives the request when the application keeps its environment; it does nothing then.
pub(super) struct Call {
    handle: Handle,
    connection: ConnectionId,
    state: Mutex<State>,
}

enum State {
    /// The application runs. Requests that came behind this one wait here.
    Running(Option<Box<Exchange>>),
    Hijacked,
    Finished,
}

impl Call {
    pub(super) fn new(handle: Handle, exchange: &mut Exchange) -> Self {
        Self { handle, connection: exchange.connection, state: Mutex::new(State::Running(exchange.next.take())) }
    }

    pub(super) fn is_hijacked(&self) -> bool {
        matches!(*self.state(), State::Hijacked)
    }

    /// The application has returned; gives back the requests behind this one.
    pub(super) fn finish(&self) -> Option<Box<Exchange>> {
        match std::mem::replace(&mut *self.state(), State::Finished) {
            State::Running(behind) => behind,
            State::Hijacked | State::Finished => None,
        }
    }

    /// Writes an interim response, unless the final one is on its way.
    pub(super) fn interim(&self, bytes: Vec<u8>) {
        if matches!(*self.state(), State::Running(_)) {
            self.handle.interim(self.connection, bytes);
        }
    }

    /// Takes the socket, and what the peer has sent behind the request.
    ///
    /// # Errors
    /// `IOError` when the request is over or the connection is gone.
    pub(super) fn hijack(&self, ruby: &Ruby) -> Result<Hijacked, Error> {
        let behind = match std::mem::replace(&mut *self.state(), State::Hijacked) {
            State::Running(behind) => behind,
            State::Hijacked => return Err(Error::new(ruby.exception_io_error(), "the request was hijacked before")),
            State::Finished => {
                *self.state() = State::Finished;
                return Err(Error::new(ruby.exception_io_error(), "the request is over: it cannot be hijacked"));
            }
        };
        take_socket(ruby, &self.handle, self.connection, behind)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the reactor hand over a connection's socket once all that was written has left.
///
/// # Errors
/// `IOError` when the connection is gone.
pub(super) fn take_socket(
    ruby: &Ruby,
    handle: &Handle,
    connection: ConnectionId,
    behind: Option<Box<Exchange>>,
) -> Result<Hijacked, Error> {
    let receiver = handle.hijack(connection);
    // The reactor answers in its next turn, or hangs up; a peer that does not read is bounded by the write timeout.
    let received = loop {
        match gvl::without(ruby, || receiver.recv(), || {}) {
            Some(received) => break received,
            None => gvl::check_interrupts(ruby)?,
        }
    };
    let mut hijacked =
        received.map_err(|_| Error::new(ruby.exception_io_error(), "the connection was closed by the peer"))?;
    let mut unread = raw_bytes(behind);
    unread.append(&mut hijacked.unread);
    hijacked.unread = unread;
    Ok(hijacked)
}

/// The bytes of requests that were read ahead and will not be run.
fn raw_bytes(mut behind: Option<Box<Exchange>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(mut exchange) = behind {
        bytes.extend_from_slice(exchange.head.raw());
        behind = exchange.next.take();
    }
    bytes
}
