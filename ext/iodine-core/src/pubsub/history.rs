//! The messages that channels keep for subscribers who come back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use iodine_proto::glob::Glob;

use super::rules::{Bounds, Judged, Rules};
use super::{LastSeen, Message, MessageId, Stamp, Topic, is_worth_a_line};

/// Bytes that a message is counted with beyond its own.
pub const OVERHEAD: usize = 128;

/// Channels that are looked at with each message: more than can be added by it, so that all have their turn.
const LOOKS: usize = 2;

/// What a process keeps. The master of a cluster numbers messages, and all processes keep the same ones.
pub(crate) struct History {
    rules: Arc<Rules>,
    /// The number of the newest message.
    last: u64,
    rings: HashMap<Bytes, Ring>,
    /// The number of the oldest message of each ring, and its channel.
    oldest: BTreeMap<u64, Bytes>,
    bytes: usize,
    /// Where the next look for messages that are too old begins.
    looked_at: u64,
    /// Messages that gave way to those of other channels.
    dropped: u64,
}

/// The messages of one channel, the oldest one first. Never empty.
struct Ring {
    bounds: Bounds,
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
}

impl History {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, last: 0, rings: HashMap::new(), oldest: BTreeMap::new(), bytes: 0, looked_at: 0, dropped: 0 }
    }

    pub(crate) fn judge(&self, message: &Message) -> Judged {
        self.rules.judge(&message.channel, &message.filter)
    }

    /// The number of the newest message.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Gives a message the next number, and keeps it.
    pub(crate) fn number(&mut self, message: &Message, now: Stamp) -> Arc<Message> {
        self.last += 1;
        let message = self.numbered(message, self.last);
        self.keep(Arc::clone(&message), now);
        message
    }

    /// Keeps a message that another process has numbered.
    ///
    /// All numbers have to come. When one is missing, what is older is forgotten: who comes back is to miss either
    /// nothing, or what is older than all that it is given.
    pub(crate) fn take(&mut self, message: &Message, number: u64, now: Stamp) -> Arc<Message> {
        if number != self.last + 1 {
            log::warn!(
                "{} messages did not come: older ones are not kept any more",
                number.saturating_sub(self.last + 1)
            );
            self.clear();
        }
        self.last = number;
        let message = self.numbered(message, number);
        self.keep(Arc::clone(&message), now);
        message
    }

    /// Keeps a message of before this process knew any. Then comes [`catch_up`](Self::catch_up).
    pub(crate) fn recall(&mut self, message: &Message, number: u64, now: Stamp) {
        let message = self.numbered(message, number);
        self.keep(message, now);
    }

    /// There is no other message up to this number.
    pub(crate) fn catch_up(&mut self, last: u64) {
        self.last = last;
    }

    /// All that is kept of a topic and newer than what was seen, the oldest one first.
    pub(crate) fn since(&self, topic: &Topic, seen: LastSeen, now: Stamp) -> Vec<Arc<Message>> {
        let after = self.after(seen);
        if !topic.is_pattern {
            return self.rings.get(&topic.name).into_iter().flat_map(|ring| ring.since(after, now)).collect();
        }
        let glob = Glob::new(&topic.name);
        let rings = self.rings.iter().filter(|(channel, _)| glob.matches(channel));
        let mut found: Vec<_> = rings.flat_map(|(_, ring)| ring.since(after, now)).collect();
        found.sort_by_key(|message| message.number());
        found
    }

    /// All that is kept, the oldest one first.
    pub(crate) fn all(&self) -> Vec<Arc<Message>> {
        let mut all: Vec<_> = self.rings.values().flat_map(|ring| &ring.messages).cloned().collect();
        all.sort_by_key(|message| message.number());
        all
    }

    /// An id of another life of the server, or one that does not exist yet, says nothing.
    fn after(&self, seen: LastSeen) -> u64 {
        match seen {
            LastSeen::Message(id) if id.epoch == self.rules.epoch && id.number <= self.last => id.number,
            _ => 0,
        }
    }

    fn numbered(&self, message: &Message, number: u64) -> Arc<Message> {
        let id = Some(MessageId { epoch: self.rules.epoch, number });
        Arc::new(Message { id, filter: iodine_proto::cluster::Filter::None, ..message.clone() })
    }

    fn keep(&mut self, message: Arc<Message>, now: Stamp) {
        let Some(bounds) = self.rules.bounds(&message.channel) else { return };
        let (number, size) = (message.number(), weight(&message));
        let channel = match self.rings.get_mut(&message.channel) {
            Some(ring) => {
                ring.push(message.clone());
                message.channel.clone()
            }
            None => {
                // A name of its own: that of the message shares the memory of the message.
                let channel = Bytes::copy_from_slice(&message.channel);
                self.oldest.insert(number, channel.clone());
                self.rings.insert(channel.clone(), Ring::new(bounds, message));
                channel
            }
        };
        self.bytes += size;
        while self.rings.get(&channel).is_some_and(|ring| ring.is_beyond_bounds(now)) {
            self.drop_oldest(&channel);
        }
        self.make_room();
        for _ in 0..LOOKS {
            self.look_for_old_ones(number, now);
        }
    }

    /// Drops the oldest messages of all until the rest has room.
    fn make_room(&mut self) {
        while self.bytes > self.rules.most_bytes {
            let Some((_, channel)) = self.oldest.first_key_value() else { return };
            let channel = channel.clone();
            self.drop_oldest(&channel);
            self.dropped += 1;
            if is_worth_a_line(self.dropped) {
                let (dropped, bytes) = (self.dropped, self.rules.most_bytes);
                log::warn!(
                    "the channels keep {bytes} bytes together: {dropped} messages were dropped before their time"
                );
            }
        }
    }

    /// One more channel each time, so that those which are silent are looked at as well. The newest message is not old.
    fn look_for_old_ones(&mut self, newest: u64, now: Stamp) {
        let behind = self.oldest.range(self.looked_at.min(newest)..newest).next();
        let next = behind.or_else(|| self.oldest.first_key_value());
        let Some((number, channel)) = next.map(|(number, channel)| (*number, channel.clone())) else { return };
        self.looked_at = number + 1;
        while self.rings.get(&channel).is_some_and(|ring| ring.has_old_one(now)) {
            self.drop_oldest(&channel);
        }
    }

    fn drop_oldest(&mut self, channel: &Bytes) {
        let Some(ring) = self.rings.get_mut(channel) else { return };
        let Some(message) = ring.messages.pop_front() else { return };
        ring.bytes -= weight(&message);
        self.bytes -= weight(&message);
        let name = self.oldest.remove(&message.number());
        match (ring.messages.front(), name) {
            (Some(next), Some(name)) => drop(self.oldest.insert(next.number(), name)),
            _ => drop(self.rings.remove(channel)),
        }
    }

    fn clear(&mut self) {
        self.rings.clear();
        self.oldest.clear();
        self.bytes = 0;
    }
}

impl Ring {
    fn new(bounds: Bounds, message: Arc<Message>) -> Self {
        Self { bounds, bytes: weight(&message), messages: VecDeque::from([message]) }
    }

    fn push(&mut self, message: Arc<Message>) {
        self.bytes += weight(&message);
        self.messages.push_back(message);
    }

    fn is_beyond_bounds(&self, now: Stamp) -> bool {
        self.messages.len() > self.bounds.messages || self.bytes > self.bounds.bytes || self.has_old_one(now)
    }

    fn has_old_one(&self, now: Stamp) -> bool {
        self.messages.front().is_some_and(|message| self.is_old(message, now))
    }

    fn is_old(&self, message: &Message, now: Stamp) -> bool {
        u128::from(now.0.saturating_sub(message.published.0)) > self.bounds.age.as_nanos()
    }

    fn since(&self, after: u64, now: Stamp) -> impl Iterator<Item = Arc<Message>> {
        let seen = self.messages.partition_point(|message| message.number() <= after);
        self.messages.iter().skip(seen).filter(move |message| !self.is_old(message, now)).cloned()
    }
}

fn weight(message: &Message) -> usize {
    message.size() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const EPOCH: u32 = 7;
    const SIZE: usize = 100;

    /// Its channel and it have `SIZE` bytes.
    fn message(channel: &'static str, published: u64) -> Message {
        let payload = vec![b'x'; SIZE - channel.len()];
        Message { published: Stamp(published), ..Message::new(channel.into(), payload.into()) }
    }

    fn history(bounds: Bounds, most_bytes: usize) -> History {
        let mut rules = Rules::default();
        (rules.epoch, rules.most_bytes) = (EPOCH, most_bytes);
        rules.add(Topic::pattern("*"), bounds);
        History::new(Arc::new(rules))
    }

    fn wide() -> Bounds {
        Bounds { messages: 1000, bytes: 1 << 20, age: Duration::from_secs(1) }
    }

    fn numbers(messages: &[Arc<Message>]) -> Vec<u64> {
        messages.iter().map(|message| message.number()).collect()
    }

    fn kept(history: &History, channel: &'static str, seen: LastSeen) -> Vec<u64> {
        numbers(&history.since(&Topic::channel(channel), seen, Stamp(0)))
    }

    fn publish(history: &mut History, channel: &'static str) -> u64 {
        history.number(&message(channel, 0), Stamp(0)).number()
    }

    fn seen(epoch: u32, number: u64) -> LastSeen {
        LastSeen::Message(MessageId { epoch, number })
    }

    #[test]
    fn gives_what_came_after_an_id_and_all_for_one_that_it_does_not_know() {
        let mut history = history(wide(), usize::MAX);
        for channel in ["a", "b", "a", "b", "a"] {
            publish(&mut history, channel);
        }
        let table = [
            (LastSeen::Nothing, &[1, 3, 5][..]),
            (seen(EPOCH, 1), &[3, 5]),
            (seen(EPOCH, 2), &[3, 5]),
            (seen(EPOCH, 3), &[5]),
            (seen(EPOCH, 5), &[]),
            (seen(EPOCH, 6), &[1, 3, 5]),
            (seen(EPOCH, u64::MAX), &[1, 3, 5]),
            (seen(EPOCH + 1, 3), &[1, 3, 5]),
        ];
        for (last_seen, expected) in table {
            assert_eq!(kept(&history, "a", last_seen), expected, "{last_seen:?}");
        }
        assert_eq!(kept(&history, "none", LastSeen::Nothing), []);
        assert_eq!(numbers(&history.since(&Topic::pattern("?"), seen(EPOCH, 2), Stamp(0))), [3, 4, 5]);
        assert_eq!(numbers(&history.since(&Topic::pattern("b*"), LastSeen::Nothing, Stamp(0))), [2, 4]);
    }

    #[test]
    fn keeps_so_many_messages_and_bytes_of_each_channel() {
        let weight = SIZE + OVERHEAD;
        let by_count = Bounds { messages: 3, ..wide() };
        for bounds in [by_count, Bounds { bytes: 3 * weight, ..wide() }, Bounds { bytes: 4 * weight - 1, ..wide() }] {
            let mut history = history(bounds, usize::MAX);
            for expected in [&[1][..], &[1, 2], &[1, 2, 3], &[2, 3, 4], &[3, 4, 5]] {
                publish(&mut history, "a");
                assert_eq!(kept(&history, "a", LastSeen::Nothing), expected, "{bounds:?}");
            }
            publish(&mut history, "b");
            assert_eq!(kept(&history, "a", LastSeen::Nothing), [3, 4, 5]);
            assert_eq!(history.bytes, 4 * weight);
        }
    }

    #[test]
    fn a_message_that_is_too_large_leaves_nothing_before_it() {
        let mut history = history(Bounds { bytes: SIZE + OVERHEAD, ..wide() }, usize::MAX);
        publish(&mut history, "a");
        let large = Message::new("a".into(), vec![0; SIZE].into());
        assert_eq!(history.number(&large, Stamp(0)).number(), 2, "it is published nevertheless");
        assert_eq!(kept(&history, "a", LastSeen::Nothing), []);
        assert_eq!((history.bytes, history.rings.len(), history.oldest.len()), (0, 0, 0));
        publish(&mut history, "a");
        assert_eq!(kept(&history, "a", LastSeen::Nothing), [3]);
    }

    #[test]
    fn messages_that_are_too_old_are_not_given_and_make_room() {
        let second = 1_000_000_000;
        let mut history = history(wide(), usize::MAX);
        history.number(&message("a", 0), Stamp(0));
        history.number(&message("a", 1), Stamp(1));
        let all = |history: &History, now| numbers(&history.since(&Topic::channel("a"), LastSeen::Nothing, Stamp(now)));
        assert_eq!(all(&history, second), [1, 2]);
        assert_eq!(all(&history, second + 1), [2]);
        assert_eq!(all(&history, second + 2), []);
        history.number(&message("b", second + 2), Stamp(second + 2));
        assert_eq!(history.rings.len(), 1, "a channel that is silent is looked at as well");
        assert_eq!(history.bytes, SIZE + OVERHEAD);
    }

    #[test]
    fn channels_that_are_never_used_again_make_room() {
        let mut history = history(Bounds { age: Duration::from_nanos(100), ..wide() }, usize::MAX);
        for now in 0..10_000 {
            let message = Message { published: Stamp(now), ..Message::new(now.to_string().into(), "x".into()) };
            history.number(&message, Stamp(now));
            assert!(history.rings.len() <= 300, "{now}");
        }
    }

    #[test]
    fn all_channels_together_have_a_bound() {
        let weight = SIZE + OVERHEAD;
        let mut history = history(wide(), 3 * weight);
        for channel in ["a", "b", "c"] {
            publish(&mut history, channel);
        }
        assert_eq!(numbers(&history.all()), [1, 2, 3]);
        publish(&mut history, "c");
        assert_eq!((numbers(&history.all()), history.dropped), (vec![2, 3, 4], 1));
        publish(&mut history, "d");
        assert_eq!((numbers(&history.all()), history.dropped), (vec![3, 4, 5], 2));
        assert_eq!(kept(&history, "c", LastSeen::Nothing), [3, 4]);
    }

    #[test]
    fn a_worker_keeps_what_its_master_keeps() {
        let mut master = history(wide(), usize::MAX);
        let mut worker = history(wide(), usize::MAX);
        publish(&mut master, "a");
        publish(&mut master, "b");
        for message in master.all() {
            let number = message.number();
            worker.recall(&message, number, Stamp(0));
        }
        worker.catch_up(master.last());
        let message = master.number(&message("a", 0), Stamp(0));
        worker.take(&message, message.number(), Stamp(0));
        assert_eq!(worker.all(), master.all());
        assert_eq!(kept(&worker, "a", seen(EPOCH, 1)), [3]);
    }

    #[test]
    fn a_number_that_did_not_come_makes_older_messages_useless() {
        let mut worker = history(wide(), usize::MAX);
        worker.catch_up(4);
        for number in [5, 6, 8, 9] {
            worker.take(&message("a", 0), number, Stamp(0));
        }
        assert_eq!(kept(&worker, "a", LastSeen::Nothing), [8, 9]);
        assert_eq!(worker.bytes, 2 * (SIZE + OVERHEAD));
    }

    #[test]
    fn the_books_are_right_whatever_happens() {
        const CHANNELS: [&str; 5] = ["a", "b", "c", "d", "e"];
        let mut history = history(Bounds { messages: 5, bytes: 1000, age: Duration::from_nanos(20) }, 3000);
        let mut random = 1_u64;
        for now in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (channel, size) = (CHANNELS[(random >> 33) as usize % 5], (random >> 40) as usize % 500);
            let message = Message { published: Stamp(now), ..Message::new(channel.into(), vec![0; size].into()) };
            history.number(&message, Stamp(now));
            let sums = history.rings.values().map(|ring| ring.messages.iter().map(|one| weight(one)).sum::<usize>());
            assert_eq!(history.bytes, sums.sum::<usize>());
            assert!(history.bytes <= 3000);
            let mut oldest: Vec<u64> = history.rings.values().map(|ring| ring.messages[0].number()).collect();
            oldest.sort_unstable();
            assert_eq!(history.oldest.keys().copied().collect::<Vec<_>>(), oldest);
        }
    }
}
