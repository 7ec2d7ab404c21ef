//! Deadlines of connections and timers of the application, by one heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use super::ConnectionId;

/// Names a timer of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub usize);

/// What has to be looked at when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// A connection may be past its deadline. It has at most one alarm that counts, and moves its deadline without
    /// telling: an alarm that comes early is set again.
    Connection(ConnectionId),
    Timer(TimerId),
    /// The head of a produced response has waited long enough for its body.
    Head(ConnectionId),
    /// A connection that is asked for has not come about.
    Dial(usize),
    /// Accepting was put off because no descriptor was left.
    Accept,
    /// Idle connections have been waited for long enough while draining.
    Idle,
    /// Draining has taken long enough.
    Drain,
}

#[derive(Default)]
pub(crate) struct Alarms {
    heap: BinaryHeap<Reverse<(Instant, Alarm)>>,
    /// When each timer is due. A heap entry that disagrees is left over from a timer that was set again or cancelled.
    timers: HashMap<TimerId, Instant>,
}

impl Alarms {
    pub(crate) fn set(&mut self, at: Instant, alarm: Alarm) {
        if let Alarm::Timer(id) = alarm {
            self.timers.insert(id, at);
        }
        self.heap.push(Reverse((at, alarm)));
    }

    pub(crate) fn cancel(&mut self, timer: TimerId) {
        self.timers.remove(&timer);
    }

    /// The next alarm that is due, and the time it was set for.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, Alarm)> {
        while let Some(&Reverse((at, alarm))) = self.heap.peek() {
            if at > now {
                return None;
            }
            self.heap.pop();
            match alarm {
                Alarm::Timer(id) if self.timers.get(&id) != Some(&at) => {}
                Alarm::Timer(id) => {
                    self.timers.remove(&id);
                    return Some((at, alarm));
                }
                _ => return Some((at, alarm)),
            }
        }
        None
    }

    /// How long until the next alarm.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_come_in_the_order_of_their_time() {
        let start = Instant::now();
        let mut alarms = Alarms::default();
        alarms.set(start + Duration::from_secs(2), Alarm::Timer(TimerId(2)));
        alarms.set(start + Duration::from_secs(1), Alarm::Timer(TimerId(1)));
        assert_eq!(alarms.next(start), Some(Duration::from_secs(1)));
        assert_eq!(alarms.due(start), None);
        let later = start + Duration::from_secs(2);
        assert_eq!(alarms.due(later).map(|(_, alarm)| alarm), Some(Alarm::Timer(TimerId(1))));
        assert_eq!(alarms.due(later).map(|(_, alarm)| alarm), Some(Alarm::Timer(TimerId(2))));
        assert_eq!(alarms.due(later), None);
    }

    #[test]
    fn a_timer_that_is_set_again_or_cancelled_forgets_its_former_time() {
        let start = Instant::now();
        let mut alarms = Alarms::default();
        alarms.set(start, Alarm::Timer(TimerId(1)));
        alarms.set(start + Duration::from_secs(5), Alarm::Timer(TimerId(1)));
        alarms.set(start, Alarm::Timer(TimerId(2)));
        alarms.cancel(TimerId(2));
        assert_eq!(alarms.due(start + Duration::from_secs(1)), None);
        let again = start + Duration::from_secs(5);
        assert_eq!(alarms.due(again), Some((again, Alarm::Timer(TimerId(1)))));
    }
}
