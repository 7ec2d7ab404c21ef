//! A queue for the application of which one thread at a time takes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items that wait before others are dropped, and their bytes.
const MOST_ITEMS: usize = 65_536;
const MOST_BYTES: usize = 64 << 20;

/// Items in order, and whether a job stands for them.
///
/// Bounded: an application that is too slow costs messages, counted in the log, and not the memory of the machine.
pub struct Inbox<T>(Mutex<State<T>>);

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    /// A job stands for it, in the queue or at work.
    has_job: bool,
    dropped: u64,
}

/// What became of a pushed item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is the first one: a job has to be queued.
    NeedsJob,
    HasJob,
    /// There was no room, as so many times before, this time included.
    Dropped(u64),
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(Mutex::new(State { items: VecDeque::new(), bytes: 0, has_job: false, dropped: 0 }))
    }
}

impl<T> Inbox<T> {
    /// Appends an item of so many bytes.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Pushed {
        let mut state = self.state();
        let is_full = state.items.len() >= MOST_ITEMS || state.bytes + bytes > MOST_BYTES;
        // One message may be as large as it may be.
        if is_full && !state.items.is_empty() {
            state.dropped += 1;
            return Pushed::Dropped(state.dropped);
        }
        state.bytes += bytes;
        state.items.push_back((item, bytes));
        if std::mem::replace(&mut state.has_job, true) { Pushed::HasJob } else { Pushed::NeedsJob }
    }

    /// The next item, for the thread that has taken the job. `None`: the job is done.
    pub fn next(&self) -> Option<T> {
        let mut state = self.state();
        let Some((item, bytes)) = state.items.pop_front() else {
            state.has_job = false;
            return None;
        };
        state.bytes -= bytes;
        Some(item)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that has happened so many times is worth a line in the log: the first time, and each time that
/// their number has doubled.
pub(crate) fn is_worth_a_line(count: u64) -> bool {
    count.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_stands_for_all_items() {
        let inbox = Inbox::default();
        assert_eq!(inbox.push(1, 1), Pushed::NeedsJob);
        assert_eq!(inbox.push(2, 1), Pushed::HasJob);
        assert_eq!((inbox.next(), inbox.next()), (Some(1), Some(2)));
        assert_eq!(inbox.push(3, 1), Pushed::HasJob, "the thread is still there");
        assert_eq!((inbox.next(), inbox.next()), (Some(3), None));
        assert_eq!(inbox.push(4, 1), Pushed::NeedsJob);
    }

    #[test]
    fn items_beyond_the_bounds_are_dropped_and_counted() {
        let inbox = Inbox::default();
        for item in 0..MOST_ITEMS {
            assert_ne!(inbox.push(item, 0), Pushed::Dropped(1));
        }
        assert_eq!(inbox.push(0, 0), Pushed::Dropped(1));
        assert_eq!(inbox.push(0, 0), Pushed::Dropped(2));

        let inbox = Inbox::default();
        assert_eq!(inbox.push(0, MOST_BYTES + 1), Pushed::NeedsJob, "one is taken whatever its size");
        assert_eq!(inbox.push(0, 1), Pushed::Dropped(1));
        assert_eq!(inbox.next(), Some(0));
        assert_eq!(inbox.push(1, MOST_BYTES), Pushed::HasJob);
        assert_eq!(inbox.push(1, 1), Pushed::Dropped(2));
    }
}
