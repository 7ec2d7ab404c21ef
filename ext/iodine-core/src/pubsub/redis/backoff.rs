//! How long to wait before the next attempt to connect.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses that double, each of them shortened by chance: many servers that lost one Redis do not come back in step.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(200);
/// Later pauses, at most.
const LONGEST: Duration = Duration::from_secs(15);

impl Backoff {
    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        self.next_with(RandomState::new().hash_one(self.failures))
    }

    /// `chance` is any number. At least half of the pause is kept.
    fn next_with(&mut self, chance: u64) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let share = chance as f64 / u64::MAX as f64;
        pause.mul_f64(0.5 + share / 2.0)
    }

    /// The server has proved reliable.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..10).map(|_| backoff.next_with(u64::MAX).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000, 15_000]);
        backoff.reset();
        assert_eq!(backoff.next_with(u64::MAX), FIRST);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next_with(u64::MAX), LONGEST);
    }

    #[test]
    fn chance_shortens_by_half_at_most() {
        assert_eq!(Backoff::default().next_with(0), FIRST / 2);
        for _ in 0..100 {
            let pause = Backoff::default().next();
            assert!(pause >= FIRST / 2 && pause <= FIRST, "{pause:?}");
        }
        let different = (0..100).any(|_| Backoff::default().next() != Backoff::default().next());
        assert!(different, "a hundred pairs of equal pauses are no chance");
    }
}
