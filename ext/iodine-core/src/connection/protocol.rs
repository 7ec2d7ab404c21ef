//! What is spoken on a connection.

use std::sync::Arc;
use std::time::Instant;

use super::Turn;
use super::bridge::Bridge;
use super::http::{Http, Waiting};
use super::link::Link;
use super::live::Live;
use super::opening::{Handshake, Opening};
use super::raw::{Greeting, Raw};
use super::sse::Sse;
use super::websocket::WebSocket;
use crate::census::Kind;
use crate::client::Client;
use crate::net::tls::Identity;
use crate::net::write_queue::WriteQueue;
use crate::reactor::ConnectionId;
use crate::settings::WriteLimits;

/// The state of the protocol. HTTP is changed at most once.
pub(crate) enum Protocol {
    Http(Box<Http>),
    WebSocket(Box<WebSocket>),
    Sse(Box<Sse>),
    Raw(Box<Raw>),
    Bridge(Box<Bridge>),
    /// What will be a WebSocket to a server.
    Opening(Box<Opening>),
    Link(Box<Link>),
}

impl Protocol {
    /// The handshake is done. `identity` is what the peer has proved, `alpn` the name that was agreed on.
    pub(super) fn begin(&mut self, identity: Option<Identity>, alpn: Option<&[u8]>, turn: &mut Turn) {
        match self {
            Self::Http(http) => http.identify(identity.map(Arc::new)),
            Self::WebSocket(_) | Self::Sse(_) | Self::Bridge(_) | Self::Opening(_) | Self::Link(_) => {}
            Self::Raw(raw) => raw.begin(alpn, turn),
        }
    }

    /// A raw connection.
    pub(crate) fn raw(client: Client, writes: WriteLimits, greeting: Greeting, turn: &mut Turn) -> Self {
        Self::Raw(Box::new(Raw::new(client, writes, greeting, turn)))
    }

    /// What becomes a WebSocket by `handshake`, whose request is on its way.
    pub(crate) fn opening(client: Client, writes: WriteLimits, handshake: Handshake, turn: &mut Turn) -> Self {
        Self::Opening(Box::new(Opening::new(client, writes, handshake, turn)))
    }

    /// The link to another process of the cluster.
    pub(crate) fn link(limits: WriteLimits) -> Self {
        Self::Link(Box::new(Link::new(limits)))
    }

    /// HTTP, unless that has ended.
    pub(super) fn http(&mut self) -> Option<&mut Http> {
        match self {
            Self::Http(http) => Some(http),
            Self::WebSocket(_) | Self::Sse(_) | Self::Raw(_) | Self::Bridge(_) | Self::Opening(_) | Self::Link(_) => {
                None
            }
        }
    }

    /// What there is instead of HTTP.
    pub(super) fn live(&mut self) -> Option<&mut Live> {
        match self {
            Self::Http(_) | Self::Bridge(_) | Self::Link(_) => None,
            Self::WebSocket(socket) => Some(&mut socket.live),
            Self::Sse(stream) => Some(&mut stream.live),
            Self::Raw(raw) => Some(&mut raw.live),
            Self::Opening(opening) => Some(&mut opening.live),
        }
    }

    /// Takes what has arrived.
    pub(super) fn receive(&mut self, id: ConnectionId, data: &[u8], turn: &mut Turn, out: &mut WriteQueue) {
        match self {
            Self::Http(http) => http.receive(id, data, turn, out),
            Self::WebSocket(socket) => socket.receive(data, turn, out),
            Self::Sse(_) => {}
            Self::Raw(raw) => raw.receive(data, turn),
            Self::Bridge(bridge) => bridge.receive(data, turn),
            Self::Opening(opening) => {
                if let Some((socket, frames)) = opening.receive(data, turn) {
                    *self = Self::WebSocket(Box::new(socket));
                    self.receive(id, &frames, turn, out);
                }
            }
            Self::Link(link) => link.receive(id, data, turn),
        }
    }

    /// The peer will send nothing more.
    pub(super) fn end_of_input(&mut self, turn: &mut Turn) {
        match self {
            Self::Http(http) => http.end_of_input(),
            Self::WebSocket(socket) => socket.end_of_input(turn),
            Self::Sse(stream) => stream.end_of_input(turn),
            Self::Raw(raw) => raw.end_of_input(turn),
            Self::Bridge(bridge) => bridge.end_of_input(turn),
            Self::Opening(opening) => opening.end_of_input(turn),
            Self::Link(link) => link.end_of_input(),
        }
    }

    /// The bytes of the peer cannot be decrypted, and nothing more will come.
    pub(super) fn end_of_decryption(&mut self, reason: &str, turn: &mut Turn) {
        match self {
            Self::Opening(opening) => opening.fail(reason, turn),
            Self::Raw(raw) => raw.end_of_decryption(reason, turn),
            other => other.end_of_input(turn),
        }
    }

    /// Whether more bytes are welcome now.
    pub(super) fn wants_input(&self) -> bool {
        match self {
            Self::Http(http) => http.wants_input(),
            Self::WebSocket(socket) => socket.wants_input(),
            Self::Sse(stream) => !stream.live.is_finished(),
            Self::Raw(raw) => raw.wants_input(),
            Self::Bridge(bridge) => bridge.wants_input(),
            Self::Opening(opening) => !opening.live.is_finished(),
            Self::Link(link) => !link.is_finished(),
        }
    }

    /// Everything is in the write queue, and nothing more will be read.
    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Http(http) => http.is_finished(),
            Self::WebSocket(socket) => socket.live.is_finished(),
            Self::Sse(stream) => stream.live.is_finished(),
            Self::Raw(raw) => raw.live.is_finished(),
            Self::Bridge(bridge) => bridge.is_finished(),
            Self::Opening(opening) => opening.live.is_finished(),
            Self::Link(link) => link.is_finished(),
        }
    }

    /// Whether the peer may be sending bytes that nobody reads.
    pub(super) fn has_unread(&self) -> bool {
        match self {
            Self::Http(http) => http.has_unread(),
            Self::WebSocket(socket) => socket.unread,
            Self::Sse(_) | Self::Opening(_) | Self::Link(_) => false,
            Self::Raw(_) | Self::Bridge(_) => true,
        }
    }

    /// Whether nobody would miss the connection.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Http(http) => http.waiting() == Waiting::Idle,
            Self::WebSocket(_) | Self::Sse(_) | Self::Raw(_) | Self::Opening(_) | Self::Link(_) => false,
            // As with a socket that was handed over: the process does not wait for it.
            Self::Bridge(_) => true,
        }
    }

    /// What it counts as.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            // Nobody counts those who ask for the counts.
            Self::Http(http) if http.settings().metrics => None,
            Self::Http(_) | Self::Opening(_) => Some(Kind::Http),
            Self::WebSocket(_) => Some(Kind::WebSocket),
            Self::Sse(_) => Some(Kind::Sse),
            Self::Raw(_) => Some(Kind::Raw),
            // The application has the one, and has nothing to do with the other.
            Self::Bridge(_) | Self::Link(_) => None,
        }
    }

    /// When the peer has kept us waiting for too long, if it is silent from `now` on.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        match self {
            Self::Http(http) => http.deadline(now),
            Self::WebSocket(socket) => socket.deadline(),
            Self::Sse(stream) => stream.deadline(),
            Self::Raw(raw) => raw.deadline(),
            Self::Bridge(_) | Self::Link(_) => None,
            Self::Opening(opening) => Some(opening.deadline()),
        }
    }

    /// The deadline has passed.
    pub(super) fn time_out(&mut self, id: ConnectionId, turn: &mut Turn, out: &mut WriteQueue) {
        match self {
            Self::Http(http) => http.time_out(id, turn, out),
            Self::WebSocket(socket) => socket.time_out(turn, out),
            Self::Sse(stream) => stream.time_out(turn, out),
            Self::Raw(raw) => raw.time_out(turn),
            Self::Bridge(_) | Self::Link(_) => {}
            Self::Opening(opening) => opening.time_out(turn),
        }
    }

    /// Moves what waits to be written into the write queue, if there is room. False: nothing is to be written.
    pub(super) fn refill(&mut self, out: &mut WriteQueue) -> bool {
        match self {
            Self::Link(link) => link.refill(out),
            _ => !out.is_empty(),
        }
    }

    /// What may wait for the peer. Producers of HTTP wait themselves, so there is no bound on its bytes.
    pub(super) fn writes(&self) -> WriteLimits {
        match self {
            Self::Http(http) => WriteLimits { max_pending: usize::MAX, timeout: http.settings().write_timeout },
            Self::WebSocket(socket) => socket.live.writes(),
            Self::Sse(stream) => stream.live.writes(),
            Self::Raw(raw) => raw.live.writes(),
            Self::Bridge(bridge) => bridge.writes(),
            Self::Opening(opening) => opening.live.writes(),
            Self::Link(link) => link.writes(),
        }
    }
}
