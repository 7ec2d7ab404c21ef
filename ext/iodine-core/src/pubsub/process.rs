//! What a process subscribes to and publishes as a whole.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use iodine_proto::cluster::Filter;

use super::census::{self, Census};
use super::{
    Answer, Bounds, Engine, Handler, LastSeen, Message, Request, Rules, Scope, Subscription, Subscriptions, Topic,
    is_worth_a_line,
};
use crate::handle::Handle;
use crate::random;

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
    /// Messages that found no room there.
    dropped: u64,
    /// What processes to be forked begin with.
    kept: Vec<Arc<Subscription>>,
    rules: Rules,
    /// The rules are those of a server by now.
    has_begun: bool,
}

/// The server has begun, and its rules are fixed.
#[derive(Debug)]
pub struct HasBegun;

impl Process {
    /// Has a channel, or all channels of a pattern, keep messages.
    ///
    /// # Errors
    /// [`HasBegun`]: all processes of a cluster have to have the same rules.
    pub fn remember(&self, topic: Topic, bounds: Bounds) -> Result<(), HasBegun> {
        let mut state = self.state();
        if state.has_begun {
            return Err(HasBegun);
        }
        state.rules.add(topic, bounds);
        Ok(())
    }

    /// A server begins, of which this is the reactor, or that of the master. All channels together keep `most_bytes`. To
    /// be called before the fork, and in each forked process before its reactor runs.
    pub fn begin(&self, handle: &Handle, most_bytes: usize) {
        let mut state = self.state();
        state.has_begun = true;
        state.rules.most_bytes = most_bytes;
        if state.rules.epoch == 0 {
            state.rules.epoch = u32::from_ne_bytes(random::bytes()).max(1);
        }
        if !state.rules.is_empty() {
            handle.request(Request::Remember(Arc::new(state.rules.clone())));
        }
    }

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
        let mut state = self.state();
        state.handle = None;
        state.has_begun = false;
        state.rules.epoch = 0;
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
        let rules = std::mem::take(&mut state.rules);
        *state = State { rules, has_begun: true, ..State::default() };
        for subscription in kept.iter().filter_map(|one| one.inherited()) {
            // Subscriptions of a process are never closed.
            let _ = state.subscriptions.add(&subscription);
        }
    }

    /// Has `handler` called with all messages of a topic, and with those that were kept since `last_seen`. It takes the
    /// place of the one before for the same topic.
    pub fn subscribe(&self, topic: Topic, handler: Handler, last_seen: Option<LastSeen>) {
        let subscription = Subscription::of_process(topic, handler, last_seen);
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
            self.dropped += 1;
            if is_worth_a_line(self.dropped) {
                let (dropped, waiting) = (self.dropped, self.waiting.len());
                log::warn!(
                    "the server does not run, and {waiting} messages wait for its start: {dropped} were dropped"
                );
            }
            return;
        }
        self.waiting_bytes += bytes;
        self.waiting.push(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Command;
    use crate::reactor::Reactor;

    /// What a reactor is asked for at the start.
    fn at_the_start(process: &Process) -> usize {
        let handle = Reactor::new(Arc::default()).unwrap().handle();
        process.attach(&handle);
        let mut commands: Vec<Command> = Vec::new();
        handle.receive(&mut commands);
        commands.len()
    }

    #[test]
    fn so_many_messages_wait_for_the_start() {
        for (published, expected) in [(MOST_WAITING - 1, 0), (MOST_WAITING, 0), (MOST_WAITING + 1, 1)] {
            let process = Process::default();
            (0..published).for_each(|_| process.publish(Scope::Cluster, "a".into(), "b".into()));
            assert_eq!(process.state().dropped, expected, "{published}");
            assert_eq!(at_the_start(&process), published.min(MOST_WAITING));
        }
    }

    #[test]
    fn so_many_bytes_wait_for_the_start() {
        for (more, expected) in [(0, 1), (1, 0)] {
            let process = Process::default();
            process.publish(Scope::Cluster, "a".into(), vec![0; MOST_WAITING_BYTES / 2].into());
            process.publish(Scope::Cluster, "a".into(), vec![0; MOST_WAITING_BYTES / 2 - 2 + more].into());
            assert_eq!(at_the_start(&process), 1 + expected, "{more} too many");
        }
    }

    #[test]
    fn rules_are_fixed_from_the_start_on() {
        let process = Process::default();
        let bounds = Bounds { messages: 1, bytes: 1, age: std::time::Duration::from_secs(1) };
        let handle = Reactor::new(Arc::default()).unwrap().handle();
        assert!(process.remember(Topic::channel("a"), bounds).is_ok());
        process.begin(&handle, 1);
        let epoch = process.state().rules.epoch;
        assert!(process.remember(Topic::channel("b"), bounds).is_err());
        process.inherit();
        process.begin(&handle, 1);
        assert_eq!(process.state().rules.epoch, epoch, "a worker has that of its master");
        assert!(process.remember(Topic::channel("b"), bounds).is_err());
        process.detach();
        assert!(process.remember(Topic::channel("b"), bounds).is_ok());
        process.begin(&handle, 1);
        assert_ne!(process.state().rules.epoch, epoch, "another server, whose numbers begin anew");
    }
}
