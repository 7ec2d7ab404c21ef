//! What a process subscribes to and publishes as a whole.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Engine, Handler, Message, Request, Scope, Subscription, Subscriptions, Topic};
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
    waiting: Vec<(Scope, Arc<Message>)>,
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
        state.waiting.drain(..).for_each(|(scope, message)| handle.request(Request::Publish(scope, message)));
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
        let message = Arc::new(Message::new(channel, payload));
        let mut state = self.state();
        match &state.handle {
            Some(handle) => handle.request(Request::Publish(scope, message)),
            None => state.wait(scope, message),
        }
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
        self.state().request(Request::Deliver(topic, Arc::new(message)));
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

    fn wait(&mut self, scope: Scope, message: Arc<Message>) {
        self.waiting_bytes += message.size();
        if self.waiting.len() >= MOST_WAITING || self.waiting_bytes > MOST_WAITING_BYTES {
            self.waiting_bytes -= message.size();
            return log::warn!(
                "a message to {:?} is dropped: the server does not run, and {} messages wait for its start",
                String::from_utf8_lossy(&message.channel),
                self.waiting.len()
            );
        }
        self.waiting.push((scope, message));
    }
}
