//! Which channels keep their messages, and how many of them.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use iodine_proto::cluster::Filter;
use iodine_proto::glob::Glob;

use super::Topic;

/// What the channels of a server keep: the same in all processes of a cluster.
#[derive(Clone, Default)]
pub struct Rules {
    /// That of the ids (see [`MessageId`](super::MessageId)). Zero before there is one.
    pub epoch: u32,
    /// Bytes that all channels keep together.
    pub most_bytes: usize,
    channels: HashMap<Bytes, Bounds>,
    /// The first one that matches counts.
    patterns: Vec<Pattern>,
}

/// What one channel, or each channel of a pattern, keeps at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages.
    pub messages: usize,
    /// Bytes of messages and their channel's name, and [`OVERHEAD`](super::history::OVERHEAD) for each.
    pub bytes: usize,
    /// How old a message may be.
    pub age: Duration,
}

#[derive(Clone)]
struct Pattern {
    name: Bytes,
    glob: Glob,
    bounds: Bounds,
}

/// What becomes of a message that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is not kept.
    Plain,
    /// It is numbered and kept, and is for all subscribers.
    Kept,
    /// An engine has brought it for another topic too, and that one is kept.
    Copy,
}

impl Rules {
    /// Has a topic keep messages, in place of a former rule for it.
    pub fn add(&mut self, topic: Topic, bounds: Bounds) {
        let Topic { name, is_pattern } = topic;
        if !is_pattern {
            self.channels.insert(name, bounds);
            return;
        }
        self.patterns.retain(|pattern| pattern.name != name);
        let glob = Glob::new(&name);
        self.patterns.push(Pattern { name, glob, bounds });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = Topic> {
        let patterns = self.patterns.iter().map(|pattern| Topic::pattern(pattern.name.clone()));
        self.channels.keys().cloned().map(Topic::channel).chain(patterns)
    }

    /// `None`: the channel keeps nothing. Its name comes before patterns.
    pub(crate) fn bounds(&self, channel: &[u8]) -> Option<Bounds> {
        let named = self.channels.get(channel).copied();
        named.or_else(|| self.pattern(channel).map(|pattern| pattern.bounds))
    }

    /// An engine brings a message once for each topic that matches. The one for the topic of the rule stands for all.
    pub(crate) fn judge(&self, channel: &[u8], filter: &Filter) -> Judged {
        let is_named = self.channels.contains_key(channel);
        let pattern = if is_named { None } else { self.pattern(channel) };
        if !is_named && pattern.is_none() {
            return Judged::Plain;
        }
        let is_for_rule = match filter {
            Filter::None => true,
            Filter::Channel => is_named,
            Filter::Pattern(name) => pattern.is_some_and(|pattern| pattern.name == *name),
        };
        if is_for_rule { Judged::Kept } else { Judged::Copy }
    }

    fn pattern(&self, channel: &[u8]) -> Option<&Pattern> {
        self.patterns.iter().find(|pattern| pattern.glob.matches(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(messages: usize) -> Bounds {
        Bounds { messages, bytes: 1000, age: Duration::from_secs(1) }
    }

    fn rules() -> Rules {
        let mut rules = Rules::default();
        rules.add(Topic::pattern("room.*"), bounds(1));
        rules.add(Topic::pattern("room.1*"), bounds(2));
        rules.add(Topic::channel("room.1"), bounds(3));
        rules
    }

    #[test]
    fn a_name_comes_before_patterns_and_the_first_pattern_before_others() {
        let table =
            [("room.1", Some(3)), ("room.12", Some(1)), ("room.", Some(1)), ("room", None), ("room.*", Some(1))];
        for (channel, expected) in table {
            assert_eq!(rules().bounds(channel.as_bytes()).map(|bounds| bounds.messages), expected, "{channel}");
        }
        let mut rules = rules();
        rules.add(Topic::pattern("room.*"), bounds(9));
        assert_eq!(rules.bounds(b"room.12").unwrap().messages, 2, "the rule that was replaced is the last one now");
    }

    #[test]
    fn one_of_an_engines_copies_is_kept() {
        let pattern = |name: &'static str| Filter::Pattern(name.into());
        let table = [
            ("room.1", Filter::None, Judged::Kept),
            ("room.1", Filter::Channel, Judged::Kept),
            ("room.1", pattern("room.*"), Judged::Copy),
            ("room.2", Filter::None, Judged::Kept),
            ("room.2", Filter::Channel, Judged::Copy),
            ("room.2", pattern("room.*"), Judged::Kept),
            ("room.2", pattern("*"), Judged::Copy),
            ("other", Filter::Channel, Judged::Plain),
            ("other", pattern("*"), Judged::Plain),
        ];
        for (channel, filter, expected) in table {
            assert_eq!(rules().judge(channel.as_bytes(), &filter), expected, "{channel} {filter:?}");
        }
    }
}
