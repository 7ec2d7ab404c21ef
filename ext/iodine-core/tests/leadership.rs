//! Application threads that run the reactor, and the guardian that takes it from them, over real sockets.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use iodine_core::date;
use iodine_core::exchange::Exchange;
use iodine_core::handle::{Drain, Handle};
use iodine_core::jobs::{Consumer, Job, JobQueue, Taken};
use iodine_core::net::address::Address;
use iodine_core::net::listener::BoundSocket;
use iodine_core::reactor::leader::Leadership;
use iodine_core::reactor::{Exit, Reactor};
use iodine_core::settings::ListenerSettings;
use iodine_proto::http1::{Framing, Persistence, ResponseWriter};

/// Failure is this late; nothing waits for it otherwise.
const DEADLINE: Duration = Duration::from_secs(20);

struct Server {
    port: u16,
    handle: Handle,
    guardian: JoinHandle<Exit>,
    threads: Vec<JoinHandle<()>>,
    /// Tells that the application is inside `/wait`, and lets it out.
    inside: Mutex<Receiver<()>>,
    release: Sender<()>,
    interrupted: Arc<AtomicBool>,
    leadership: Arc<Leadership>,
}

impl Server {
    fn start(threads: usize) -> Self {
        let socket = BoundSocket::bind(&Address::Tcp { host: Some("127.0.0.1".into()), port: 0 }).unwrap();
        let Address::Tcp { port, .. } = *socket.address() else { panic!("not TCP") };
        let jobs = Arc::new(JobQueue::default());
        let reactor = Reactor::new(Arc::clone(&jobs)).unwrap();
        let handle = reactor.handle();
        handle.listen(socket.listener(0, ListenerSettings::Http(Arc::default())).unwrap());
        let leadership = Arc::new(Leadership::new(reactor, true));
        let interrupted = Arc::new(AtomicBool::new(false));
        let (inside_sender, inside) = channel();
        let (release, release_receiver) = channel();
        let release_receiver = Arc::new(Mutex::new(release_receiver));
        let threads = (0..threads)
            .map(|_| {
                let mut consumer = Consumer::new(Arc::clone(&jobs), Arc::clone(&leadership));
                let application = Application {
                    handle: handle.clone(),
                    inside: inside_sender.clone(),
                    release: Arc::clone(&release_receiver),
                };
                let interrupted = Arc::clone(&interrupted);
                thread::spawn(move || application.work(&mut consumer, &interrupted))
            })
            .collect();
        let guarded = Arc::clone(&leadership);
        let guardian = thread::spawn(move || guarded.guard().unwrap());
        Self { port, handle, guardian, threads, inside: Mutex::new(inside), release, interrupted, leadership }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    fn wait_until_inside(&self) {
        self.inside.lock().unwrap().recv_timeout(DEADLINE).unwrap();
    }

    fn stop(self) {
        self.handle.drain(Drain { patience: Duration::ZERO, deadline: DEADLINE });
        assert_eq!(self.guardian.join().unwrap(), Exit::Drained);
        self.handle.jobs().close();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

struct Application {
    handle: Handle,
    inside: Sender<()>,
    release: Arc<Mutex<Receiver<()>>>,
}

impl Application {
    fn work(&self, consumer: &mut Consumer, interrupted: &AtomicBool) {
        loop {
            match consumer.take(|| interrupted.load(Ordering::SeqCst)) {
                Taken::Job(Job::Request(exchange)) => self.answer_all(exchange),
                Taken::Job(_) => {}
                Taken::Interrupted | Taken::Closed => return,
            }
            while let Some(job) = consumer.try_take() {
                if let Job::Request(exchange) = job {
                    self.answer_all(exchange);
                }
            }
        }
    }

    fn answer_all(&self, first: Box<Exchange>) {
        let mut next = Some(first);
        while let Some(mut exchange) = next {
            next = exchange.next.take();
            match exchange.head.path() {
                b"/wait" => {
                    self.inside.send(()).unwrap();
                    self.release.lock().unwrap().recv().unwrap();
                }
                b"/slow" => thread::sleep(Duration::from_millis(3)),
                b"/busy" => spin(Duration::from_millis(3)),
                _ => {}
            }
            let body = exchange.head.path().to_vec();
            let head = &mut exchange.response.head;
            let writer = ResponseWriter::new(head, 200);
            writer.finish(Framing::Length(body.len() as u64), Persistence::Default, &date::now());
            head.extend_from_slice(&body);
            self.handle.answer(exchange);
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn send(&mut self, path: &str) {
        self.send_bytes(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Status and body.
    fn receive(&mut self) -> (u16, String) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    fn get(&mut self, path: &str) -> (u16, String) {
        self.send(path);
        self.receive()
    }

    fn has_nothing(&mut self) -> bool {
        self.0.get_ref().set_nonblocking(true).unwrap();
        let nothing = self.0.fill_buf().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.0.get_ref().set_nonblocking(false).unwrap();
        nothing
    }
}

#[test]
fn a_slow_application_delays_nobody_else() {
    for threads in [1, 2] {
        let server = Server::start(threads);
        let mut slow = server.connect();
        for round in 0..20 {
            // In some rounds an application thread leads by now, in others the guardian has kept the reactor.
            assert_eq!(slow.get("/quick"), (200, "/quick".into()));
            slow.send("/wait");
            server.wait_until_inside();
            let mut other = server.connect();
            other.send_bytes(b"nonsense\r\n\r\n");
            assert_eq!(other.receive().0, 400, "round {round} with {threads} threads");
            if threads > 1 {
                assert_eq!(server.connect().get("/beside"), (200, "/beside".into()));
            }
            assert!(slow.has_nothing());
            server.release.send(()).unwrap();
            assert_eq!(slow.receive(), (200, "/wait".into()));
        }
        server.stop();
    }
}

#[test]
fn every_request_is_answered_once_while_the_reactor_changes_hands() {
    for threads in [1, 3] {
        let server = Server::start(threads);
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for number in 0..6 {
                let (server, answered) = (&server, &answered);
                scope.spawn(move || {
                    let mut client = server.connect();
                    for turn in 0..150 {
                        // A slow one now and then makes the guardian take over; after a while somebody leads again.
                        let slow = (turn + number * 7) % 50 == 0;
                        let path = if slow { "/slow".to_owned() } else { format!("/{number}-{turn}") };
                        assert_eq!(client.get(&path), (200, path));
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    assert!(client.has_nothing());
                });
            }
        });
        assert_eq!(answered.load(Ordering::SeqCst), 900);
        server.stop();
    }
}

#[test]
fn jobs_from_outside_reach_a_leader_that_sleeps() {
    let server = Server::start(1);
    assert_eq!(server.connect().get("/"), (200, "/".into()));
    for _ in 0..200 {
        server.handle.push_job(Job::Idle);
        while server.handle.jobs().backlog() > 0 {
            thread::yield_now();
        }
    }
    server.stop();
}

#[test]
fn a_leader_can_be_interrupted_and_the_guardian_goes_on() {
    let mut server = Server::start(1);
    let mut client = server.connect();
    assert_eq!(client.get("/"), (200, "/".into()));
    server.interrupted.store(true, Ordering::SeqCst);
    server.handle.jobs().interrupt();
    server.leadership.interrupt();
    server.threads.pop().unwrap().join().unwrap();
    client.send_bytes(b"nonsense\r\n\r\n");
    assert_eq!(client.receive().0, 400);
    server.stop();
}

/// Nobody waits for long, however late the threads of a crowded machine come to their turn.
#[test]
fn nobody_is_forgotten_on_a_crowded_machine() {
    let crowd = Crowd::gather();
    // The threads of the server inherit it.
    rustix::process::setpriority_process(None, 19).unwrap();
    for threads in [1, 2, 4] {
        let server = Server::start(threads);
        let until = Instant::now() + soak();
        thread::scope(|scope| {
            for number in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    let mut turn = 0;
                    while Instant::now() < until {
                        let slow = (turn + number * 7) % 23 == 0;
                        let path = match slow {
                            true if turn % 2 == 0 => "/slow".to_owned(),
                            true => "/busy".to_owned(),
                            false => format!("/{number}-{turn}"),
                        };
                        assert_eq!(server.connect().get(&path), (200, path), "{threads} threads");
                        turn += 1;
                        thread::sleep(Duration::from_millis(turn % 5));
                    }
                });
            }
        });
        server.stop();
    }
    drop(crowd);
}

/// How long to go on, in seconds by `IODINE_SOAK`.
fn soak() -> Duration {
    let seconds = std::env::var("IODINE_SOAK").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

/// Threads that take the processors away from all others, until it is dropped.
struct Crowd(Arc<AtomicBool>);

impl Crowd {
    fn gather() -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        for _ in 0..2 * thread::available_parallelism().map_or(1, usize::from) {
            let leave = Arc::clone(&leave);
            thread::spawn(move || while !leave.load(Ordering::Relaxed) {});
        }
        Self(leave)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {}
}
