//! A bounded map of what was found, in two generations.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps what is used. Its weight stays below a bound.
///
/// New entries, and old ones that are used again, are young. When the young weigh half the bound they become old, and
/// what was old until then goes: nothing has asked for it for a whole generation. No list of uses is kept.
pub(super) struct Cache<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    /// Weight of the young.
    weight: usize,
    /// What a generation may weigh.
    bound: usize,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    /// A cache whose entries weigh at most `bound` together.
    pub(super) fn new(bound: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, bound: bound / 2 }
    }

    /// The value of a key.
    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.old.is_empty()
            && let Some((key, (value, weight))) = self.old.remove_entry(key)
        {
            self.insert(key, value, weight);
        }
        self.young.get_mut(key).map(|(value, _)| value)
    }

    /// Adds or replaces the value of a key. One that outweighs a generation is not kept.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(&key);
        if weight > self.bound {
            return;
        }
        if self.weight + weight > self.bound {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, (value, weight));
    }

    /// Forgets a key.
    fn remove(&mut self, key: &K) {
        if let Some((_, weight)) = self.young.remove(key) {
            self.weight -= weight;
        }
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(cache: &Cache<u32, u32>) -> usize {
        cache.young.values().chain(cache.old.values()).map(|(_, weight)| weight).sum()
    }

    #[test]
    fn keeps_what_is_used_below_its_bound() {
        let mut cache = Cache::new(100);
        for key in 0..1000 {
            cache.insert(key, key, 10);
            assert!(weight(&cache) <= 100);
            assert_eq!(cache.get(&0), Some(&mut 0), "used after each insertion, lost after {key}");
        }
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.get(&999), Some(&mut 999));
    }

    #[test]
    fn replaces() {
        let mut cache = Cache::new(100);
        for _ in 0..100 {
            cache.insert(1, 1, 50);
        }
        cache.insert(1, 2, 10);
        assert_eq!((cache.get(&1).copied(), weight(&cache)), (Some(2), 10));
    }

    #[test]
    fn does_not_keep_what_is_too_heavy() {
        let mut cache = Cache::new(100);
        cache.insert(1, 1, 50);
        cache.insert(1, 2, 51);
        assert_eq!((cache.get(&1).copied(), weight(&cache)), (None, 0));
    }
}
