//! What a process subscribes to and publishes as a whole.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use iodine_proto::cluster::Filter;

use super::census::{self, Census};
use super::{Answer, Engine, Handler, Message, Request, Scope, Subscription, Subscriptions, Topic};
use crate::handle::Handle;

/// Messages that wait for the start, and their bytes.
const MOST_WAITING: usize = 1024;
const MOST_WAITING_BYTES: usize = 64 << 20;

/// The subscriptions, engines and publications of a process, whether it serves already or not.
///
/// What is subscribed and attached before the start is kept for the start, and so is what is published then.
#[derive(Default)]
pub struct Process(Mutex<State>);

#[derive(Default)]
struct State {
    /// The reactor, while there is one.
    handle: Option<Handle>,
    subscriptions: Subscriptions,
    engines: Vec<Arc<dyn Engine>>,
    numbered: Vec<Arc<dyn Engine>>,
    waiting: Vec<Request>,
    waiting_bytes: usize,
    /// What processes to be forked begin with.
    kept: Vec<Arc<Subscription>>,
}

impl Process {
    /// Serves by this reactor from now on, with all that was asked for before.
    pub fn attach(&self, handle: &Handle) {
        let mut state = self.state();
        state.subscriptions.iter().for_each(|one| handle.request(Request::Subscribe(Arc::clone(one))));
        state.engines.iter().for_each(|engine| handle.request(Request::Attach(Arc::clone(engine))));
        state.numbered.iter().for_each(|engine| handle.request(Request::AddEngine(Arc::clone(engine))));
        state.waiting.drain(..).for_each(|request| handle.request(request));
        state.waiting_bytes = 0;
        state.handle = Some(handle.clone());
    }

    /// There is no reactor any more.
    pub fn detach(&self) {
        self.state().handle = None;
    }

    /// Remembers the subscriptions of now for processes to be forked.
    pub fn keep(&self) {
        let mut state = self.state();
        state.kept = state.subscriptions.iter().cloned().collect();
    }

    /// In a forked process: begins with what was kept, and with neither engines nor messages that wait.
    pub fn inherit(&self) {
        let mut state = self.state();
        let kept = std::mem::take(&mut state.kept);
        *state = State::default();
        for subscription in kept.iter().filter_map(|one| one.inherited()) {
            // Subscriptions of a process are never closed.
            let _ = state.subscriptions.add(&subscription);
        }
    }

    /// Has `handler` called with all messages of a topic. It takes the place of the one before for the same topic.
    pub fn subscribe(&self, topic: Topic, handler: Handler) {
        let subscription = Subscription::of_process(topic, handler);
        let mut state = self.state();
        if let Ok(Some(before)) = state.subscriptions.add(&subscription) {
            state.request(Request::Unsubscribe(before));
        }
        state.request(Request::Subscribe(subscription));
    }

    /// Ends the subscriptions of this name. False: there was none.
    pub fn unsubscribe(&self, name: &Bytes) -> bool {
        let mut state = self.state();
        let removed = state.subscriptions.remove(name);
        let existed = !removed.is_empty();
        removed.into_iter().for_each(|subscription| state.request(Request::Unsubscribe(subscription)));
        existed
    }

    /// Publishes a message, now or when the process serves.
    pub fn publish(&self, scope: Scope, channel: Bytes, payload: Bytes) {
        let message = Message::new(channel, payload);
        let bytes = message.size();
        self.state().request_or_wait(Request::Publish(scope, Arc::new(message)), bytes);
    }

    /// Gives an engine of the master's a number, by which workers reach it: the first one is 0. To be called before the
    /// start.
    pub fn add_engine(&self, engine: Arc<dyn Engine>) -> u64 {
        let mut state = self.state();
        state.numbered.push(Arc::clone(&engine));
        state.request(Request::AddEngine(engine));
        state.numbered.len() as u64 - 1
    }

    /// Has an engine of the master publish, now or when the process serves.
    pub fn relay(&self, engine: u64, channel: Bytes, payload: Bytes) {
        let bytes = channel.len() + payload.len();
        self.state().request_or_wait(Request::Relay(engine, channel, payload), bytes);
    }

    /// Asks an engine of the master, now or when the process serves.
    pub fn call(&self, engine: u64, question: Bytes, answer: Answer) {
        let bytes = question.len();
        self.state().request_or_wait(Request::Call(engine, question, answer), bytes);
    }

    /// Asks the master about subscribers. False: the process does not serve, so there is none, and no answer.
    pub fn ask(&self, question: &Census, answer: Answer) -> bool {
        let state = self.state();
        state.request(Request::Call(census::MASTER, question.encode(), answer));
        state.handle.is_some()
    }

    /// Publishes a message by way of an engine, behind what was subscribed before.
    pub fn publish_through(&self, engine: Arc<dyn Engine>, channel: Bytes, payload: Bytes) {
        let message = Message::new(channel, payload);
        let state = self.state();
        match &state.handle {
            Some(handle) => handle.request(Request::PublishThrough(engine, Arc::new(message))),
            // Without a reactor nothing is subscribed yet.
            None => engine.publish(&message),
        }
    }

    /// Delivers a message that an engine has brought to the subscribers of a topic, in all processes.
    pub fn deliver(&self, topic: Topic, message: Message) {
        let filter = if topic.is_pattern { Filter::Pattern(topic.name) } else { Filter::Channel };
        let message = Message { filter, ..message };
        self.state().request(Request::Publish(Scope::Cluster, Arc::new(message)));
    }

    /// Tells an engine of topics from now on.
    pub fn attach_engine(&self, engine: Arc<dyn Engine>) {
        let mut state = self.state();
        state.engines.push(Arc::clone(&engine));
        state.request(Request::Attach(engine));
    }

    /// Tells an engine nothing more.
    pub fn detach_engine(&self, engine: &Arc<dyn Engine>) {
        let mut state = self.state();
        state.engines.retain(|one| !Arc::ptr_eq(one, engine));
        state.request(Request::Detach(Arc::clone(engine)));
    }

    /// Tells an engine of all topics again.
    pub fn reset_engine(&self, engine: &Arc<dyn Engine>) {
        self.state().request(Request::Reset(Arc::clone(engine)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is asked for before the start is asked for at the start.
    fn request(&self, request: Request) {
        if let Some(handle) = &self.handle {
            handle.request(request);
        }
    }

    /// What is published before the start waits for it.
    fn request_or_wait(&mut self, request: Request, bytes: usize) {
        if self.handle.is_some() {
            return self.request(request);
        }
        if self.waiting.len() >= MOST_WAITING || self.waiting_bytes + bytes > MOST_WAITING_BYTES {
            return log::warn!(
                "a message is dropped: the server does not run, and {} messages wait for its start",
                self.waiting.len()
            );
        }
        self.waiting_bytes += bytes;
        self.waiting.push(request);
    }
}
