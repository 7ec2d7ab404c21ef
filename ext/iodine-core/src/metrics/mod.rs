//! What is counted: requests, connections, messages, and how the processes of a cluster fare.
//!
//! Each process counts on a [`Sheet`] of its own. All sheets are in one piece of memory that the processes share, so that
//! whoever answers for the cluster reads them all, without a lock and without asking anybody. A number on a sheet has
//! one writer at a time, unless it says otherwise: to count is a load and a store.
//!
//! A sheet outlives its process, and the next one goes on with it: counters never go back.

pub(crate) mod answer;
mod report;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::census::Kind;

/// Numbers on a sheet, with some room.
pub const WORDS: usize = 96;

/// Upper ends of what is told apart in a [`Series`], microseconds.
pub const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];
/// A bucket for each bound, and one for what is above.
const BUCKETS: usize = BOUNDS.len() + 1;

/// A number of a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Who counts here; 0 when nobody does.
    Pid,
    /// When that process was started, seconds of the Unix era.
    StartedAt,
    /// When Ruby last ran in it, milliseconds of the monotonic clock.
    Beat,
    /// Since when none of its threads has come forward, milliseconds of the monotonic clock; 0 when they do.
    StalledSince,
    /// Threads of its application.
    Threads,
    /// Collections of garbage.
    GcRuns,
    /// Time of those, milliseconds.
    GcMilliseconds,
    /// Objects that live.
    LiveObjects,
    /// Workers that were started; on the master's sheet, as the rest of these.
    Starts,
    /// Workers that ended by a signal or a status other than 0.
    Crashes,
    /// Workers whose threads have all hung.
    Stalls,
    /// Restarts of all workers.
    Restarts,
    /// Answers by the first digit of their status, from here on.
    Requests,
    /// Connections that are open, by kind, from here on.
    Open = Count::Requests as usize + 5,
    /// Connections that were opened, by kind, from here on.
    Opened = Count::Open as usize + Kind::NAMES.len(),
    /// Messages that were published here, or have come here from elsewhere.
    Published = Count::Opened as usize + Kind::NAMES.len(),
    /// Messages that were given to a subscriber.
    Delivered,
    /// The first of what [`Series`] are made of.
    Series,
}

impl Count {
    /// By the name that Ruby has for it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "pid" => Self::Pid,
            "started_at" => Self::StartedAt,
            "beat" => Self::Beat,
            "stalled_since" => Self::StalledSince,
            "threads" => Self::Threads,
            "gc_runs" => Self::GcRuns,
            "gc_milliseconds" => Self::GcMilliseconds,
            "live_objects" => Self::LiveObjects,
            "starts" => Self::Starts,
            "crashes" => Self::Crashes,
            "stalls" => Self::Stalls,
            "restarts" => Self::Restarts,
            _ => return None,
        })
    }
}

/// Durations, counted by how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// From the arrival of a request to its answer.
    Latency,
    /// From the arrival of a request to the thread that takes it. Has many writers.
    Queue,
    /// From the time that a proxy notes in `X-Request-Start` to the arrival.
    ProxyQueue,
}

impl Series {
    const LENGTH: usize = BUCKETS + 1;

    /// Its sum, microseconds; the buckets are behind it.
    fn at(self) -> usize {
        Count::Series as usize + self as usize * Self::LENGTH
    }
}

/// The numbers of one process.
#[derive(Clone, Copy)]
pub struct Sheet(&'static [AtomicU64]);

static SHARED: OnceLock<&'static [AtomicU64]> = OnceLock::new();
static TIMED: AtomicBool = AtomicBool::new(false);

/// Has all sheets in this memory from now on. Only the first call counts.
pub fn share(memory: &'static [AtomicU64]) {
    let _ = SHARED.set(memory);
}

/// The memory of all sheets, if there is any.
pub fn shared() -> Option<&'static [AtomicU64]> {
    SHARED.get().copied()
}

/// Has what takes a look at the clock be measured as well, because somebody will ask for it.
pub fn measure_times() {
    TIMED.store(true, Relaxed);
}

/// Whether times that cost a look at the clock are measured.
pub fn measures_times() -> bool {
    TIMED.load(Relaxed)
}

/// What `X-Request-Start` says: seconds, milliseconds or microseconds of the Unix era, with or without `t=`.
pub(crate) fn proxy_time(value: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(value).ok()?;
    let number: f64 = text.strip_prefix("t=").unwrap_or(text).parse().ok()?;
    // A date of this century tells the unit.
    let seconds = match number {
        1e9..1e11 => number,
        1e12..1e14 => number / 1e3,
        1e15..1e17 => number / 1e6,
        _ => return None,
    };
    Some(UNIX_EPOCH + Duration::from_secs_f64(seconds))
}

/// All sheets that a process has ever counted on.
fn sheets() -> impl Iterator<Item = (usize, Sheet)> {
    let shared = shared().unwrap_or_default();
    shared.chunks_exact(WORDS).map(Sheet).enumerate().filter(|(_, sheet)| sheet.get(Count::StartedAt) > 0)
}

impl Sheet {
    /// That of this number; one that nobody else sees when there is none.
    pub fn numbered(number: usize) -> Self {
        let shared = shared().and_then(|memory| memory.get(number * WORDS..(number + 1) * WORDS));
        shared.map_or_else(Self::own, Self)
    }

    /// One of its own, for who does not share any. It is never given back.
    pub fn own() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
    }

    /// The number.
    pub fn get(self, count: Count) -> u64 {
        self.word(count as usize).load(Relaxed)
    }

    /// Sets the number.
    pub fn set(self, count: Count, value: u64) {
        self.word(count as usize).store(value, Relaxed);
    }

    /// Adds to the number.
    pub fn add(self, count: Count, amount: u64) {
        self.raise(count as usize, amount);
    }

    /// All answers.
    pub fn requests(self) -> u64 {
        (1..=5).map(|class| self.of_class(class)).sum()
    }

    /// A process begins to count: what it does not count up begins at nothing.
    pub fn begin(self, pid: u64, now: u64) {
        self.end();
        self.set(Count::Pid, pid);
        self.set(Count::StartedAt, now);
    }

    /// Its process has ended.
    pub fn end(self) {
        for count in [Count::Pid, Count::Beat, Count::StalledSince, Count::Threads, Count::LiveObjects] {
            self.set(count, 0);
        }
        (0..Kind::NAMES.len()).for_each(|kind| self.word(Count::Open as usize + kind).store(0, Relaxed));
    }

    /// Counts an answer.
    pub(crate) fn note_answer(self, status: u16, duration: Option<Duration>) {
        let class = usize::from(status / 100).clamp(1, 5);
        self.raise(Count::Requests as usize + class - 1, 1);
        if let Some(duration) = duration {
            self.note(Series::Latency, duration, Self::raise);
        }
    }

    /// Counts the time that a request has waited for a thread. For any thread.
    pub fn note_queue(self, duration: Duration) {
        self.note(Series::Queue, duration, Self::raise_shared);
    }

    /// Counts the time that a request has waited before it came here.
    pub(crate) fn note_proxy_queue(self, duration: Duration) {
        self.note(Series::ProxyQueue, duration, Self::raise);
    }

    /// Open connections of this kind.
    pub fn connections(self, kind: Kind) -> u64 {
        self.word(Count::Open as usize + kind as usize).load(Relaxed)
    }

    /// Connections of this kind that are not any more.
    pub fn ended(self, kind: Kind) -> u64 {
        self.word(Count::Opened as usize + kind as usize).load(Relaxed).saturating_sub(self.connections(kind))
    }

    /// A connection is of this kind from now on.
    pub(crate) fn enter(self, kind: Kind) {
        self.raise(Count::Opened as usize + kind as usize, 1);
        self.raise(Count::Open as usize + kind as usize, 1);
    }

    /// A connection is not of this kind any more.
    pub(crate) fn leave(self, kind: Kind) {
        let open = self.word(Count::Open as usize + kind as usize);
        open.store(open.load(Relaxed).saturating_sub(1), Relaxed);
    }

    fn note(self, series: Series, duration: Duration, raise: fn(Self, usize, u64)) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|&bound| bound < microseconds);
        raise(self, series.at(), microseconds);
        raise(self, series.at() + 1 + bucket, 1);
    }

    fn of_class(self, class: usize) -> u64 {
        self.word(Count::Requests as usize + class - 1).load(Relaxed)
    }

    fn word(self, at: usize) -> &'static AtomicU64 {
        &self.0[at]
    }

    fn raise(self, at: usize, amount: u64) {
        let word = self.word(at);
        word.store(word.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    fn raise_shared(self, at: usize, amount: u64) {
        self.word(at).fetch_add(amount, Relaxed);
    }
}

const _: () = assert!(Count::Series as usize + 3 * Series::LENGTH <= WORDS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_their_class_and_time() {
        let sheet = Sheet::own();
        for (status, milliseconds) in [(200, 1), (204, 1), (404, 3), (503, 20_000), (999, 0)] {
            sheet.note_answer(status, Some(Duration::from_millis(milliseconds)));
        }
        assert_eq!((1..=5).map(|class| sheet.of_class(class)).collect::<Vec<_>>(), [0, 2, 0, 1, 2]);
        assert_eq!(sheet.requests(), 5);
        let at = Series::Latency.at();
        let buckets: Vec<_> = (0..BUCKETS).map(|bucket| sheet.word(at + 1 + bucket).load(Relaxed)).collect();
        // At a bound is below it.
        assert_eq!(buckets, [1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(sheet.word(at).load(Relaxed), 20_005_000);
    }

    #[test]
    fn proxies_tell_the_time_in_three_units() {
        for value in ["t=1700000000.25", "1700000000250", "t=1700000000250000"] {
            let time = proxy_time(value.as_bytes()).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            assert_eq!(time.map(|time| time.as_millis()), Some(1_700_000_000_250), "{value}");
        }
        for value in ["", "t=", "now", "-1", "12", "NaN", "1e300", "t=\u{e9}"] {
            assert_eq!(proxy_time(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn the_next_process_goes_on_with_the_counters() {
        let sheet = Sheet::own();
        sheet.begin(7, 1);
        sheet.note_answer(200, None);
        sheet.enter(Kind::Raw);
        assert_eq!((sheet.connections(Kind::Raw), sheet.ended(Kind::Raw)), (1, 0));
        sheet.end();
        assert_eq!((sheet.connections(Kind::Raw), sheet.ended(Kind::Raw)), (0, 1));
        sheet.begin(8, 2);
        assert_eq!((sheet.get(Count::Pid), sheet.requests(), sheet.connections(Kind::Raw)), (8, 1, 0));
    }
}
