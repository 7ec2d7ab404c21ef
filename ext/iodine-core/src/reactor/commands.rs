//! What the threads of the application ask of the reactor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use iodine_proto::websocket::Close;

use super::timer::Alarm;
use super::{ConnectionId, Exit, Reactor, find, find_client};
use crate::client::Client;
use crate::connection::Connection;
use crate::connection::gate::Gate;
use crate::exchange::Exchange;
use crate::handle::Command;

/// How long the head of a produced response waits for the first bytes of its body. Together they are one packet, and a
/// body that fails at once can still become an error.
const HELD_HEAD: Duration = Duration::from_millis(5);

impl Reactor {
    pub(super) fn carry_out_commands(&mut self) {
        let mut commands = std::mem::take(&mut self.commands);
        self.handle.receive(&mut commands);
        for command in commands.drain(..) {
            self.carry_out(command);
        }
        self.commands = commands;
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Answer(exchange) => self.answer(exchange),
            Command::Write(id, bytes) => self.with(id, |connection| connection.write(bytes)),
            Command::WriteFile(id, file, offset, length) => {
                self.with(id, |connection| connection.write_file(file, offset, length));
            }
            Command::Stream(id, head, gate) => self.stream(id, head, gate),
            Command::Fail(exchange) => self.fail(exchange),
            Command::Hijack(id, hijacker) => self.with(id, |connection| connection.hijack(hijacker)),
            Command::Upgrade(exchange, client) => self.upgrade(exchange, client),
            Command::WriteClient(client, bytes) => self.write_client(&client, bytes),
            Command::CloseClient(client, close) => self.close_client(&client, close),
            Command::Attach(descriptor, client, writes) => self.attach(descriptor, client, writes),
            Command::Connect(connect) => self.connect(connect),
            Command::Review(client) => self.review(&client),
            Command::PubSub(request) => self.carry_out_request(request),
            Command::Abort(id) => self.close(id),
            Command::Timer(id, delay) => self.alarms.set(self.turn.now + delay, Alarm::Timer(id)),
            Command::CancelTimer(id) => self.alarms.cancel(id),
            Command::Listen(listener) => self.listen(listener),
            Command::Drain(times) => self.drain(times),
            // It has ended the sleep.
            Command::Nudge => {}
            Command::Work => self.was_busy = true,
            Command::Pause => self.exit = Some(Exit::Paused),
        }
    }

    pub(super) fn with(&mut self, id: ConnectionId, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = find(&mut self.connections, id) {
            change(connection);
            self.touch(id);
        }
    }

    fn answer(&mut self, mut exchange: Box<Exchange>) {
        let id = exchange.connection;
        self.contain(id, |reactor| {
            if let Some(connection) = find(&mut reactor.connections, id) {
                connection.answer(&mut exchange, &mut reactor.turn);
                reactor.touch(id);
            }
        });
        self.turn.exchanges.put(exchange);
    }

    fn stream(&mut self, id: ConnectionId, head: Vec<u8>, gate: Arc<Gate>) {
        match find(&mut self.connections, id) {
            Some(connection) => {
                connection.stream(head, gate);
                self.alarms.set(self.turn.now + HELD_HEAD, Alarm::Head(id));
            }
            None => gate.close(),
        }
    }

    fn fail(&mut self, mut exchange: Box<Exchange>) {
        let id = exchange.connection;
        if let Some(connection) = find(&mut self.connections, id) {
            connection.fail(&mut exchange, &mut self.turn);
            self.touch(id);
        }
        self.turn.exchanges.put(exchange);
    }

    fn upgrade(&mut self, mut exchange: Box<Exchange>, client: Client) {
        let id = exchange.connection;
        match find(&mut self.connections, id) {
            Some(_) => self.contain(id, |reactor| {
                if let Some(connection) = find(&mut reactor.connections, id) {
                    client.connect(id);
                    connection.upgrade(&mut exchange, client, &mut reactor.turn);
                    reactor.touch(id);
                }
                reactor.turn.exchanges.put(exchange);
            }),
            None => self.refuse(&client, ""),
        }
    }

    fn write_client(&mut self, client: &Client, bytes: Bytes) {
        if let Some(connection) = find_client(&mut self.connections, client) {
            connection.write_client(bytes, &self.turn);
            self.review(client);
        }
    }

    fn close_client(&mut self, client: &Client, close: Close) {
        if let Some(connection) = find_client(&mut self.connections, client) {
            connection.close_client(close, &mut self.turn);
            self.review(client);
        }
    }

    fn review(&mut self, client: &Client) {
        if let Some(id) = client.connection() {
            self.touch(id);
        }
    }
}
