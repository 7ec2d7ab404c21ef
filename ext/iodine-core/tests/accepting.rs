//! Connections that come at once.

#![allow(clippy::unwrap_used)]

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iodine_core::handle::Drain;
use iodine_core::jobs::JobQueue;
use iodine_core::net::address::Address;
use iodine_core::net::listener::BoundSocket;
use iodine_core::reactor::Reactor;
use iodine_core::settings::{HttpSettings, ListenerSettings};

/// Other workers may want the rest; but when the process is told to stop there is nobody else for those it has welcomed.
#[test]
fn one_is_taken_a_turn_and_at_the_end_all_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sock");
    let mut reactor = Reactor::new(Arc::new(JobQueue::default())).unwrap();
    let socket = BoundSocket::bind(&Address::Unix(path.clone())).unwrap();
    let settings = ListenerSettings::Http(Arc::new(HttpSettings::default()));
    reactor.handle().listen(socket.listener(0, settings).unwrap());
    let now = Instant::now();
    reactor.step(now).unwrap();

    let peers: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for taken in 1..=3 {
        reactor.step(now).unwrap();
        assert_eq!(reactor.clients(), taken);
    }
    reactor.handle().drain(Drain { patience: Duration::from_secs(1), deadline: Duration::from_secs(5) });
    reactor.step(now).unwrap();
    assert_eq!(reactor.clients(), peers.len());
}
