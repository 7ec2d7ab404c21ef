//! Connections that are handed to the application: a plain one as it is, an encrypted one by a pair of sockets.

use mio::net::UnixStream;

use super::{ConnectionId, Reactor, find};

impl Reactor {
    /// Gives the socket of a connection to the application; for an encrypted one, a socket that leads to it.
    pub(super) fn give_away(&mut self, id: ConnectionId) {
        match find(&mut self.connections, id) {
            Some(connection) if connection.is_encrypted() => self.bridge(id),
            Some(_) => self.connections.remove(id.index as usize).give_away(self.poll.registry()),
            None => {}
        }
    }

    fn bridge(&mut self, id: ConnectionId) {
        let (ours, outside) = match UnixStream::pair() {
            Ok(pair) => pair,
            Err(error) => {
                log::error!("a hijacked connection could not be handed over: {error}");
                return self.close(id);
            }
        };
        let entry = self.connections.vacant_entry();
        let pair = ConnectionId { index: entry.key() as u32, generation: self.generation.wrapping_add(1) };
        let Some(protocol) =
            find(&mut self.connections, id).and_then(|connection| connection.bridge(pair, outside.into()))
        else {
            return self.close(id);
        };
        self.open_or_log(ours.into(), |_, _| protocol);
        // It may not have been possible to watch the pair.
        if find(&mut self.connections, pair).is_none() {
            return self.close(id);
        }
        self.touch(id);
    }

    /// Gives the ends of bridges what they have for each other.
    pub(super) fn pass_on(&mut self) {
        let mut passed = std::mem::take(&mut self.turn.passed);
        for (id, what) in passed.drain(..) {
            self.with(id, |connection| connection.take(what));
        }
        self.turn.passed = passed;
    }
}
