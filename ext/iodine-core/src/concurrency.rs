//! How many workers and how many threads a worker the server runs.

/// The outcome of [`resolve`]: counts to run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Application threads in each worker, at least 1.
    pub threads: u32,
    /// Worker processes, at least 1. With 1 there is no separate master.
    pub workers: u32,
    /// True when nothing was asked for and the machine has more than [`AUTOMATIC_LIMIT`] cores: the counts use that
    /// limit instead, which deserves a warning.
    pub capped: bool,
}

/// The most cores the automatic choice uses. A machine with more is told to set its counts.
pub const AUTOMATIC_LIMIT: usize = 8;

/// Turns the `threads` and `workers` settings into counts for a machine with `cores` cores.
///
/// A positive setting is a count. A negative one, `-n`, is a share: the number of cores divided by `n`. Zero means
/// "choose for me": one core's worth of each when both are zero, 1 beside a count, and beside a share `-n` the number
/// `n`, so that the two together fill the machine.
///
/// From four cores on, an automatic or shared count that would occupy every core leaves one to the operating system
/// and to the master.
pub fn resolve(threads: i32, workers: i32, cores: usize) -> Concurrency {
    match (threads, workers) {
        (0, 0) => automatic(cores),
        (0.., 0..) => Concurrency::new(i64::from(threads), i64::from(workers)),
        _ => shared(threads.into(), workers.into(), count(cores)),
    }
}

impl Concurrency {
    fn new(threads: i64, workers: i64) -> Self {
        Self { threads: at_least_one(threads), workers: at_least_one(workers), capped: false }
    }
}

fn automatic(cores: usize) -> Concurrency {
    let used = count(cores.min(AUTOMATIC_LIMIT));
    let workers = if used > SPARED_FROM { used - 1 } else { used };
    Concurrency { capped: cores > AUTOMATIC_LIMIT, ..Concurrency::new(used, workers) }
}

/// Resolves settings of which at least one is negative.
fn shared(threads: i64, workers: i64, cores: i64) -> Concurrency {
    let mut thread_count = share(threads, workers, cores);
    let mut worker_count = share(workers, threads, cores);
    if cores > SPARED_FROM && thread_count.saturating_mul(worker_count) >= cores {
        // Both look at the product before either is reduced.
        worker_count -= i64::from(workers < 0);
        thread_count -= i64::from(threads < 0);
    }
    Concurrency::new(thread_count, worker_count)
}

/// The count one setting stands for, next to the `other` one.
fn share(setting: i64, other: i64, cores: i64) -> i64 {
    match setting {
        ..0 => cores / -setting,
        0 => other.abs(),
        _ => setting,
    }
}

fn count(cores: usize) -> i64 {
    i64::try_from(cores).unwrap_or(i64::MAX)
}

fn at_least_one(value: i64) -> u32 {
    u32::try_from(value.max(1)).unwrap_or(u32::MAX)
}

/// Machines with more cores than this keep one free.
const SPARED_FROM: i64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_settings_and_the_cores() {
        // (cores, threads, workers) => (threads, workers)
        let table = [
            // Both automatic.
            ((1, 0, 0), (1, 1)),
            ((2, 0, 0), (2, 2)),
            ((3, 0, 0), (3, 3)),
            ((4, 0, 0), (4, 3)),
            ((8, 0, 0), (8, 7)),
            ((16, 0, 0), (8, 7)),
            ((64, 0, 0), (8, 7)),
            // Counts are taken as they are.
            ((2, 0, 4), (1, 4)),
            ((2, 4, 0), (4, 1)),
            ((64, 5, 3), (5, 3)),
            ((1, 4095, 511), (4095, 511)),
            // Shares on two cores.
            ((2, -1, 0), (2, 1)),
            ((2, 0, -1), (1, 2)),
            ((2, -2, -2), (1, 1)),
            ((2, -2, 4), (1, 4)),
            ((2, 3, -1), (3, 2)),
            // A share below one core is one.
            ((1, -1, -1), (1, 1)),
            ((1, -2, 0), (1, 2)),
            ((4, -5, -5), (1, 1)),
            // A full machine leaves one core free.
            ((4, -1, -1), (3, 3)),
            ((4, -2, -2), (1, 1)),
            ((4, -1, 0), (3, 1)),
            ((4, 0, -1), (1, 3)),
            ((4, -2, 0), (1, 2)),
            ((4, 1, -1), (1, 3)),
            ((4, 3, -4), (3, 1)),
            ((8, -2, -4), (3, 1)),
            ((8, -4, -4), (2, 2)),
            ((8, 16, -1), (16, 7)),
            ((8, -1, 16), (7, 16)),
            ((16, -4, 0), (3, 4)),
            ((64, -8, -8), (7, 7)),
            ((64, -1, 1), (63, 1)),
            ((64, 0, -2), (2, 31)),
        ];
        for ((cores, threads, workers), expected) in table {
            let found = resolve(threads, workers, cores);
            assert_eq!((found.threads, found.workers), expected, "{cores} cores, -t {threads} -w {workers}");
        }
    }

    #[test]
    fn only_the_automatic_choice_is_capped() {
        assert!(!resolve(0, 0, 8).capped);
        assert!(resolve(0, 0, 9).capped);
        assert!(!resolve(-1, 0, 64).capped);
        assert!(!resolve(0, 9, 64).capped);
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        assert_eq!(resolve(i32::MIN, i32::MIN, usize::MAX).threads, u32::MAX - 1);
        assert_eq!(resolve(i32::MIN, 0, 0), Concurrency { threads: 1, workers: 1 << 31, capped: false });
        assert_eq!(resolve(0, 0, 0), Concurrency { threads: 1, workers: 1, capped: false });
    }
}
