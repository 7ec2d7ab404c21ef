//! What the cluster subscribes to, and how much of it Redis knows.

use std::collections::HashSet;

use super::Topic;
use super::session::pack;
use crate::pubsub::Change;

/// The topics that are wanted. Changes are numbered from 1, so that a publication can wait for those before it.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    wanted: HashSet<Topic>,
    /// The number of the last change.
    latest: u64,
    /// The last change that Redis has confirmed on the connection of now.
    settled: u64,
}

impl Subscriptions {
    /// Takes a change, and returns the command that tells Redis of it.
    pub(super) fn apply(&mut self, change: Change) -> Vec<u8> {
        self.latest += 1;
        let command = command(&change);
        match change {
            Change::Gained(topic) => self.wanted.insert(topic),
            Change::Lost(topic) => self.wanted.remove(&topic),
        };
        command
    }

    /// The number of the last change: what is settled by the answer to the command that was sent last.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    /// The commands that tell a new connection of everything.
    pub(super) fn all(&self) -> impl Iterator<Item = Vec<u8>> {
        self.wanted.iter().map(|topic| command(&Change::Gained(topic.clone())))
    }

    /// Redis has confirmed all changes up to this one.
    pub(super) fn confirm(&mut self, change: u64) {
        self.settled = self.settled.max(change);
    }

    /// The connection is gone, and with it what Redis knew.
    pub(super) fn forget(&mut self) {
        self.settled = 0;
    }

    /// The number of changes that need not be waited for: all that are known here when nothing is wanted, and none that is
    /// still on its way here.
    pub(super) fn settled(&self) -> u64 {
        if self.wanted.is_empty() { self.latest } else { self.settled }
    }
}

fn command(change: &Change) -> Vec<u8> {
    let (command, topic): (&[u8], _) = match change {
        Change::Gained(topic) if topic.is_pattern => (b"PSUBSCRIBE", topic),
        Change::Gained(topic) => (b"SUBSCRIBE", topic),
        Change::Lost(topic) if topic.is_pattern => (b"PUNSUBSCRIBE", topic),
        Change::Lost(topic) => (b"UNSUBSCRIBE", topic),
    };
    pack(&[command, &topic.name])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &'static str) -> Topic {
        Topic::channel(name)
    }

    fn pattern(pattern: &'static str) -> Topic {
        Topic::pattern(pattern)
    }

    #[test]
    fn changes_are_commands() {
        let table = [
            (Change::Gained(channel("a")), "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n"),
            (Change::Gained(pattern("a*")), "*2\r\n$10\r\nPSUBSCRIBE\r\n$2\r\na*\r\n"),
            (Change::Lost(channel("")), "*2\r\n$11\r\nUNSUBSCRIBE\r\n$0\r\n\r\n"),
            (Change::Lost(pattern("\r\n")), "*2\r\n$12\r\nPUNSUBSCRIBE\r\n$2\r\n\r\n\r\n"),
        ];
        for (change, packed) in table {
            assert_eq!(Subscriptions::default().apply(change), packed.as_bytes());
        }
    }

    #[test]
    fn a_new_connection_is_told_what_is_wanted_now() {
        let mut subscriptions = Subscriptions::default();
        for change in [
            Change::Gained(channel("a")),
            Change::Gained(channel("b")),
            Change::Gained(pattern("a")),
            Change::Lost(channel("a")),
        ] {
            subscriptions.apply(change);
        }
        let mut all: Vec<_> = subscriptions.all().collect();
        all.sort();
        assert_eq!(all, [pack(&[b"PSUBSCRIBE", b"a"]), pack(&[b"SUBSCRIBE", b"b"])]);
    }

    #[test]
    fn confirmations_are_those_of_one_connection() {
        let mut subscriptions = Subscriptions::default();
        assert_eq!(subscriptions.settled(), 0, "the first change may be on its way");
        subscriptions.apply(Change::Gained(channel("a")));
        assert_eq!(subscriptions.settled(), 0);
        subscriptions.confirm(1);
        assert_eq!(subscriptions.settled(), 1);
        subscriptions.forget();
        assert_eq!(subscriptions.settled(), 0);
        subscriptions.apply(Change::Lost(channel("a")));
        assert_eq!(subscriptions.settled(), 2, "there is nothing to wait for");
    }
}
