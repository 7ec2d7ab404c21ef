//! Connections that come at once.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use iodine_core::handle::Drain;

use world::World;

/// Other workers may want the rest; but when the process is told to stop there is nobody else for those it has welcomed.
#[test]
fn one_is_taken_a_turn_and_at_the_end_all_that_wait() {
    let mut world = World::new();
    let peers: Vec<_> = (0..100).map(|_| world.connect()).collect();
    for taken in 1..=3 {
        world.step();
        assert_eq!(world.reactor.clients(), 1 + taken);
    }
    world.handle.drain(Drain { patience: Duration::from_secs(1), deadline: Duration::from_secs(5) });
    world.step();
    assert_eq!(world.reactor.clients(), 1 + peers.len());
}
