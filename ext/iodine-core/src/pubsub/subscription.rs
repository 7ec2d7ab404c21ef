//! One subscription, and all those of one owner.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::inbox::{Pushed, is_worth_a_line};
use super::{Inbox, LastSeen, Message, Stamp, Topic};
use crate::jobs::Job;
use crate::reactor::ConnectionId;

/// What the application wants to be called with messages; the core only keeps it.
pub type Handler = Arc<dyn Any + Send + Sync>;

/// How a connection is given messages.
pub enum Delivery {
    /// They are written to the peer, without the application.
    Direct {
        /// As binary messages of a WebSocket, also when they are texts.
        as_binary: bool,
    },
    /// The application is called.
    Block(Handler),
}

/// A subscription to one topic, of a connection or of the process.
pub struct Subscription {
    id: u64,
    topic: Topic,
    since: Stamp,
    /// `None`: it gets nothing of before.
    last_seen: Option<LastSeen>,
    owner: Owner,
    active: AtomicBool,
    /// Its connection has ended, and with it all that was asked for it.
    abandoned: AtomicBool,
}

enum Owner {
    Client(Delivery),
    Process(Handler, Inbox<Arc<Message>>),
}

/// Where the reactor sends messages.
#[derive(Clone)]
pub(crate) enum Target {
    Direct { connection: ConnectionId, as_binary: bool },
    Client(ConnectionId, Arc<Subscription>),
    Process(Arc<Subscription>),
}

impl Subscription {
    pub(crate) fn of_client(topic: Topic, delivery: Delivery, last_seen: Option<LastSeen>) -> Arc<Self> {
        Self::new(topic, Stamp::now(), last_seen, Owner::Client(delivery))
    }

    pub(crate) fn of_process(topic: Topic, handler: Handler, last_seen: Option<LastSeen>) -> Arc<Self> {
        Self::new(topic, Stamp::now(), last_seen, Owner::Process(handler, Inbox::default()))
    }

    /// The same subscription of a process that was forked. Only for one of a process.
    pub(crate) fn inherited(&self) -> Option<Arc<Self>> {
        let Owner::Process(handler, _) = &self.owner else { return None };
        let owner = Owner::Process(Arc::clone(handler), Inbox::default());
        Some(Self::new(self.topic.clone(), self.since, self.last_seen, owner))
    }

    fn new(topic: Topic, since: Stamp, last_seen: Option<LastSeen>, owner: Owner) -> Arc<Self> {
        static ID: AtomicU64 = AtomicU64::new(0);
        let id = ID.fetch_add(1, Ordering::Relaxed);
        let (active, abandoned) = (AtomicBool::new(true), AtomicBool::new(false));
        Arc::new(Self { id, topic, since, last_seen, owner, active, abandoned })
    }

    /// What the application wants to be called.
    pub fn handler(&self) -> Option<&Handler> {
        match &self.owner {
            Owner::Client(Delivery::Block(handler)) | Owner::Process(handler, _) => Some(handler),
            Owner::Client(Delivery::Direct { .. }) => None,
        }
    }

    /// Whether it has not been ended.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// The next message, for the thread that has taken the subscription's job. `None`: the job is done.
    pub fn next_message(&self) -> Option<Arc<Message>> {
        match &self.owner {
            Owner::Process(_, inbox) => inbox.next(),
            Owner::Client(_) => None,
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(crate) fn since(&self) -> Stamp {
        self.since
    }

    /// The last message that its owner has seen, when it wants those that came after.
    pub(crate) fn last_seen(&self) -> Option<LastSeen> {
        self.last_seen
    }

    /// Where its messages go, when it is that of the client of a connection.
    pub(crate) fn target(self: &Arc<Self>, connection: ConnectionId) -> Target {
        match self.owner {
            Owner::Client(Delivery::Direct { as_binary }) => Target::Direct { connection, as_binary },
            _ => Target::Client(connection, Arc::clone(self)),
        }
    }

    /// A message for the block of a process. `Some`: the job that has to be queued for it.
    pub(crate) fn receive(self: &Arc<Self>, message: &Arc<Message>) -> Option<Job> {
        let Owner::Process(_, inbox) = &self.owner else { return None };
        match inbox.push(Arc::clone(message), message.size()) {
            Pushed::NeedsJob => Some(Job::Subscription(Arc::clone(self))),
            Pushed::HasJob => None,
            Pushed::Dropped(count) => {
                self.note_dropped(count);
                None
            }
        }
    }

    /// Tells that the application is too slow for what was published, as so many times before.
    pub(crate) fn note_dropped(&self, count: u64) {
        if is_worth_a_line(count) {
            let name = String::from_utf8_lossy(&self.topic.name);
            log::warn!("a block that is subscribed to {name:?} is too slow: {count} messages were dropped");
        }
    }

    /// Whether its connection has ended. The reactor may learn of the subscription after that.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// From now on no block is called.
    fn end(&self) {
        self.active.store(false, Ordering::Release);
    }

    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.end();
    }
}

impl PartialEq for Subscription {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Subscription {}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Subscription").field("id", &self.id).field("topic", &self.topic).finish()
    }
}

/// The subscriptions of one owner, one for each topic.
#[derive(Default)]
pub(crate) struct Subscriptions {
    by_topic: HashMap<Topic, Arc<Subscription>>,
    is_closed: bool,
}

impl Subscriptions {
    /// Adds one, and returns the one it takes the place of.
    pub(crate) fn add(&mut self, subscription: &Arc<Subscription>) -> Result<Option<Arc<Subscription>>, OwnerGone> {
        if self.is_closed {
            return Err(OwnerGone);
        }
        let before = self.by_topic.insert(subscription.topic.clone(), Arc::clone(subscription));
        Ok(before.inspect(|before| before.end()))
    }

    /// Ends those of a name: that of the channel, and that of the pattern.
    pub(crate) fn remove(&mut self, name: &Bytes) -> Vec<Arc<Subscription>> {
        [false, true]
            .into_iter()
            .filter_map(|is_pattern| self.by_topic.remove(&Topic { name: name.clone(), is_pattern }))
            .inspect(|subscription| subscription.end())
            .collect()
    }

    /// Ends all, and takes no others.
    pub(crate) fn close(&mut self) -> Vec<Arc<Subscription>> {
        self.is_closed = true;
        let all: Vec<_> = std::mem::take(&mut self.by_topic).into_values().collect();
        all.iter().for_each(|subscription| subscription.abandon());
        all
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.by_topic.values()
    }
}

/// There is nobody left to subscribe.
#[derive(Debug)]
pub(crate) struct OwnerGone;
