//! Bytes that nobody can foresee: keys of handshakes, masks of frames (RFC 6455 sections 4.1 and 5.3).

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::process;

/// The system is asked for so many at once: a system call for each frame would cost more than its mask.
const DRAWN: usize = 512;

/// Unforeseeable bytes, never the same ones again.
pub fn bytes<const N: usize>() -> [u8; N] {
    thread_local! {
        static POOL: RefCell<Pool> = RefCell::default();
    }
    POOL.with_borrow_mut(|pool| pool.take(process::id()))
}

#[derive(Default)]
struct Pool {
    bytes: Vec<u8>,
    /// Whose they are: after a fork both processes have them, and the child must not use them.
    process: u32,
}

impl Pool {
    fn take<const N: usize>(&mut self, process: u32) -> [u8; N] {
        if self.bytes.len() < N || self.process != process {
            *self = Self { bytes: draw(N.max(DRAWN)), process };
        }
        let rest = self.bytes.len() - N;
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[rest..]);
        self.bytes.truncate(rest);
        taken
    }
}

fn draw(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Not known to happen on a system that has come up. The standard library draws the keys of its hash maps from the
        // same source, but may have had them for long.
        log::error!("the system gives no random bytes: {error}. Those of hash maps take their place.");
        let state = RandomState::new();
        for (number, chunk) in bytes.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&state.hash_one(number).to_ne_bytes()[..chunk.len()]);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let drawn: HashSet<[u8; 16]> = (0..1000).map(|_| bytes()).collect();
        assert_eq!(drawn.len(), 1000);
    }

    #[test]
    fn a_forked_process_does_not_draw_from_the_pool_of_its_parent() {
        let mut parent = Pool::default();
        let _: [u8; 8] = parent.take(1);
        let mut child = Pool { bytes: parent.bytes.clone(), process: 1 };
        assert_ne!(child.take::<8>(2), parent.take::<8>(1));
    }

    #[test]
    fn more_than_the_pool_holds_can_be_asked_for() {
        assert_ne!(bytes::<1000>(), [0; 1000]);
    }
}
