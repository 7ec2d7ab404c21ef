//! Listening sockets, and the connections that come by them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::Token;

use super::timer::Alarm;
use super::{ConnectionId, Reactor, find};
use crate::client::{self, Client, Event};
use crate::connection::http::Http;
use crate::connection::{Choices, Greeting, Protocol};
use crate::net::Listener;
use crate::net::listener::BACKLOG;
use crate::net::stream::Stream;
use crate::settings::{Alternative, ListenerSettings, RawSettings};

/// How long a listener rests when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long it is not said again that no descriptor is left: that comes and goes with each connection.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// A listening socket that is watched.
pub(super) struct Accepting {
    pub(super) listener: Listener,
    /// Connections may wait: an edge-triggered event came and `accept` has not said "would block" since.
    pub(super) ready: bool,
}

impl Reactor {
    pub(super) fn listen(&mut self, mut listener: Listener) {
        let token = Token(self.listeners.len() + 1);
        match listener.register(self.poll.registry(), token) {
            Ok(()) => self.listeners.push(Accepting { listener, ready: false }),
            Err(error) => log::error!("a listening socket cannot be watched: {error}"),
        }
    }

    /// Accepts a connection, if one waits. Not more in a turn, so that workers who share a listener share what comes at
    /// once: the first of them to wake would take it all.
    pub(super) fn accept(&mut self, index: usize) {
        let Some(accepting) = self.listeners.get_mut(index).filter(|accepting| accepting.ready) else { return };
        match accepting.listener.accept() {
            Ok((stream, peer)) => {
                let listener = accepting.listener.id;
                let alternatives = accepting.listener.alternatives.clone();
                let opened = match &accepting.listener.settings {
                    ListenerSettings::Http(settings) => {
                        let http = Http::new(Arc::clone(settings), listener, peer);
                        self.open_or_log(stream, |_, _| Protocol::Http(Box::new(http)))
                    }
                    &ListenerSettings::Raw(settings) => self.open_raw(stream, listener, settings),
                };
                self.offer(opened, alternatives);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => accepting.ready = false,
            Err(error) if is_the_peers_fault(&error) => {}
            Err(error) => {
                accepting.ready = false;
                self.put_off_accepting(&error);
            }
        }
    }

    /// Accepts what the kernel has welcomed for us: after this the listener is closed.
    pub(super) fn accept_the_last(&mut self, index: usize) {
        self.listeners[index].ready = true;
        for _ in 0..BACKLOG {
            self.accept(index);
        }
    }

    /// Lets the peer of a new connection choose something else.
    fn offer(&mut self, opened: Option<ConnectionId>, alternatives: Option<Arc<[Alternative]>>) {
        if let (Some(id), Some(alternatives)) = (opened, alternatives)
            && let Some(connection) = find(&mut self.connections, id)
        {
            connection.offer(Choices::new(alternatives, self.handle.clone()));
        }
    }

    fn put_off_accepting(&mut self, error: &io::Error) {
        let now = self.turn.now;
        if self.no_descriptor_logged.is_none_or(|logged| now.duration_since(logged) > SAID_AGAIN) {
            self.no_descriptor_logged = Some(now);
            log::error!(
                "cannot accept connections: {error}. {} are open; trying again every {ACCEPT_PAUSE:?}. \
                 Raise the limit of open files (ulimit -n) if this goes on.",
                self.connections.len()
            );
        }
        self.alarms.set(self.turn.now + ACCEPT_PAUSE, Alarm::Accept);
    }

    fn open_raw(&mut self, stream: Stream, listener: usize, settings: RawSettings) -> Option<ConnectionId> {
        let client = Client::new(self.handle.clone(), client::Protocol::Raw, settings.timeout, None);
        // Who is told, and what that wants to know, turns out later.
        client.want_drained(true);
        let first = Event::Accepted(listener);
        let is_handshaking = stream.is_handshaking();
        self.open_or_log(stream, |id, turn| {
            client.connect(id);
            Protocol::raw(client, settings.writes, Greeting::of(first, is_handshaking), turn)
        })
    }
}

/// The connection was gone before it was accepted; the next one may be fine (accept(2)).
fn is_the_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::PermissionDenied
    )
}
