//! What can be subscribed to.

use bytes::Bytes;

/// A channel by its name, or all channels whose names match a pattern (see [`Glob`](iodine_proto::glob::Glob)).
///
/// Names are bytes of any kind, the empty name included. A channel and a pattern of the same name are two topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The name of the channel, or the pattern.
    pub name: Bytes,
    /// Whether it is a pattern.
    pub is_pattern: bool,
}

impl Topic {
    /// One channel.
    pub fn channel(name: impl Into<Bytes>) -> Self {
        Self { name: name.into(), is_pattern: false }
    }

    /// All channels that match.
    pub fn pattern(pattern: impl Into<Bytes>) -> Self {
        Self { name: pattern.into(), is_pattern: true }
    }
}
