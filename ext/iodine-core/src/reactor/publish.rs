//! Publish and subscribe, as far as it is the reactor's: who is subscribed, and the way of a message to them.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Reactor, find, list};
use crate::client::{Client, Event};
use crate::pubsub::registry::Subscriber;
use crate::pubsub::{Change, Encodings, Engine, Message, Registry, Request, Scope, Subscription, Target, Topic};

/// What a reactor knows of subscriptions.
#[derive(Default)]
pub(super) struct Hub {
    registry: Registry<Target>,
    engines: Vec<Arc<dyn Engine>>,
    /// Topics that have had subscribers when the last turn ended.
    alive: HashSet<Topic>,
    /// Topics whose subscribers have changed since.
    changed: HashSet<Topic>,
    /// Messages of this turn for engines, which are told of the changes before.
    outgoing: Vec<(Arc<dyn Engine>, Arc<Message>)>,
}

impl Hub {
    fn subscribe(&mut self, subscription: &Subscription, target: Target) {
        let topic = subscription.topic();
        self.registry.subscribe(topic, subscription.id(), subscription.since(), target);
        self.changed.insert(topic.clone());
    }

    /// A client may have left before its wish has come, and may never have had a connection.
    fn subscribe_client(&mut self, subscription: &Arc<Subscription>, client: &Client) {
        if let Some(connection) = client.connection()
            && !subscription.is_abandoned()
        {
            self.subscribe(subscription, subscription.target(connection));
        }
    }

    fn unsubscribe(&mut self, subscription: &Subscription) {
        if self.registry.unsubscribe(subscription.id()) {
            self.changed.insert(subscription.topic().clone());
        }
    }

    /// Topics that have gained their first subscriber, or lost their last one, since the last time.
    fn changes(&mut self) -> Vec<Change> {
        let Self { registry, alive, changed, .. } = self;
        changed
            .drain()
            .filter_map(|topic| {
                if registry.count(&topic) > 0 {
                    alive.insert(topic.clone()).then_some(Change::Gained(topic))
                } else {
                    alive.remove(&topic).then_some(Change::Lost(topic))
                }
            })
            .collect()
    }
}

impl Reactor {
    pub(super) fn carry_out_request(&mut self, request: Request) {
        match request {
            Request::Subscribe(subscription) => {
                self.hub.subscribe(&subscription, Target::Process(Arc::clone(&subscription)));
            }
            Request::SubscribeClient(subscription, client) => self.hub.subscribe_client(&subscription, &client),
            Request::Unsubscribe(subscription) => self.hub.unsubscribe(&subscription),
            Request::Publish(Scope::Siblings, _) => {}
            Request::Publish(_, message) => {
                self.deliver(&message, |registry, give| registry.each_subscriber(&message.channel, give));
            }
            Request::Deliver(topic, message) => {
                self.deliver(&message, |registry, give| registry.each_subscriber_of(&topic, give));
            }
            Request::PublishThrough(engine, message) => self.hub.outgoing.push((engine, message)),
            Request::Attach(engine) => {
                self.tell_all(&*engine);
                self.hub.engines.push(engine);
            }
            Request::Detach(engine) => {
                self.hub.engines.retain(|one| !Arc::ptr_eq(one, &engine));
                engine.detached(&self.hub.alive);
            }
            Request::Reset(engine) => self.tell_all(&*engine),
        }
    }

    /// Gives a message to those subscribers of this process that `find_all` finds.
    fn deliver(
        &mut self,
        message: &Arc<Message>,
        find_all: impl FnOnce(&Registry<Target>, &mut dyn FnMut(&Subscriber<Target>)),
    ) {
        let Self { hub, connections, touched, turn, .. } = self;
        let mut encodings = Encodings::new(message);
        find_all(&hub.registry, &mut |subscriber| {
            if message.published < subscriber.since {
                return;
            }
            match &subscriber.target {
                Target::Direct { connection, as_binary } => {
                    if let Some(connection) = find(connections, *connection) {
                        connection.publish(&mut encodings, *as_binary, turn);
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
        });
    }

    /// Ends the subscriptions of connections that have ended.
    pub(super) fn end_subscriptions(&mut self) {
        for client in self.turn.left.drain(..) {
            for subscription in client.end_subscriptions() {
                self.hub.unsubscribe(&subscription);
            }
        }
    }

    /// Tells the engines what has changed in this turn, and then gives them what is published through them.
    pub(super) fn tell_engines(&mut self) {
        if !self.hub.changed.is_empty() {
            for change in self.hub.changes() {
                for engine in &self.hub.engines {
                    self.turn.jobs.extend(engine.tell(&change));
                }
            }
        }
        for (engine, message) in self.hub.outgoing.drain(..) {
            engine.publish(&message);
        }
    }

    /// Tells one engine of all topics that the others know of.
    fn tell_all(&mut self, engine: &dyn Engine) {
        for topic in &self.hub.alive {
            self.turn.jobs.extend(engine.tell(&Change::Gained(topic.clone())));
        }
    }
}
