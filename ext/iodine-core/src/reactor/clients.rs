//! Connections that the application asks for: to servers, and by descriptors of its own.

use std::io;
use std::time::Instant;

use super::Reactor;
use super::dials::{Connect, Dialed, Encryption};
use super::timer::Alarm;
use crate::client::{Client, Event, broken};
use crate::connection::{Greeting, Protocol};
use crate::net::descriptor::Descriptor;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::settings::WriteLimits;

/// What a client is told that was to be connected when the process was told to stop.
pub(super) const STOPPING: &str = "the process stops";

impl Reactor {
    pub(super) fn attach(&mut self, descriptor: Descriptor, client: Client, writes: WriteLimits) {
        let opened = Socket::attach(descriptor).and_then(|socket| {
            self.open(Stream::Plain(socket), |id, turn| {
                client.connect(id);
                Protocol::raw(client.clone(), writes, Greeting::Known, turn)
            })
        });
        if let Err(error) = opened {
            log::error!("a descriptor cannot be attached: {error}");
            self.refuse(&client, &error.to_string());
        }
    }

    pub(super) fn connect(&mut self, connect: Box<Connect>) {
        if self.turn.draining {
            return self.refuse(&connect.client, STOPPING);
        }
        let dialed = self.dials.start(connect, self.turn.now, self.poll.registry());
        self.go_on(dialed);
    }

    pub(super) fn look_at_dial(&mut self, number: usize) {
        let dialed = self.dials.look(number, self.turn.now, self.poll.registry());
        self.go_on(dialed);
    }

    fn go_on(&mut self, dialed: Dialed) {
        match dialed {
            Dialed::Wait(number, until) => self.alarms.set(until, Alarm::Dial(number)),
            Dialed::Connected(connect, socket, ends_at) => self.open_connected(*connect, socket, ends_at),
            Dialed::Failed(connect, reason) => {
                log::warn!("could not connect to {reason}");
                self.refuse(&connect.client, &reason);
            }
            Dialed::Nothing => {}
        }
    }

    fn open_connected(&mut self, connect: Connect, socket: Socket, ends_at: Instant) {
        let Connect { client, writes, tls, mut handshake, .. } = connect;
        let request = handshake.as_mut().map(|handshake| std::mem::take(&mut handshake.request)).unwrap_or_default();
        let stream = match tls {
            None => Ok(Stream::Plain(socket)),
            Some(Encryption { client, name, protocols }) => {
                let left = ends_at.saturating_duration_since(self.turn.now);
                // That of a WebSocket's handshake is from now on.
                let within = handshake.as_ref().map_or(left, |handshake| left.min(handshake.timeout));
                client.connect(socket, &name, within, protocols).map(Stream::from).map_err(io::Error::other)
            }
        };
        let opened = stream.and_then(|stream| {
            let is_handshaking = stream.is_handshaking();
            self.open(stream, |id, turn| {
                client.connect(id);
                match handshake {
                    Some(handshake) => Protocol::opening(client.clone(), writes, handshake, turn),
                    None => {
                        let greeting = Greeting::of(Event::Open, is_handshaking);
                        Protocol::raw(client.clone(), writes, greeting, turn)
                    }
                }
            })
        });
        match opened {
            Ok(id) => self.with(id, |connection| connection.write(request.into())),
            Err(error) => self.refuse(&client, &error.to_string()),
        }
    }

    /// There will be no connection.
    pub(super) fn refuse(&mut self, client: &Client, reason: &str) {
        client.shut();
        self.turn.jobs.extend(client.push(Event::Close(broken(reason))));
        self.turn.left.push(client.clone());
    }
}
