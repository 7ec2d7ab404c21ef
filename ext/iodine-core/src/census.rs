//! How many connections there are, by what is spoken on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP, and the opening handshake of a client.
    Http,
    /// RFC 6455, at either end.
    WebSocket,
    /// Server-Sent Events.
    Sse,
    /// Bytes, as the application likes.
    Raw,
}

/// The counts of a reactor, to be read on any thread.
#[derive(Default)]
pub struct Census([AtomicUsize; 4]);

impl Census {
    /// Open connections of this kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.0[kind as usize].load(Ordering::Relaxed)
    }
}

/// Counts one connection while it lives.
pub(crate) struct Seat {
    census: Arc<Census>,
    kind: Option<Kind>,
}

impl Seat {
    pub(crate) fn new(census: Arc<Census>) -> Self {
        Self { census, kind: None }
    }

    /// Counts the connection as one of that kind, or not at all.
    pub(crate) fn take(&mut self, kind: Option<Kind>) {
        if kind == self.kind {
            return;
        }
        if let Some(kind) = kind {
            self.census.0[kind as usize].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(before) = std::mem::replace(&mut self.kind, kind) {
            self.census.0[before as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.take(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_counted_once_as_what_it_is() {
        let census = Arc::new(Census::default());
        let counts = || [Kind::Http, Kind::WebSocket, Kind::Sse, Kind::Raw].map(|kind| census.count(kind));
        let mut one = Seat::new(Arc::clone(&census));
        let mut other = Seat::new(Arc::clone(&census));
        assert_eq!(counts(), [0, 0, 0, 0]);
        one.take(Some(Kind::Http));
        one.take(Some(Kind::Http));
        other.take(Some(Kind::Raw));
        assert_eq!(counts(), [1, 0, 0, 1]);
        one.take(Some(Kind::WebSocket));
        assert_eq!(counts(), [0, 1, 0, 1]);
        other.take(None);
        drop(one);
        assert_eq!(counts(), [0, 0, 0, 0]);
    }
}
