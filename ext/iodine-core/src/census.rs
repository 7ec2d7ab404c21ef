//! What a connection counts as, and its being counted while it lives.

use crate::metrics::Sheet;

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

impl Kind {
    /// All kinds, in their order.
    pub const ALL: [Self; 4] = [Self::Http, Self::WebSocket, Self::Sse, Self::Raw];
    /// Their names, in the same order.
    pub const NAMES: [&'static str; 4] = ["http", "websocket", "sse", "raw"];
}

/// Counts one connection while it lives.
pub(crate) struct Seat {
    sheet: Sheet,
    kind: Option<Kind>,
}

impl Seat {
    pub(crate) fn new(sheet: Sheet) -> Self {
        Self { sheet, kind: None }
    }

    /// Counts the connection as one of that kind, or not at all.
    pub(crate) fn take(&mut self, kind: Option<Kind>) {
        if kind == self.kind {
            return;
        }
        if let Some(kind) = kind {
            self.sheet.enter(kind);
        }
        if let Some(before) = std::mem::replace(&mut self.kind, kind) {
            self.sheet.leave(before);
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
        let sheet = Sheet::own();
        let counts = || Kind::ALL.map(|kind| sheet.connections(kind));
        let mut one = Seat::new(sheet);
        let mut other = Seat::new(sheet);
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
