//! The end of a reactor: of its work, or of its life in a process that was forked.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::clients::STOPPING;
use super::publish::Hub;
use super::timer::Alarm;
use super::{Reactor, find};
use crate::client::Client;
use crate::connection::Connection;
use crate::handle::Drain;

/// How long to wait at a time for another process to take what is left for it, at the end.
const LAST_LOOK: Duration = Duration::from_millis(10);

impl Reactor {
    /// Lets go of all sockets without a word to peers or application: in a forked process they are the parent's.
    pub(super) fn abandon(&mut self) {
        self.listeners.clear();
        self.connections.drain().for_each(Connection::abandon);
        self.dials.end().into_iter().for_each(|connect| connect.client.shut());
        self.handle.receive(&mut self.commands);
        self.commands.clear();
        self.hub = Hub::default();
    }

    /// Closes the clients without a word to their peers, and returns the descriptors of all connections. In a forked process
    /// that keeps the reactor as it is.
    pub(super) fn disown(&mut self) -> Vec<RawFd> {
        self.dials.clients().for_each(Client::shut);
        self.connections.iter_mut().map(|(_, connection)| connection.disown()).collect()
    }

    /// Whether it has drained: there is nothing left to run it for.
    pub(crate) fn is_over(&self) -> bool {
        self.turn.draining && self.clients() == 0 && self.dials.is_empty()
    }

    /// Sends what is left for other processes of the cluster, once it has drained. Waits for them until `deadline`.
    pub(crate) fn finish(&mut self, deadline: Instant) {
        while Instant::now() < deadline {
            self.carry_out_commands();
            self.settle_touched();
            let Self { hub, connections, .. } = self;
            if hub.links().iter().all(|id| find(connections, *id).is_none_or(|link| link.is_flushed())) {
                return;
            }
            // An error leaves nothing to be done.
            let _ = self.poll.poll(&mut self.events, Some(LAST_LOOK));
            self.accept_and_read();
        }
    }

    pub(super) fn drain(&mut self, times: Drain) {
        for index in 0..self.listeners.len() {
            self.accept_the_last(index);
        }
        for mut accepting in self.listeners.drain(..) {
            if let Err(error) = accepting.listener.deregister(self.poll.registry()) {
                log::warn!("a listening socket could not be taken out of the poll: {error}");
            }
        }
        self.turn.draining = true;
        self.alarms.set(self.turn.now + times.patience.min(times.deadline), Alarm::Idle);
        self.alarms.set(self.turn.now + times.deadline, Alarm::Drain);
        for connect in self.dials.end() {
            self.refuse(&connect.client, STOPPING);
        }
        for id in self.all() {
            if let Some(connection) = find(&mut self.connections, id) {
                connection.shut_down(&mut self.turn);
            }
            self.touch(id);
        }
    }

    pub(super) fn close_idle(&mut self) {
        self.turn.closes_idle = true;
        self.all().into_iter().for_each(|id| self.touch(id));
    }

    pub(super) fn cut_off(&mut self) {
        if self.clients() > 0 {
            log::warn!("{} connections were cut off at the shutdown deadline", self.clients());
        }
        let links = self.hub.links().to_vec();
        for id in self.all().into_iter().filter(|id| !links.contains(id)) {
            self.close(id);
        }
    }
}
