//! A reactor with one connection, and a clock that the test moves.

// Not every test needs all of it.
#![allow(dead_code)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iodine_core::exchange::Exchange;
use iodine_core::handle::{Handle, Stream};
use iodine_core::jobs::{Job, JobQueue};
use iodine_core::net::address::Address;
use iodine_core::net::listener::{BoundSocket, Listener};
use iodine_core::reactor::Reactor;
use iodine_core::settings::{HttpSettings, ListenerSettings};
use tempfile::TempDir;

/// A reactor with one connection.
pub(crate) struct World {
    pub(crate) reactor: Reactor,
    pub(crate) handle: Handle,
    pub(crate) jobs: Arc<JobQueue>,
    pub(crate) now: Instant,
    pub(crate) peer: UnixStream,
    folder: TempDir,
}

/// The listener's socket, in the folder of its world.
const SOCKET: &str = "sock";

/// The shortest time that alarms tell apart.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

impl World {
    pub(crate) fn new() -> Self {
        Self::with(HttpSettings::default())
    }

    pub(crate) fn with(settings: HttpSettings) -> Self {
        Self::behind(settings, |listener| listener)
    }

    /// One whose listener has more to it.
    pub(crate) fn behind(settings: HttpSettings, change: impl FnOnce(Listener) -> Listener) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET);
        let jobs = Arc::new(JobQueue::default());
        let mut reactor = Reactor::new(Arc::clone(&jobs)).unwrap();
        let handle = reactor.handle();
        let socket = BoundSocket::bind(&Address::Unix(path.clone())).unwrap();
        handle.listen(change(socket.listener(0, ListenerSettings::Http(Arc::new(settings))).unwrap()));
        let now = Instant::now();
        reactor.step(now).unwrap();
        let peer = UnixStream::connect(path).unwrap();
        peer.set_nonblocking(true).unwrap();
        let mut world = Self { reactor, handle, jobs, now, peer, folder };
        world.step();
        assert!(world.is_open());
        world
    }

    /// One more peer.
    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.folder.path().join(SOCKET)).unwrap()
    }

    pub(crate) fn step(&mut self) {
        self.reactor.step(self.now).unwrap();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.step();
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.peer.write_all(bytes).unwrap();
        self.step();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.reactor.clients() == 1
    }

    /// What has come. That there is room again is an event for the server.
    pub(crate) fn heard(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.peer.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionReset), "{error}")
            }
        }
        self.step();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The request that waits.
    pub(crate) fn request(&mut self) -> Box<Exchange> {
        let Some(Job::Request(exchange)) = self.jobs.try_take() else { panic!("no request") };
        exchange
    }

    /// Begins to stream the answer to the request that waits.
    pub(crate) fn stream(&mut self, head: &[u8]) -> Stream {
        let exchange = self.request();
        self.handle.stream(exchange.connection, head.to_vec())
    }

    /// Answers the request that waits, with a body of that length.
    pub(crate) fn answer(&mut self, length: usize) {
        let mut exchange = self.request();
        exchange.response.head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
        exchange.response.head.resize(exchange.response.head.len() + length, b'x');
        exchange.response.close = self.handle.is_draining();
        self.handle.answer(exchange);
        self.step();
    }
}

/// A request.
pub(crate) const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
