//! How many subscribers the topics have, here and in other processes.

use std::collections::HashMap;

use super::Topic;
use super::engine::Change;
use crate::reactor::ConnectionId;

/// Counts of subscribers by topic and by the process that they are in.
#[derive(Default)]
pub(crate) struct Presence {
    /// Never empty, and never zero.
    topics: HashMap<Topic, Vec<(Place, usize)>>,
}

/// This process, or that at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Here,
    There(ConnectionId),
    /// Messages are kept here, whether or not somebody is subscribed.
    Kept,
}

impl Presence {
    /// A topic has so many subscribers in one place. `Some`: it has gained its first one, or lost its last one.
    pub(crate) fn set(&mut self, topic: Topic, place: Place, count: usize) -> Option<Change> {
        let known = self.topics.contains_key(&topic);
        let places = self.topics.entry(topic.clone()).or_default();
        places.retain(|(other, _)| *other != place);
        if count > 0 {
            places.push((place, count));
        }
        if places.is_empty() {
            self.topics.remove(&topic);
            return known.then_some(Change::Lost(topic));
        }
        (!known).then_some(Change::Gained(topic))
    }

    /// A place is gone: the topics that have lost their last subscriber.
    pub(crate) fn forget(&mut self, place: Place) -> Vec<Change> {
        let mut lost = Vec::new();
        self.topics.retain(|topic, places| {
            places.retain(|(other, _)| *other != place);
            if places.is_empty() {
                lost.push(Change::Lost(topic.clone()));
            }
            !places.is_empty()
        });
        lost
    }

    /// All topics that have subscribers, or keep messages.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.keys()
    }

    /// Subscribers of a topic, in all places.
    pub(crate) fn count(&self, topic: &Topic) -> usize {
        let places = self.topics.get(topic).map_or(&[][..], Vec::as_slice);
        places.iter().filter(|(place, _)| *place != Place::Kept).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_of_all_places_are_told() {
        let mut presence = Presence::default();
        let (topic, there) = (Topic::channel("a"), Place::There(ConnectionId::default()));
        assert_eq!(presence.set(topic.clone(), Place::Here, 1), Some(Change::Gained(topic.clone())));
        assert_eq!(presence.set(topic.clone(), Place::Here, 2), None);
        assert_eq!(presence.set(topic.clone(), there, 3), None);
        assert_eq!(presence.count(&topic), 5);
        assert_eq!(presence.set(topic.clone(), Place::Here, 0), None);
        assert_eq!(presence.set(topic.clone(), there, 0), Some(Change::Lost(topic.clone())));
        assert_eq!(presence.set(topic.clone(), there, 0), None);
        assert_eq!((presence.count(&topic), presence.topics().count()), (0, 0));
    }

    #[test]
    fn a_topic_that_keeps_messages_is_there_without_subscribers() {
        let (mut presence, topic) = (Presence::default(), Topic::channel("a"));
        assert_eq!(presence.set(topic.clone(), Place::Kept, 1), Some(Change::Gained(topic.clone())));
        assert_eq!((presence.count(&topic), presence.topics().count()), (0, 1));
        assert_eq!(presence.set(topic.clone(), Place::Here, 2), None);
        assert_eq!(presence.count(&topic), 2);
        assert_eq!(presence.set(topic.clone(), Place::Here, 0), None);
    }

    #[test]
    fn a_place_that_is_gone_takes_its_subscribers_with_it() {
        let mut presence = Presence::default();
        let there = Place::There(ConnectionId::default());
        presence.set(Topic::channel("both"), Place::Here, 1);
        presence.set(Topic::channel("both"), there, 1);
        presence.set(Topic::pattern("there"), there, 1);
        assert_eq!(presence.forget(there), [Change::Lost(Topic::pattern("there"))]);
        assert_eq!(presence.topics().collect::<Vec<_>>(), [&Topic::channel("both")]);
        assert_eq!(presence.forget(there), []);
    }
}
