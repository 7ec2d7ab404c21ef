//! Who else wants to know which topics have subscribers: other ways for messages, within the process or beyond it.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::inbox::{Pushed, is_worth_a_line};
use super::{Handler, Inbox, Message, Topic};
use crate::jobs::Job;

/// Is told which topics have subscribers, from when it is [attached](super::Process::attach_engine): first of those that
/// have them, and then of all changes, in order.
pub trait Engine: Send + Sync {
    /// Takes a change; called in the reactor's turn, so it must not wait. Returns the job that has to be queued, when it
    /// is the application that is told.
    ///
    /// A topic that gains and loses its subscribers within one turn may not be told at all.
    fn tell(&self, change: &Change) -> Option<Job>;

    /// Takes a message to wherever it leads; called in the reactor's turn, behind the changes of the same turn. Those
    /// that the application has written are called by the application.
    fn publish(&self, _message: &Message) {}

    /// Answers a question of a process of the cluster, at once or later, from any thread. Both are in the engine's own
    /// words. Called in the reactor's turn, so it must not wait.
    fn call(&self, _question: Bytes, _answer: Answer) {}

    /// It is told nothing more, while these topics have subscribers.
    fn detached(&self, _topics: &HashSet<Topic>) {}
}

/// Takes the answer to a question. One that is dropped is never answered.
pub type Answer = Box<dyn FnOnce(Bytes) + Send>;

/// What an engine is told. For the master of a cluster, of all processes together; for others, of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A topic has its first subscriber.
    Gained(Topic),
    /// A topic has lost its last subscriber.
    Lost(Topic),
}

/// An engine that the application has written: what it is told waits in an inbox, until a thread calls it.
pub struct Listener {
    this: Weak<Self>,
    handler: Handler,
    inbox: Inbox<Change>,
}

impl Listener {
    /// An engine for an object of the application.
    pub fn new(handler: Handler) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { this: Weak::clone(this), handler, inbox: Inbox::default() })
    }

    /// The application's own object.
    pub fn handler(&self) -> &Handler {
        &self.handler
    }

    /// The next change, for the thread that has taken the listener's job. `None`: the job is done.
    pub fn next_change(&self) -> Option<Change> {
        self.inbox.next()
    }
}

impl Engine for Listener {
    fn tell(&self, change: &Change) -> Option<Job> {
        let (Change::Gained(topic) | Change::Lost(topic)) = change;
        match self.inbox.push(change.clone(), topic.name.len()) {
            Pushed::NeedsJob => self.this.upgrade().map(Job::Listener),
            Pushed::HasJob => None,
            Pushed::Dropped(count) => {
                if is_worth_a_line(count) {
                    log::warn!("an engine is too slow: it was not told of {count} channels that came or went");
                }
                None
            }
        }
    }
}
