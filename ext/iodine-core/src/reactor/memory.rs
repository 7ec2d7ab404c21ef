//! Channels that keep their messages, as far as it is the reactor's: how messages are numbered, how a new worker learns
//! what is kept, and what a subscriber who comes back is given.
//!
//! A worker hands a message over to its master, and delivers it when it comes back with its number; so all processes see
//! these messages in one order, and keep the same ones. They share a lane of the links, because one id stands for all of
//! them: who has seen it has seen every message before it, of whatever channel.

use std::sync::Arc;

use iodine_proto::cluster::{Packet, Publication, Reach};

use super::{ConnectionId, Reactor};
use crate::pubsub::history::History;
use crate::pubsub::presence::Place;
use crate::pubsub::rules::Judged;
use crate::pubsub::{Message, Rules, Stamp, Subscription, Target};

/// The lane of the messages that are kept.
const LANE: &[u8] = b"\0kept";

/// What a reactor knows of the messages that are kept.
pub(super) struct Memory {
    history: History,
    /// A new worker is told of the past before the present. Until then it does not know what subscribers have missed.
    has_caught_up: bool,
    waiting: Vec<(Arc<Subscription>, Target)>,
}

impl Reactor {
    /// Channels keep messages from now on. Engines have to bring these whether or not somebody is subscribed.
    pub(super) fn remember(&mut self, rules: Arc<Rules>) {
        let is_worker = self.is_worker();
        if !is_worker {
            for topic in rules.topics() {
                self.set_presence(topic, Place::Kept, 1);
            }
        }
        let history = History::new(rules);
        self.hub.memory = Some(Memory { history, has_caught_up: !is_worker, waiting: Vec::new() });
    }

    /// Publishes a message in the cluster if its channel keeps it. False: it does not.
    pub(super) fn publish_kept(&mut self, message: &Arc<Message>) -> bool {
        let is_worker = self.is_worker();
        let Some(memory) = &mut self.hub.memory else { return false };
        match memory.history.judge(message) {
            Judged::Plain => return false,
            Judged::Copy => {}
            Judged::Kept if is_worker => self.send_in_lane(&message.channel, message, Reach::Numbered),
            Judged::Kept => {
                let message = memory.history.number(message, Stamp::now());
                self.deliver(&message);
                self.send_in_lane(LANE, &message, Reach::Receiver);
            }
        }
        true
    }

    /// A message has come from the master, with its number.
    pub(super) fn take_numbered(&mut self, message: &Arc<Message>, number: u64) -> Arc<Message> {
        match &mut self.hub.memory {
            Some(memory) => memory.history.take(message, number, Stamp::now()),
            None => Arc::clone(message),
        }
    }

    /// Tells a new worker what is kept. What is numbered from now on comes behind that.
    pub(super) fn tell_past(&mut self, link: ConnectionId) {
        let Some(memory) = &self.hub.memory else { return };
        let (all, id) = (memory.history.all(), memory.history.last());
        for message in all {
            self.send(link, LANE, Packet::Past(message.packet(Reach::Receiver)).encode());
        }
        self.send(link, LANE, Packet::Present { id }.encode());
    }

    /// A message that was kept before this worker existed.
    pub(super) fn recall(&mut self, publication: Publication) {
        let number = publication.id;
        if let Some(memory) = &mut self.hub.memory {
            memory.history.recall(&publication.into(), number, Stamp::now());
        }
    }

    /// This worker knows all that is kept: those who have asked for it get it.
    pub(super) fn catch_up(&mut self, last: u64) {
        let Some(memory) = &mut self.hub.memory else { return };
        memory.history.catch_up(last);
        memory.has_caught_up = true;
        for (subscription, target) in std::mem::take(&mut memory.waiting) {
            if subscription.is_active() && !subscription.is_abandoned() {
                self.hub.unsubscribe(&subscription);
                self.subscribe(&subscription, target);
            }
        }
    }

    /// Adds a subscriber, and gives it what it has missed.
    pub(super) fn subscribe(&mut self, subscription: &Arc<Subscription>, target: Target) {
        let after = match (&mut self.hub.memory, subscription.last_seen()) {
            (Some(memory), Some(_)) if !memory.has_caught_up => {
                memory.waiting.push((Arc::clone(subscription), target.clone()));
                // It gets what is not kept, and of the rest nothing yet.
                Some(u64::MAX)
            }
            (Some(memory), Some(seen)) => {
                let after = memory.history.last();
                for message in memory.history.since(subscription.topic(), seen, Stamp::now()) {
                    self.deliver_to(&message, &target);
                }
                Some(after)
            }
            _ => None,
        };
        self.hub.subscribe(subscription, after, target);
    }
}
