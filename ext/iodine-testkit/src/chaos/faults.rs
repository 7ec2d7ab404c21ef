//! What may go wrong, and what does for one connection.

use std::time::Duration;

use super::random::Random;

/// What may happen to the connections of a proxy.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Where all chance comes from.
    pub seed: u64,
    /// How long a piece waits at most.
    pub delay: Duration,
    /// Into how many pieces, cut at random places, goes at most what was read at once. 1 cuts nothing.
    pub pieces: u64,
    /// How many of a hundred connections come to a bad end.
    pub harm: u64,
    /// Their end comes before so many bytes have passed in one direction, if there are as many.
    pub within: u64,
    /// The ends to choose from.
    pub ends: Vec<End>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides are told that the other one has closed.
    Close,
    /// One side is told that nothing more will come, and the other one is not. What that sends from now on is dropped.
    HalfClose,
    /// Both sides are reset.
    Reset,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// The end that a connection comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How it ends.
    pub end: End,
    /// The direction whose bytes count, and which a half-close ends.
    pub way: Way,
    /// How many bytes still pass.
    pub after: u64,
}

impl Default for Faults {
    /// A network that does no harm.
    fn default() -> Self {
        Self { seed: 0, delay: Duration::ZERO, pieces: 1, harm: 0, within: 0, ends: Vec::new() }
    }
}

impl Faults {
    /// What becomes of the connection of this number.
    #[must_use]
    pub fn fate(&self, number: u64) -> Option<Fate> {
        let mut random = self.random(number);
        if self.ends.is_empty() || random.below(100) >= self.harm {
            return None;
        }
        let end = self.ends[random.below(self.ends.len() as u64) as usize];
        let way = if random.below(2) == 0 { Way::ToServer } else { Way::ToClient };
        Some(Fate { end, way, after: random.below(self.within) })
    }

    /// Chance for the connection of this number.
    pub(super) fn random(&self, number: u64) -> Random {
        let mut seeds = Random::new(self.seed);
        Random::new(seeds.below(u64::MAX) ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// How long the next piece waits.
    pub(super) fn wait(&self, random: &mut Random) -> Duration {
        Duration::from_micros(random.below(self.delay.as_micros() as u64 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Faults {
        Faults { seed, harm: 50, within: 100, ends: vec![End::Close, End::HalfClose, End::Reset], ..Faults::default() }
    }

    #[test]
    fn a_seed_decides_all() {
        let fates = |seed| (0..100).map(|number| faults(seed).fate(number)).collect::<Vec<_>>();

        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn every_end_and_way_happens_about_as_often_as_it_should() {
        let fates: Vec<Fate> = (0..3000).filter_map(|number| faults(7).fate(number)).collect();

        assert!((1300..1700).contains(&fates.len()), "{}", fates.len());
        for end in [End::Close, End::HalfClose, End::Reset] {
            for way in [Way::ToServer, Way::ToClient] {
                let some = fates.iter().filter(|fate| fate.end == end && fate.way == way);
                assert!((150..350).contains(&some.count()), "{end:?} {way:?}");
            }
        }
        assert!(fates.iter().any(|fate| fate.after == 0) && fates.iter().any(|fate| fate.after == 99));
        assert!(fates.iter().all(|fate| fate.after < 100));
    }

    #[test]
    fn nothing_happens_by_default() {
        assert!((0..100).all(|number| Faults::default().fate(number).is_none()));
    }
}
