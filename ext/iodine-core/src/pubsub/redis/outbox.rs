//! What waits to be sent to Redis.

use std::collections::VecDeque;

use super::Reply;

/// Called with the answer to a command, on the thread of the engine.
pub type Done = Box<dyn FnOnce(Reply) + Send>;

/// A command, packed for the wire.
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    /// The number of changes to the subscriptions that Redis has to know of first, so that a subscriber hears what is
    /// published after it subscribed: the two travel on different connections.
    pub(super) after: u64,
    /// `None`: a publication, which nobody waits for.
    pub(super) done: Option<Done>,
}

/// A queue with a limit. What does not fit in is dropped: messages that wait keep their order, and have no gap.
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    /// Bytes of all entries, as [`Entry::cost`] counts them.
    size: usize,
    limit: usize,
    /// Publications dropped since the last [`take_dropped`](Self::take_dropped).
    dropped: u64,
}

impl Entry {
    fn cost(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, limit, dropped: 0 }
    }

    /// Queues a command.
    ///
    /// # Errors
    /// When it does not fit in: the entry again, which is counted if it is a publication. The first of a row of
    /// those is worth a word.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), Full> {
        if self.size + entry.cost() > self.limit {
            let is_first = entry.done.is_none() && self.dropped == 0;
            self.dropped += u64::from(entry.done.is_none());
            return Err(Full { entry, is_first });
        }
        self.size += entry.cost();
        self.entries.push_back(entry);
        Ok(())
    }

    /// The next command, if Redis knows of so many changes that it may be sent.
    pub(super) fn pop(&mut self, settled: u64) -> Option<Entry> {
        self.entries.front().filter(|entry| entry.after <= settled)?;
        let entry = self.entries.pop_front()?;
        self.size -= entry.cost();
        Some(entry)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Publications that did not fit in since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

/// The queue has no room for this.
pub(super) struct Full {
    pub(super) entry: Entry,
    pub(super) is_first: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(size: usize, after: u64) -> Entry {
        Entry { bytes: vec![b'x'; size], after, done: None }
    }

    fn command(size: usize) -> Entry {
        Entry { bytes: vec![b'x'; size], after: 0, done: Some(Box::new(|_| ())) }
    }

    #[test]
    fn holds_as_much_as_its_limit() {
        let cost = publication(100, 0).cost();
        let mut outbox = Outbox::new(2 * cost);
        assert!(outbox.push(publication(100, 0)).is_ok());
        assert!(outbox.push(publication(101, 0)).is_err_and(|full| full.is_first));
        assert!(outbox.push(publication(100, 0)).is_ok());
        assert!(outbox.push(publication(0, 0)).is_err_and(|full| !full.is_first));
        assert!(outbox.push(command(0)).is_err_and(|full| full.entry.done.is_some() && !full.is_first));
        assert_eq!((outbox.take_dropped(), outbox.take_dropped()), (2, 0));

        assert!(outbox.pop(0).is_some());
        assert!(outbox.push(publication(100, 0)).is_ok());
        assert!(outbox.pop(0).is_some() && outbox.pop(0).is_some() && outbox.pop(0).is_none());
        assert_eq!((outbox.size, outbox.is_empty()), (0, true));
    }

    #[test]
    fn waits_for_subscriptions_in_order() {
        let mut outbox = Outbox::new(1 << 20);
        for (size, after) in [(1, 0), (2, 3), (3, 0)] {
            assert!(outbox.push(publication(size, after)).is_ok());
        }
        let mut popped = |settled| outbox.pop(settled).map(|entry| entry.bytes.len());
        assert_eq!([popped(0), popped(0), popped(2)], [Some(1), None, None]);
        assert_eq!([popped(3), popped(0), popped(0)], [Some(2), Some(3), None]);
    }
}
