//! Publish and subscribe, as far as it is the reactor's: who is subscribed, and the way of a message to them, in this
//! process and between those of a cluster.
//!
//! A worker has a link to its master, and the master one to each worker. What a worker publishes goes to its own
//! subscribers at once, and to the master, which passes it on to the others.

use std::collections::{HashMap, HashSet};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use iodine_proto::cluster::{Packet, Publication, Reach};
use slab::Slab;

use super::memory::Memory;
use super::{Reactor, Turn, find, list};
use crate::client::{Client, Event};
use crate::connection::{Connection, Protocol};
use crate::jobs::Job;
use crate::metrics::Count;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::pubsub::census::{self, Census};
use crate::pubsub::presence::{Place, Presence};
use crate::pubsub::registry::Subscriber;
use crate::pubsub::{
    Answer, Change, Encodings, End, Engine, Message, Registry, Request, Scope, Start, Subscription, Target, Topic,
};
use crate::settings::WriteLimits;

/// What a reactor knows of subscriptions.
#[derive(Default)]
pub(super) struct Hub {
    registry: Registry<Target>,
    presence: Presence,
    engines: Vec<Arc<dyn Engine>>,
    /// Those of the master that workers reach by their number.
    numbered: Vec<Arc<dyn Engine>>,
    /// Topics whose subscribers have changed since the last turn ended.
    changed: HashSet<Topic>,
    /// Messages of this turn for engines, which are told of the changes before.
    outgoing: Vec<(Arc<dyn Engine>, Arc<Message>)>,
    cluster: Cluster,
    /// `None`: no channel keeps messages.
    pub(super) memory: Option<Memory>,
    /// Questions to the master that wait for their answers.
    questions: HashMap<u64, Answer>,
    last_question: u64,
}

/// What this process is, and its links.
#[derive(Default)]
enum Cluster {
    /// The only one.
    #[default]
    Alone,
    Master(Vec<super::ConnectionId>),
    /// `None`: the master has cut it off, or is gone.
    Worker(Option<super::ConnectionId>),
}

impl Hub {
    /// The links to other processes.
    pub(super) fn links(&self) -> &[super::ConnectionId] {
        match &self.cluster {
            Cluster::Alone => &[],
            Cluster::Master(workers) => workers,
            Cluster::Worker(master) => master.as_slice(),
        }
    }

    pub(super) fn subscribe(&mut self, subscription: &Subscription, after: Option<u64>, target: Target) {
        let (topic, since) = (subscription.topic(), subscription.since());
        self.registry.subscribe(topic, subscription.id(), Start { since, after }, target);
        self.changed.insert(topic.clone());
    }

    pub(super) fn unsubscribe(&mut self, subscription: &Subscription) {
        if self.registry.unsubscribe(subscription.id()) {
            self.changed.insert(subscription.topic().clone());
        }
    }

    fn join(&mut self, end: End, link: super::ConnectionId) {
        match (end, &mut self.cluster) {
            (End::Worker, cluster) => *cluster = Cluster::Worker(Some(link)),
            (End::Master, Cluster::Master(workers)) => workers.push(link),
            (End::Master, cluster) => *cluster = Cluster::Master(vec![link]),
        }
    }
}

impl Reactor {
    pub(super) fn carry_out_request(&mut self, request: Request) {
        match request {
            Request::Remember(rules) => self.remember(rules),
            Request::Subscribe(subscription) => {
                self.subscribe(&subscription, Target::Process(Arc::clone(&subscription)));
            }
            Request::SubscribeClient(subscription, client) => self.subscribe_client(&subscription, &client),
            Request::Unsubscribe(subscription) => self.hub.unsubscribe(&subscription),
            Request::Publish(scope, message) => self.publish(scope, &message),
            Request::PublishThrough(engine, message) => self.hub.outgoing.push((engine, message)),
            Request::Attach(engine) => {
                self.tell_all(&*engine);
                self.hub.engines.push(engine);
            }
            Request::Detach(engine) => {
                self.hub.engines.retain(|one| !Arc::ptr_eq(one, &engine));
                engine.detached(&self.hub.presence.topics().cloned().collect());
            }
            Request::Reset(engine) => self.tell_all(&*engine),
            Request::Join(end, socket, limits) => self.join(end, socket, limits),
            Request::AddEngine(engine) => self.hub.numbered.push(engine),
            Request::Relay(engine, channel, payload) => self.relay(engine, channel, payload),
            Request::Call(engine, body, answer) => self.call(engine, body, answer),
            Request::Reply(link, call, body) => self.send(link, b"", Packet::Reply { call, body }.encode()),
        }
    }

    /// A client may have left before its wish has come, and may never have had a connection.
    fn subscribe_client(&mut self, subscription: &Arc<Subscription>, client: &Client) {
        if let Some(connection) = client.connection()
            && !subscription.is_abandoned()
        {
            self.subscribe(subscription, subscription.target(connection));
        }
    }

    fn publish(&mut self, scope: Scope, message: &Arc<Message>) {
        if scope == Scope::Cluster && self.publish_kept(message) {
            return;
        }
        if scope != Scope::Siblings && (scope != Scope::Root || !self.is_worker()) {
            self.deliver(message);
        }
        match (&self.hub.cluster, scope) {
            (Cluster::Alone, _) | (_, Scope::Process) | (Cluster::Master(_), Scope::Root) => {}
            (Cluster::Worker(_), Scope::Root) => self.send_to_all(message, Reach::Receiver),
            (_, Scope::Cluster | Scope::Siblings) => self.send_to_all(message, Reach::All),
        }
    }

    fn send_to_all(&mut self, message: &Message, reach: Reach) {
        self.send_in_lane(&message.channel, message, reach);
    }

    pub(super) fn send_in_lane(&mut self, lane: &[u8], message: &Message, reach: Reach) {
        if self.hub.links().is_empty() {
            return;
        }
        let packet = Packet::Publication(message.packet(reach)).encode();
        for link in self.hub.links().to_vec() {
            self.send(link, lane, packet.clone());
        }
    }

    /// Gives a message to the subscribers of this process.
    pub(super) fn deliver(&mut self, message: &Arc<Message>) {
        let Self { hub, connections, touched, turn, .. } = self;
        turn.sheet.add(Count::Published, 1);
        let mut encodings = Encodings::new(message);
        hub.registry.each_subscriber(&message.channel, &message.filter, |subscriber: &Subscriber<Target>| {
            if subscriber.start.admits(message) {
                hand_over(message, &mut encodings, &subscriber.target, connections, touched, turn);
            }
        });
    }

    /// Gives a message to one subscriber.
    pub(super) fn deliver_to(&mut self, message: &Arc<Message>, target: &Target) {
        let Self { connections, touched, turn, .. } = self;
        hand_over(message, &mut Encodings::new(message), target, connections, touched, turn);
    }

    /// Has an engine of the master publish.
    fn relay(&mut self, engine: u64, channel: Bytes, payload: Bytes) {
        if let &Cluster::Worker(master) = &self.hub.cluster {
            // What is subscribed already has to hear the message when it comes back.
            self.count_subscribers();
            let packet = Packet::Relay { engine, channel: channel.clone(), payload }.encode();
            master.into_iter().for_each(|master| self.send(master, &channel, packet.clone()));
        } else if let Some(engine) = self.hub.numbered.get(engine as usize) {
            self.hub.outgoing.push((Arc::clone(engine), Arc::new(Message::new(channel, payload))));
        } else {
            log::error!("a message was dropped: the master has no engine of the number {engine}");
        }
    }

    /// Asks an engine of the master, or the master itself.
    fn call(&mut self, engine: u64, body: Bytes, answer: Answer) {
        if engine == census::MASTER {
            // The question may be about what has changed in this turn.
            self.count_subscribers();
        }
        match self.hub.cluster {
            Cluster::Worker(None) => {}
            Cluster::Worker(Some(master)) => {
                self.hub.last_question += 1;
                let call = self.hub.last_question;
                self.hub.questions.insert(call, answer);
                self.send(master, b"", Packet::Call { engine, call, body }.encode());
            }
            Cluster::Alone | Cluster::Master(_) if engine == census::MASTER => {
                if let Some(question) = Census::decode(body) {
                    answer(question.answer(&self.hub.presence));
                }
            }
            Cluster::Alone | Cluster::Master(_) => {
                if let Some(engine) = self.hub.numbered.get(engine as usize) {
                    engine.call(body, answer);
                }
            }
        }
    }

    /// Takes the packets that have come by links.
    pub(super) fn take_packets(&mut self) {
        let mut packets = std::mem::take(&mut self.turn.packets);
        for (link, bytes) in packets.drain(..) {
            match Packet::decode(&bytes) {
                Ok(packet) => self.take_packet(link, packet, &bytes),
                Err(error) => {
                    log::error!("what another process of the cluster has sent cannot be read: {error}");
                    self.close(link);
                }
            }
        }
        self.turn.packets = packets;
    }

    fn take_packet(&mut self, link: super::ConnectionId, packet: Packet, bytes: &Bytes) {
        match packet {
            Packet::Publication(publication) => {
                self.take_publication(link, publication, bytes);
            }
            Packet::Past(publication) => self.recall(publication),
            Packet::Present { id } => self.catch_up(id),
            Packet::Count { name, is_pattern, count } => {
                self.set_presence(Topic { name, is_pattern }, Place::There(link), count as usize);
            }
            Packet::Relay { engine, channel, payload } => self.relay(engine, channel, payload),
            Packet::Call { engine, call, body } => {
                let handle = self.handle.clone();
                let answer = move |reply| handle.request(Request::Reply(link, call, reply));
                self.call(engine, body, Box::new(answer));
            }
            Packet::Reply { call, body } => {
                if let Some(answer) = self.hub.questions.remove(&call) {
                    answer(body);
                }
            }
        }
    }

    fn take_publication(&mut self, link: super::ConnectionId, publication: Publication, bytes: &Bytes) {
        let (reach, id) = (publication.reach, publication.id);
        let is_from_worker = !self.is_worker();
        if reach == Reach::All && is_from_worker {
            self.forward(link, &publication.channel, bytes);
        }
        let message = Arc::new(publication.into());
        if reach == Reach::Numbered && is_from_worker {
            return self.publish(Scope::Cluster, &message);
        }
        let message = if id == 0 { message } else { self.take_numbered(&message, id) };
        self.deliver(&message);
    }

    /// A message of one worker for the others.
    fn forward(&mut self, from: super::ConnectionId, channel: &[u8], packet: &Bytes) {
        for link in self.hub.links().to_vec() {
            if link != from {
                self.send(link, channel, packet.clone());
            }
        }
    }

    pub(super) fn send(&mut self, link: super::ConnectionId, lane: &[u8], packet: Bytes) {
        if let Some(connection) = find(&mut self.connections, link) {
            connection.send_packet(lane, packet);
            list(&mut self.touched, connection);
        }
    }

    fn join(&mut self, end: End, socket: UnixStream, limits: WriteLimits) {
        if let Err(error) = socket.set_nonblocking(true) {
            return log::error!("the link to another process of the cluster cannot be used: {error}");
        }
        let stream = Stream::Plain(Socket::Unix(mio::net::UnixStream::from_std(socket)));
        match self.open(stream, |_, _| Protocol::link(limits)) {
            Ok(link) => {
                if end == End::Master {
                    self.tell_past(link);
                }
                self.hub.join(end, link);
            }
            Err(error) => log::error!("the link to another process of the cluster cannot be watched: {error}"),
        }
    }

    /// A connection has ended; it may have been a link.
    pub(super) fn forget_link(&mut self, id: super::ConnectionId) {
        match &mut self.hub.cluster {
            Cluster::Master(workers) if workers.contains(&id) => {
                workers.retain(|worker| *worker != id);
                let lost = self.hub.presence.forget(Place::There(id));
                self.tell_engines(lost);
            }
            Cluster::Worker(master) if *master == Some(id) => {
                *master = None;
                self.hub.questions.clear();
                self.turn.jobs.push(Job::Orphaned);
            }
            _ => {}
        }
    }

    /// Ends the subscriptions of connections that have ended, and tells who wants to know which topics have changed.
    pub(super) fn count_subscribers(&mut self) {
        for client in std::mem::take(&mut self.turn.left) {
            for subscription in client.end_subscriptions() {
                self.hub.unsubscribe(&subscription);
            }
        }
        for topic in std::mem::take(&mut self.hub.changed) {
            let count = self.hub.registry.count(&topic);
            if let Cluster::Worker(Some(master)) = self.hub.cluster {
                let Topic { name, is_pattern } = topic.clone();
                self.send(master, b"", Packet::Count { name, is_pattern, count: count as u64 }.encode());
            }
            self.set_presence(topic, Place::Here, count);
        }
        for (engine, message) in self.hub.outgoing.drain(..) {
            engine.publish(&message);
        }
    }

    pub(super) fn tell_engines(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            for engine in &self.hub.engines {
                self.turn.jobs.extend(engine.tell(&change));
            }
        }
    }

    /// Tells one engine of all topics that the others know of.
    fn tell_all(&mut self, engine: &dyn Engine) {
        for topic in self.hub.presence.topics() {
            self.turn.jobs.extend(engine.tell(&Change::Gained(topic.clone())));
        }
    }

    pub(super) fn is_worker(&self) -> bool {
        matches!(self.hub.cluster, Cluster::Worker(_))
    }

    pub(super) fn set_presence(&mut self, topic: Topic, place: Place, count: usize) {
        let change = self.hub.presence.set(topic, place, count);
        self.tell_engines(change);
    }
}

fn hand_over(
    message: &Arc<Message>,
    encodings: &mut Encodings<'_>,
    target: &Target,
    connections: &mut Slab<Connection>,
    touched: &mut Vec<super::ConnectionId>,
    turn: &mut Turn,
) {
    turn.sheet.add(Count::Delivered, 1);
    match target {
        Target::Direct { connection, as_binary } => {
            if let Some(connection) = find(connections, *connection) {
                connection.publish(encodings, *as_binary, turn);
                list(touched, connection);
            }
        }
        Target::Client(connection, subscription) => {
            if let Some(connection) = find(connections, *connection) {
                connection.tell(Event::Published(Arc::clone(subscription), Arc::clone(message)), turn);
            }
        }
        Target::Process(subscription) => turn.jobs.extend(subscription.receive(message)),
    }
}
