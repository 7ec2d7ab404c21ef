//! Who is subscribed to what.

use std::collections::HashMap;

use bytes::Bytes;
use iodine_proto::cluster::Filter;
use iodine_proto::glob::Glob;
use slab::Slab;

use super::{Message, Stamp, Topic};

/// Subscribers by their topics. Whatever their number, to add one, to remove one and to find those of a channel takes
/// the same time; only each pattern adds to the last.
pub struct Registry<T> {
    channels: HashMap<Bytes, usize>,
    patterns: HashMap<Bytes, usize>,
    /// All topics that have subscribers.
    topics: Slab<Entry<T>>,
    places: HashMap<u64, Place>,
}

/// One subscriber of a topic.
pub struct Subscriber<T> {
    id: u64,
    /// With what it begins.
    pub start: Start,
    /// Who it is.
    pub target: T,
}

/// The first message that a subscriber is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// What was published before is not for it.
    pub since: Stamp,
    /// Of the messages that are kept it has those up to this number already, and gets all others.
    pub after: Option<u64>,
}

impl Start {
    pub(crate) fn admits(self, message: &Message) -> bool {
        match (message.id, self.after) {
            (Some(id), Some(after)) => id.number > after,
            _ => message.published >= self.since,
        }
    }
}

struct Entry<T> {
    name: Bytes,
    /// `None` for a channel.
    glob: Option<Glob>,
    /// Never empty, but while it is made.
    subscribers: Vec<Subscriber<T>>,
}

/// Invariant: `topics[topic].subscribers[at]` is the subscriber that has this place.
struct Place {
    topic: usize,
    at: usize,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { channels: HashMap::new(), patterns: HashMap::new(), topics: Slab::new(), places: HashMap::new() }
    }
}

impl<T> Registry<T> {
    /// Adds a subscriber, whose id must be a new one.
    pub fn subscribe(&mut self, topic: &Topic, id: u64, start: Start, target: T) {
        let index = self.find_or_add(topic);
        let subscribers = &mut self.topics[index].subscribers;
        self.places.insert(id, Place { topic: index, at: subscribers.len() });
        subscribers.push(Subscriber { id, start, target });
    }

    /// Removes a subscriber. False: there is none of this id.
    pub fn unsubscribe(&mut self, id: u64) -> bool {
        let Some(Place { topic, at }) = self.places.remove(&id) else { return false };
        let subscribers = &mut self.topics[topic].subscribers;
        subscribers.swap_remove(at);
        if let Some(moved) = subscribers.get(at) {
            self.places.insert(moved.id, Place { topic, at });
        }
        if self.topics[topic].subscribers.is_empty() {
            let entry = self.topics.remove(topic);
            self.names(entry.glob.is_some()).remove(&entry.name);
        }
        true
    }

    /// Calls `each` for the subscribers of a channel: those of its name, and then those of each pattern it matches; or
    /// for some of these.
    pub fn each_subscriber(&self, channel: &[u8], filter: &Filter, mut each: impl FnMut(&Subscriber<T>)) {
        if let Filter::Pattern(pattern) = filter {
            return self.subscribers(&self.patterns, pattern).iter().for_each(each);
        }
        self.subscribers(&self.channels, channel).iter().for_each(&mut each);
        if *filter == Filter::Channel {
            return;
        }
        for &index in self.patterns.values() {
            let entry = &self.topics[index];
            if entry.glob.as_ref().is_some_and(|glob| glob.matches(channel)) {
                entry.subscribers.iter().for_each(&mut each);
            }
        }
    }

    /// Subscribers of a topic.
    pub fn count(&self, topic: &Topic) -> usize {
        let names = if topic.is_pattern { &self.patterns } else { &self.channels };
        self.subscribers(names, &topic.name).len()
    }

    fn subscribers(&self, names: &HashMap<Bytes, usize>, name: &[u8]) -> &[Subscriber<T>] {
        names.get(name).map_or(&[], |&index| &self.topics[index].subscribers)
    }

    fn find_or_add(&mut self, topic: &Topic) -> usize {
        if let Some(&index) = self.names(topic.is_pattern).get(&topic.name) {
            return index;
        }
        let index = self.topics.insert(Entry {
            name: topic.name.clone(),
            glob: topic.is_pattern.then(|| Glob::new(&topic.name)),
            subscribers: Vec::with_capacity(1),
        });
        self.names(topic.is_pattern).insert(topic.name.clone(), index);
        index
    }

    fn names(&mut self, is_pattern: bool) -> &mut HashMap<Bytes, usize> {
        if is_pattern { &mut self.patterns } else { &mut self.channels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(registry: &Registry<&'static str>, channel: &str) -> Vec<&'static str> {
        filtered(registry, channel, &Filter::None)
    }

    fn filtered(registry: &Registry<&'static str>, channel: &str, filter: &Filter) -> Vec<&'static str> {
        let mut found = Vec::new();
        registry.each_subscriber(channel.as_bytes(), filter, |subscriber| found.push(subscriber.target));
        found.sort_unstable();
        found
    }

    #[test]
    fn finds_the_subscribers_of_a_channel_and_of_its_patterns() {
        let mut registry = Registry::default();
        registry.subscribe(&Topic::channel("news"), 1, Start::default(), "one");
        registry.subscribe(&Topic::channel("news"), 2, Start::default(), "two");
        registry.subscribe(&Topic::pattern("n*"), 3, Start::default(), "pattern");
        registry.subscribe(&Topic::channel("n*"), 4, Start::default(), "same name");
        registry.subscribe(&Topic::channel(""), 5, Start::default(), "empty");
        assert_eq!(receivers(&registry, "news"), ["one", "pattern", "two"]);
        assert_eq!(receivers(&registry, "n*"), ["pattern", "same name"]);
        assert_eq!(receivers(&registry, ""), ["empty"]);
        assert_eq!(receivers(&registry, "other"), [""; 0]);
        assert_eq!(filtered(&registry, "news", &Filter::Channel), ["one", "two"]);
        assert_eq!(filtered(&registry, "news", &Filter::Pattern("n*".into())), ["pattern"]);
        assert_eq!(filtered(&registry, "news", &Filter::Pattern("x".into())), [""; 0]);
        assert_eq!((registry.count(&Topic::channel("news")), registry.count(&Topic::pattern("n*"))), (2, 1));
    }

    #[test]
    fn forgets_those_who_leave_and_topics_without_subscribers() {
        let mut registry = Registry::default();
        for id in 0..4 {
            registry.subscribe(
                &Topic::channel("a"),
                id,
                Start::default(),
                ["zero", "one", "two", "three"][id as usize],
            );
        }
        registry.subscribe(&Topic::pattern("*"), 9, Start::default(), "pattern");
        assert!(registry.unsubscribe(1) && registry.unsubscribe(3) && registry.unsubscribe(9));
        assert!(!registry.unsubscribe(1), "it is gone already");
        assert_eq!(receivers(&registry, "a"), ["two", "zero"]);
        assert!(registry.unsubscribe(0) && registry.unsubscribe(2));
        assert_eq!(receivers(&registry, "a"), [""; 0]);
        assert!(registry.topics.is_empty() && registry.places.is_empty());
        assert!(registry.channels.is_empty() && registry.patterns.is_empty());
    }

    #[test]
    fn begins_with_what_was_published_since_or_with_what_was_not_seen() {
        let numbered = |number| Some(crate::pubsub::MessageId { epoch: 1, number });
        let message = |published, id| Message { published: Stamp(published), id, ..Message::new("".into(), "".into()) };
        let (fresh, back) = (Start { since: Stamp(5), after: None }, Start { since: Stamp(5), after: Some(7) });
        let table = [
            (message(4, None), false, false),
            (message(5, None), true, true),
            (message(4, numbered(8)), false, true),
            (message(9, numbered(8)), true, true),
            (message(9, numbered(7)), true, false),
        ];
        for (message, for_fresh, for_back) in table {
            assert_eq!((fresh.admits(&message), back.admits(&message)), (for_fresh, for_back), "{message:?}");
        }
    }
}
