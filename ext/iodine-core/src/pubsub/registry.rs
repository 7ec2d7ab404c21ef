//! Who is subscribed to what.

use std::collections::HashMap;

use bytes::Bytes;
use iodine_proto::cluster::Filter;
use iodine_proto::glob::Glob;
use slab::Slab;

use super::{Stamp, Topic};

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
    /// What was published before is not for it.
    pub since: Stamp,
    /// Who it is.
    pub target: T,
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
    pub fn subscribe(&mut self, topic: &Topic, id: u64, since: Stamp, target: T) {
        let index = self.find_or_add(topic);
        let subscribers = &mut self.topics[index].subscribers;
        self.places.insert(id, Place { topic: index, at: subscribers.len() });
        subscribers.push(Subscriber { id, since, target });
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
        registry.subscribe(&Topic::channel("news"), 1, Stamp(0), "one");
        registry.subscribe(&Topic::channel("news"), 2, Stamp(0), "two");
        registry.subscribe(&Topic::pattern("n*"), 3, Stamp(0), "pattern");
        registry.subscribe(&Topic::channel("n*"), 4, Stamp(0), "same name");
        registry.subscribe(&Topic::channel(""), 5, Stamp(0), "empty");
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
            registry.subscribe(&Topic::channel("a"), id, Stamp(0), ["zero", "one", "two", "three"][id as usize]);
        }
        registry.subscribe(&Topic::pattern("*"), 9, Stamp(0), "pattern");
        assert!(registry.unsubscribe(1) && registry.unsubscribe(3) && registry.unsubscribe(9));
        assert!(!registry.unsubscribe(1), "it is gone already");
        assert_eq!(receivers(&registry, "a"), ["two", "zero"]);
        assert!(registry.unsubscribe(0) && registry.unsubscribe(2));
        assert_eq!(receivers(&registry, "a"), [""; 0]);
        assert!(registry.topics.is_empty() && registry.places.is_empty());
        assert!(registry.channels.is_empty() && registry.patterns.is_empty());
    }
}
