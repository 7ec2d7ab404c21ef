//! Services that a client may choose by ALPN (RFC 7301) instead of the one that its listener is for.

use std::sync::Arc;

use super::Turn;
use super::protocol::Protocol;
use super::raw::Greeting;
use crate::client::{self, Client, Event};
use crate::handle::Handle;
use crate::reactor::ConnectionId;
use crate::settings::Alternative;

pub(crate) struct Choices {
    alternatives: Arc<[Alternative]>,
    handle: Handle,
}

impl Choices {
    pub(crate) fn new(alternatives: Arc<[Alternative]>, handle: Handle) -> Self {
        Self { alternatives, handle }
    }

    /// The service of that name, for a connection that has just begun. `None`: that of the listener.
    pub(super) fn choose(&self, name: Option<&[u8]>, id: ConnectionId, turn: &mut Turn) -> Option<Protocol> {
        let name = name?;
        let Alternative { listener, raw, .. } = self.alternatives.iter().find(|one| one.name == name)?;
        let client = Client::new(self.handle.clone(), client::Protocol::Raw, raw.timeout, None);
        client.want_drained(true);
        client.connect(id);
        Some(Protocol::raw(client, raw.writes, Greeting::Now(Event::Accepted(*listener)), turn))
    }
}
