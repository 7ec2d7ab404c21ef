//! Raw connections and clients over real sockets, without Ruby.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use iodine_core::client::{Client, Event, Protocol};
use iodine_core::handle::{Drain, Handle};
use iodine_core::jobs::{Consumer, Job, JobQueue, Taken};
use iodine_core::net::address::Address;
use iodine_core::net::descriptor::Descriptor;
use iodine_core::net::listener::BoundSocket;
use iodine_core::net::remote::Remote;
use iodine_core::random;
use iodine_core::reactor::leader::Leadership;
use iodine_core::reactor::{Connect, Exit, Handshake, Reactor};
use iodine_core::settings::{ListenerSettings, RawSettings, WriteLimits};
use iodine_proto::websocket::{ClientHandshake, Close, CloseCode, Kind};
use iodine_testkit::chaos::{End, Faults, Proxy};

/// Failure is this late; nothing waits for it otherwise.
const DEADLINE: Duration = Duration::from_secs(20);

/// A reactor and an application thread, which echoes what it is told.
struct Process {
    handle: Handle,
    guardian: JoinHandle<Exit>,
    application: JoinHandle<()>,
    told: Receiver<Event>,
}

impl Process {
    fn start() -> Self {
        let jobs = Arc::new(JobQueue::default());
        let reactor = Reactor::new(Arc::clone(&jobs)).unwrap();
        let handle = reactor.handle();
        let leadership = Arc::new(Leadership::new(reactor, true));
        let mut consumer = Consumer::new(jobs, Arc::clone(&leadership));
        let (tell, told) = channel();
        let application = thread::spawn(move || {
            while let Taken::Job(job) = consumer.take(|| false) {
                let Job::Client(client) = job else { continue };
                while let Some(event) = client.next_event() {
                    echo(&client, &event);
                    let _ = tell.send(event);
                }
            }
        });
        let guardian = thread::spawn(move || leadership.guard().unwrap());
        Self { handle, guardian, application, told }
    }

    /// A raw listener; where it listens.
    fn listen(&self, settings: RawSettings) -> SocketAddr {
        let socket = BoundSocket::bind(&Address::Tcp { host: Some("127.0.0.1".into()), port: 0 }).unwrap();
        let Address::Tcp { port, .. } = *socket.address() else { panic!("not TCP") };
        self.handle.listen(socket.listener(7, ListenerSettings::Raw(settings)).unwrap());
        ([127, 0, 0, 1], port).into()
    }

    fn connect(&self, remotes: Vec<Remote>, handshake: Option<Handshake>) {
        self.connect_with(WriteLimits::default(), remotes, handshake);
    }

    fn connect_with(&self, writes: WriteLimits, remotes: Vec<Remote>, handshake: Option<Handshake>) -> Client {
        let protocol = if handshake.is_some() { Protocol::WebSocket } else { Protocol::Raw };
        let client = Client::of_server(self.handle.clone(), protocol, Duration::ZERO);
        let connect = Connect { remotes, timeout: DEADLINE, client: client.clone(), writes, tls: None, handshake };
        self.handle.connect(connect);
        client
    }

    /// The next event.
    fn told(&self) -> Event {
        self.told.recv_timeout(DEADLINE).unwrap()
    }

    /// The end, after any other events.
    fn end(&self) -> Close {
        loop {
            if let Event::Close(close) = self.told() {
                return close;
            }
        }
    }

    fn stop(self) {
        self.handle.drain(Drain { patience: Duration::ZERO, deadline: DEADLINE });
        assert_eq!(self.guardian.join().unwrap(), Exit::Drained);
        self.handle.jobs().close();
        self.application.join().unwrap();
    }
}

fn echo(client: &Client, event: &Event) {
    match event {
        Event::Message(_, data) => drop(client.send_bytes(Bytes::copy_from_slice(data))),
        Event::EndOfInput | Event::Shutdown => {
            client.close(Close { code: CloseCode::NO_STATUS, reason: String::new() })
        }
        _ => {}
    }
}

fn read_to_end(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A port at which nobody listens.
fn nobody() -> Remote {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Remote::Tcp(listener.local_addr().unwrap())
}

fn handshake(timeout: Duration) -> Handshake {
    let mut codec = ClientHandshake::new(random::bytes(), None);
    let mut request = Vec::new();
    codec.request("/", "a", [], &mut request).unwrap();
    Handshake { codec, request, timeout, max_message: 100 }
}

#[test]
fn what_a_peer_says_before_it_closes_its_side_is_answered() {
    let process = Process::start();
    let mut peer = TcpStream::connect(process.listen(RawSettings::default())).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    let mut writer = peer.try_clone().unwrap();
    let bytes = sent.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&bytes).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(process.told(), Event::Accepted(7));
    assert_eq!(read_to_end(&mut peer), sent);
    sender.join().unwrap();
    assert_eq!(process.end().code, CloseCode::NO_STATUS);
    process.stop();
}

#[test]
fn a_silent_peer_is_left_after_the_timeout() {
    let process = Process::start();
    let settings = RawSettings { timeout: Duration::from_secs(1), ..RawSettings::default() };
    let peer = TcpStream::connect(process.listen(settings)).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(read_to_end(&peer), b"");
    assert_eq!(process.end().code, CloseCode::ABNORMAL);
    process.stop();
}

#[test]
fn a_peer_that_stops_reading_is_left_at_the_bound() {
    let process = Process::start();
    let writes = WriteLimits { max_pending: 100_000, ..WriteLimits::default() };
    let mut peer = TcpStream::connect(process.listen(RawSettings { writes, ..RawSettings::default() })).unwrap();
    let sender = thread::spawn(move || while peer.write_all(&[7; 65_536]).is_ok() {});
    assert_eq!(process.end().code, CloseCode::ABNORMAL);
    sender.join().unwrap();
    process.stop();
}

#[test]
fn what_waits_is_counted_without_a_large_message_that_is_being_written() {
    const BOUND: usize = 100_000;
    const LARGE: usize = 8 << 20;
    let process = Process::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let writes = WriteLimits { max_pending: BOUND, ..WriteLimits::default() };
    for (waiting, is_kept) in [(0, true), (BOUND - 1, true), (BOUND, true), (BOUND + 1, false)] {
        let client = process.connect_with(writes, vec![Remote::Unix(path.clone())], None);
        let (peer, _) = listener.accept().unwrap();
        assert_eq!(process.told(), Event::Open);
        client.send_bytes(vec![1; LARGE].into());
        for chunk in vec![2; waiting].chunks(1000) {
            client.send_bytes(Bytes::copy_from_slice(chunk));
        }
        if is_kept {
            // Whatever its size, it is the last one.
            client.send_bytes(vec![3; LARGE].into());
            client.close(Close { code: CloseCode::NO_STATUS, reason: String::new() });
            assert_eq!(read_to_end(&peer).len(), LARGE + waiting + LARGE, "{waiting} bytes");
        }
        assert_eq!(process.end().code, if is_kept { CloseCode::NO_STATUS } else { CloseCode::ABNORMAL });
        drop(peer);
    }
    process.stop();
}

#[test]
fn every_address_is_tried_in_turn() {
    let process = Process::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = Remote::Tcp(listener.local_addr().unwrap());
    process.connect(vec![nobody(), Remote::Unix("/nowhere/at.all".into()), nobody(), there], None);
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(process.told(), Event::Open);
    peer.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    drop(peer);
    process.end();
    process.stop();
}

#[test]
fn when_no_address_takes_the_connection_the_last_reason_is_told() {
    let process = Process::start();
    process.connect(vec![Remote::Unix("/nowhere/at.all".into()), nobody()], None);
    let Event::Close(close) = process.told() else { panic!("no end") };
    assert_eq!(close.code, CloseCode::ABNORMAL);
    assert!(close.reason.contains("127.0.0.1:") && close.reason.contains("refused"), "{}", close.reason);
    process.connect(Vec::new(), None);
    assert_eq!(process.end().reason, "there is no address");
    process.stop();
}

#[test]
fn a_unix_socket_is_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let process = Process::start();
    process.connect(vec![Remote::Unix(path)], None);
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(process.told(), Event::Open);
    peer.write_all(b"hello").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(peer), b"hello");
    process.stop();
}

#[test]
fn a_server_that_does_not_answer_the_handshake_is_given_up() {
    let process = Process::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    process.connect(vec![Remote::Tcp(listener.local_addr().unwrap())], Some(handshake(Duration::from_millis(50))));
    let (peer, _) = listener.accept().unwrap();
    let Event::Close(close) = process.told() else { panic!("told of something before the end") };
    assert_eq!(close.reason, "the server does not answer");
    assert!(read_to_end(peer).starts_with(b"GET / HTTP/1.1\r\n"));
    process.stop();
}

#[test]
fn what_is_under_way_when_the_process_stops_is_ended() {
    let process = Process::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    process.connect(vec![Remote::Tcp(listener.local_addr().unwrap())], Some(handshake(DEADLINE)));
    let (_peer, _) = listener.accept().unwrap();
    process.handle.drain(Drain { patience: Duration::ZERO, deadline: DEADLINE });
    assert_eq!(process.end().reason, "the process stops");
    process.connect(vec![nobody()], None);
    process.stop();
}

#[test]
fn an_attached_descriptor_is_a_connection() {
    let process = Process::start();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = Client::new(process.handle.clone(), Protocol::Raw, Duration::ZERO, None);
    client.take_job();
    let ours = Descriptor::new(ours.into()).unwrap();
    process.handle.attach(ours, client.clone(), WriteLimits::default());
    assert!(client.send_bytes("first ".into()));
    theirs.write_all(b"second").unwrap();
    client.requeue();
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(theirs), b"first second");
    assert_eq!(process.told(), Event::Message(Kind::Binary, b"second".to_vec()));
    process.end();
    assert!(!client.is_open() && !client.send_bytes("x".into()));
    process.stop();
}

#[test]
fn on_a_bad_network_what_lives_is_whole_and_each_end_is_told_once() {
    const PEERS: usize = 60;
    let seed = random::bytes::<8>().map(u64::from).iter().fold(0, |seed, byte| seed << 8 | byte);
    println!("seed {seed}");
    let faults = Faults {
        seed,
        delay: Duration::from_millis(2),
        pieces: 5,
        harm: 50,
        within: 60_000,
        ends: vec![End::Close, End::HalfClose, End::Reset],
    };
    let process = Process::start();
    let (tell, harmed) = channel();
    let proxy = Proxy::start(process.listen(RawSettings::default()), faults, move |harm| {
        let _ = tell.send(harm.port);
    })
    .unwrap();
    let sent: Vec<u8> = (0..50_000_u32).map(|number| (number * 7 / 3) as u8).collect();
    let mut broken: Vec<u16> = thread::scope(|scope| {
        let peers: Vec<_> = (0..PEERS).map(|_| scope.spawn(|| speak(proxy.address(), &sent))).collect();
        peers.into_iter().filter_map(|peer| peer.join().unwrap()).collect()
    });
    drop(proxy);
    let harmed: Vec<u16> = harmed.iter().collect();
    assert!(!broken.is_empty() && broken.len() < PEERS);
    broken.retain(|port| !harmed.contains(port));
    assert!(broken.is_empty(), "not harmed, but broken: {broken:?}");
    let mut told = [0, 0];
    while told[1] < PEERS {
        match process.told() {
            Event::Accepted(_) => told[0] += 1,
            Event::Close(_) => told[1] += 1,
            _ => {}
        }
    }
    assert_eq!(told, [PEERS; 2]);
    process.stop();
}

/// Sends all, and reads what comes back. The port, when it was not all of it.
fn speak(server: SocketAddr, sent: &[u8]) -> Option<u16> {
    let peer = TcpStream::connect(server).unwrap();
    let port = peer.local_addr().unwrap().port();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut came = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| (&peer).write_all(sent).and_then(|()| peer.shutdown(Shutdown::Write)));
        let outcome = (&peer).read_to_end(&mut came);
        assert!(!matches!(outcome, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "it hangs");
    });
    assert!(sent.starts_with(&came), "other bytes than were sent");
    (came.len() < sent.len()).then_some(port)
}
