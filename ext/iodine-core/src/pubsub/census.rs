//! Questions about the subscribers of all processes, which the master answers.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Topic;
use super::presence::Presence;

/// The number of the master itself, where those of engines are asked for.
pub(crate) const MASTER: u64 = u64::MAX;

/// How long to wait for an answer, at most.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Census {
    /// How many subscribers the channel of this name has; those of patterns do not count.
    Subscribers(Bytes),
    /// Which channels have subscribers.
    Channels,
}

impl Census {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Subscribers(name) => {
                out.put_u8(b'n');
                out.extend_from_slice(name);
            }
            Self::Channels => out.put_u8(b'c'),
        }
        out.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Option<Self> {
        match bytes.try_get_u8().ok()? {
            b'n' => Some(Self::Subscribers(bytes)),
            b'c' => Some(Self::Channels),
            _ => None,
        }
    }

    /// The answer, in bytes.
    pub(crate) fn answer(self, presence: &Presence) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Subscribers(name) => out.put_u64(presence.count(&Topic::channel(name)) as u64),
            Self::Channels => {
                presence.topics().filter(|topic| !topic.is_pattern && presence.count(topic) > 0).for_each(|topic| {
                    out.put_u32(topic.name.len() as u32);
                    out.extend_from_slice(&topic.name);
                })
            }
        }
        out.freeze()
    }
}

/// The number in an answer.
pub fn number(mut answer: Bytes) -> u64 {
    answer.try_get_u64().unwrap_or_default()
}

/// The names in an answer.
pub fn names(mut answer: Bytes) -> Vec<Bytes> {
    let mut names = Vec::new();
    while let Ok(length) = answer.try_get_u32() {
        names.push(answer.split_to(answer.len().min(length as usize)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::presence::Place;
    use super::*;

    fn ask(question: &Census, presence: &Presence) -> Bytes {
        Census::decode(question.encode()).expect("a question").answer(presence)
    }

    #[test]
    fn questions_and_answers_go_through_bytes() {
        let mut presence = Presence::default();
        presence.set(Topic::channel("news"), Place::Here, 3);
        presence.set(Topic::channel(""), Place::Here, 1);
        presence.set(Topic::pattern("n*"), Place::Here, 1);
        presence.set(Topic::channel("kept"), Place::Kept, 1);
        assert_eq!(number(ask(&Census::Subscribers("news".into()), &presence)), 3);
        assert_eq!(number(ask(&Census::Subscribers("n*".into()), &presence)), 0);
        let mut channels = names(ask(&Census::Channels, &presence));
        channels.sort();
        assert_eq!(channels, ["", "news"]);
        assert_eq!(Census::decode(Bytes::new()), None);
    }
}
