//! A master and its workers in one process: what is published in one of them, and who gets it.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iodine_core::client::{Client, Event, Protocol};
use iodine_core::handle::Handle;
use iodine_core::jobs::{Job, JobQueue};
use iodine_core::net::address::Address;
use iodine_core::net::listener::BoundSocket;
use iodine_core::pubsub::census::{self, Census};
use iodine_core::pubsub::engine::Listener;
use iodine_core::pubsub::{Answer, Bounds, Change, Delivery, End, Engine, LastSeen, Message, Process, Scope, Topic};
use iodine_core::reactor::Reactor;
use iodine_core::settings::{ListenerSettings, WriteLimits};
use iodine_proto::cluster::Frames;
use iodine_proto::websocket::Handshake;

/// A process of the cluster.
struct Member {
    reactor: Reactor,
    handle: Handle,
    jobs: Arc<JobQueue>,
    process: Process,
    now: Instant,
}

/// A master and two workers.
struct Cluster {
    master: Member,
    workers: Vec<Member>,
}

/// Bytes that all channels keep together.
const MEMORY: usize = 1 << 20;
const LIMITS: WriteLimits = WriteLimits { max_pending: 1 << 20, timeout: Duration::from_secs(60) };

impl Member {
    fn new() -> Self {
        let jobs = Arc::new(JobQueue::default());
        let reactor = Reactor::new(Arc::clone(&jobs)).unwrap();
        let handle = reactor.handle();
        let process = Process::default();
        process.attach(&handle);
        Self { reactor, handle, jobs, process, now: Instant::now() }
    }

    fn step(&mut self) {
        self.reactor.step(self.now).unwrap();
    }

    fn subscribe(&self, topic: Topic) {
        self.process.subscribe(topic, Arc::new(()), None);
    }

    fn publish(&self, scope: Scope, channel: &'static str, payload: &'static str) {
        self.process.publish(scope, channel.into(), payload.into());
    }

    /// What the blocks of the process have been given, in order.
    fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(job) = self.jobs.try_take() {
            let Job::Subscription(subscription) = job else { continue };
            assert!(subscription.handler().is_some_and(|handler| handler.is::<()>()));
            while let Some(message) = subscription.next_message() {
                heard.push(String::from_utf8_lossy(&message.payload).into_owned());
            }
        }
        heard
    }

    /// Listens; a connection to it, and what the application makes of it.
    fn connect(&mut self, settings: ListenerSettings) -> UnixStream {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sock");
        let socket = BoundSocket::bind(&Address::Unix(path.clone())).unwrap();
        self.handle.listen(socket.listener(0, settings).unwrap());
        self.step();
        let peer = UnixStream::connect(path).unwrap();
        peer.set_nonblocking(true).unwrap();
        self.step();
        peer
    }

    /// A client of a connection that has become one of this protocol.
    fn client(&mut self, protocol: Protocol) -> (Client, UnixStream) {
        let mut peer = self.connect(ListenerSettings::Http(Arc::default()));
        peer.write_all(REQUEST).unwrap();
        self.step();
        let Some(Job::Request(mut exchange)) = self.jobs.try_take() else { panic!("no request") };
        if protocol == Protocol::WebSocket {
            Handshake::accept(&exchange.head, None).unwrap();
        }
        exchange.response.head = b"head".to_vec();
        let client = Client::new(self.handle.clone(), protocol, Duration::from_secs(40), None);
        self.handle.upgrade(exchange, client.clone());
        self.step();
        assert_eq!(read(&mut peer), b"head");
        assert_eq!(client.next_event(), Some(Event::Open));
        (client, peer)
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

impl Cluster {
    fn new() -> Self {
        Self::of(Member::new(), vec![Member::new(), Member::new()])
    }

    fn of(master: Member, workers: Vec<Member>) -> Self {
        let mut cluster = Self { master, workers: Vec::new() };
        workers.into_iter().for_each(|worker| cluster.add(worker));
        cluster.settle();
        cluster
    }

    /// Adds a worker that knows nothing yet.
    fn add(&mut self, worker: Member) {
        let (one, other) = UnixStream::pair().unwrap();
        self.master.handle.join(End::Master, one, LIMITS);
        worker.handle.join(End::Worker, other, LIMITS);
        worker.process.begin(&worker.handle, MEMORY);
        self.workers.push(worker);
    }

    /// Turns, until everything has arrived that was on its way: from a worker to the master, to an engine, and back.
    fn settle(&mut self) {
        for _ in 0..8 {
            self.workers.iter_mut().for_each(Member::step);
            self.master.step();
        }
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.master).chain(&self.workers)
    }

    /// What was heard by the master, and by each worker.
    fn heard(&mut self) -> Vec<Vec<String>> {
        self.settle();
        self.members().map(Member::heard).collect()
    }

    /// Asks from the member of that number; 0 is the master.
    fn ask(&mut self, member: usize, question: &Census) -> Option<Bytes> {
        let (answer, answered) = answer();
        assert!(self.members().nth(member).unwrap().process.ask(question, answer));
        self.settle();
        answered.lock().unwrap().take()
    }
}

fn answer() -> (Answer, Arc<Mutex<Option<Bytes>>>) {
    let answered = Arc::new(Mutex::new(None));
    let place = Arc::clone(&answered);
    (Box::new(move |bytes| *place.lock().unwrap() = Some(bytes)), answered)
}

fn read(peer: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match peer.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
        _ => bytes,
    }
}

/// An engine that remembers what it was told and given.
#[derive(Default)]
struct Recorder {
    told: Mutex<Vec<String>>,
}

impl Recorder {
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn note(&self, word: &str, name: &[u8]) {
        self.told.lock().unwrap().push(format!("{word} {}", String::from_utf8_lossy(name)));
    }
}

impl Engine for Recorder {
    fn tell(&self, change: &Change) -> Option<Job> {
        match change {
            Change::Gained(topic) => self.note("gained", &topic.name),
            Change::Lost(topic) => self.note("lost", &topic.name),
        }
        None
    }

    fn publish(&self, message: &Message) {
        self.note("published", &message.payload);
    }

    fn call(&self, question: Bytes, answer: Answer) {
        self.note("asked", &question);
        answer([&question[..], b"!"].concat().into());
    }

    fn detached(&self, topics: &HashSet<Topic>) {
        topics.iter().for_each(|topic| self.note("detached from", &topic.name));
    }
}

#[test]
fn a_message_reaches_the_processes_of_its_scope_once() {
    // Who publishes, and who hears it: the master, and two workers.
    let table = [
        (0, Scope::Cluster, [true, true, true]),
        (0, Scope::Process, [true, false, false]),
        (0, Scope::Siblings, [false, true, true]),
        (0, Scope::Root, [true, false, false]),
        (1, Scope::Cluster, [true, true, true]),
        (1, Scope::Process, [false, true, false]),
        (1, Scope::Siblings, [true, false, true]),
        (1, Scope::Root, [true, false, false]),
    ];
    let mut cluster = Cluster::new();
    cluster.members().for_each(|member| member.subscribe(Topic::channel("news")));
    cluster.settle();
    for (from, scope, expected) in table {
        cluster.members().nth(from).unwrap().publish(scope, "news", "word");
        let heard = cluster.heard();
        let expected = expected.map(|hears| if hears { vec!["word".to_owned()] } else { vec![] });
        assert_eq!(heard, expected, "{scope:?} by {from}");
    }
}

#[test]
fn a_process_alone_is_its_own_root_and_has_no_siblings() {
    let mut alone = Member::new();
    alone.subscribe(Topic::pattern("n*"));
    for (scope, hears) in
        [(Scope::Cluster, true), (Scope::Process, true), (Scope::Root, true), (Scope::Siblings, false)]
    {
        alone.publish(scope, "news", "word");
        alone.publish(scope, "other", "word");
        alone.step();
        assert_eq!(alone.heard().len(), usize::from(hears), "{scope:?}");
    }
    assert!(alone.process.unsubscribe(&"n*".into()));
    assert!(!alone.process.unsubscribe(&"n*".into()));
    alone.publish(Scope::Cluster, "news", "word");
    alone.step();
    assert!(alone.heard().is_empty());
}

#[test]
fn what_was_asked_for_before_the_start_is_done_at_the_start() {
    let mut member = Member::new();
    member.process.detach();
    member.subscribe(Topic::channel("news"));
    // A second one takes the place of the first.
    member.subscribe(Topic::channel("news"));
    member.publish(Scope::Cluster, "news", "early");
    assert!(!member.process.ask(&Census::Channels, answer().0), "nobody serves");
    let engine = Arc::new(Recorder::default());
    member.process.publish_through(engine.clone(), "news".into(), "at once".into());
    member.process.attach_engine(engine.clone());
    member.step();
    assert_eq!((member.heard(), engine.told()), (vec![], vec!["published at once".to_owned()]));

    member.process.attach(&member.handle);
    member.step();
    member.step();
    assert_eq!((member.heard(), engine.told()), (vec!["early".to_owned()], vec!["gained news".to_owned()]));
}

#[test]
fn a_forked_process_has_the_subscriptions_that_were_kept_and_no_messages() {
    let mut member = Member::new();
    member.process.detach();
    member.subscribe(Topic::channel("news"));
    member.process.keep();
    member.subscribe(Topic::channel("later"));
    member.publish(Scope::Cluster, "news", "of the parent");
    member.process.inherit();
    member.process.attach(&member.handle);
    member.publish(Scope::Cluster, "news", "word");
    member.publish(Scope::Cluster, "later", "nobody's");
    member.step();
    assert_eq!(member.heard(), ["word"]);
}

#[test]
fn the_master_counts_the_subscribers_of_all() {
    let mut cluster = Cluster::new();
    let engine = Arc::new(Recorder::default());
    cluster.workers[0].subscribe(Topic::channel("news"));
    cluster.settle();
    cluster.master.process.attach_engine(engine.clone());
    cluster.settle();
    assert_eq!(engine.told(), ["gained news"], "there before the engine was");
    cluster.workers[1].subscribe(Topic::channel("news"));
    cluster.workers[1].subscribe(Topic::pattern("n*"));
    cluster.settle();
    assert_eq!(engine.told(), ["gained n*"]);
    for member in 0..3 {
        let count = cluster.ask(member, &Census::Subscribers("news".into())).map(census::number);
        assert_eq!(count, Some(2), "asked by {member}");
        let names = cluster.ask(member, &Census::Channels).map(census::names);
        assert_eq!(names, Some(vec![Bytes::from("news")]), "asked by {member}");
    }
    assert!(cluster.workers[0].process.unsubscribe(&"news".into()));
    cluster.settle();
    assert_eq!(engine.told(), [""; 0], "the other one has it still");

    let as_engine: Arc<dyn Engine> = engine.clone();
    cluster.master.process.reset_engine(&as_engine);
    cluster.settle();
    let mut told = engine.told();
    told.sort();
    assert_eq!(told, ["gained n*", "gained news"], "all of it again");
    // A worker that is gone has no subscribers.
    drop(cluster.workers.pop());
    cluster.settle();
    let mut told = engine.told();
    told.sort();
    assert_eq!(told, ["lost n*", "lost news"]);

    cluster.master.subscribe(Topic::channel("last"));
    cluster.settle();
    cluster.master.process.detach_engine(&as_engine);
    cluster.master.subscribe(Topic::channel("untold"));
    cluster.settle();
    assert_eq!(engine.told(), ["gained last", "detached from last"]);
}

#[test]
fn an_engine_of_the_application_is_told_by_one_job() {
    let mut member = Member::new();
    let engine = Listener::new(Arc::new("the application's"));
    assert_eq!(engine.handler().downcast_ref(), Some(&"the application's"));
    member.process.attach_engine(engine.clone());
    member.subscribe(Topic::channel("one"));
    member.subscribe(Topic::pattern("two"));
    member.step();
    let Some(Job::Listener(told)) = member.jobs.try_take() else { panic!("no job") };
    assert!(member.jobs.try_take().is_none());
    let mut changes: Vec<_> = std::iter::from_fn(|| told.next_change()).collect();
    changes.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(changes, [Change::Gained(Topic::channel("one")), Change::Gained(Topic::pattern("two"))]);

    // What it does not care for is nothing to it.
    member.process.publish_through(engine.clone(), "one".into(), "word".into());
    member.process.add_engine(engine.clone());
    member.process.call(0, "what".into(), Box::new(|_| panic!("no answer")));
    member.process.unsubscribe(&"one".into());
    let as_engine: Arc<dyn Engine> = engine.clone();
    member.step();
    member.process.detach_engine(&as_engine);
    member.step();
    assert!(matches!(member.jobs.try_take(), Some(Job::Listener(_))));
    assert_eq!(engine.next_change(), Some(Change::Lost(Topic::channel("one"))));
}

#[test]
fn engines_of_the_master_serve_its_workers() {
    let mut cluster = Cluster::new();
    let engine = Arc::new(Recorder::default());
    assert_eq!(cluster.master.process.add_engine(engine.clone()), 0);
    cluster.settle();
    for member in 0..3 {
        let (answer, answered) = answer();
        let process = &cluster.members().nth(member).unwrap().process;
        process.relay(0, "news".into(), "word".into());
        process.relay(7, "news".into(), "to an engine that does not exist".into());
        process.call(0, "what".into(), answer);
        process.call(7, "nobody".into(), Box::new(|_| panic!("nobody answers")));
        cluster.settle();
        let mut told = engine.told();
        told.sort();
        assert_eq!(told, ["asked what", "published word"], "by {member}");
        assert_eq!(answered.lock().unwrap().as_deref(), Some(&b"what!"[..]), "by {member}");
    }
}

#[test]
fn what_an_engine_brings_is_for_the_subscribers_of_its_topic() {
    let mut cluster = Cluster::new();
    cluster.master.subscribe(Topic::pattern("n*"));
    cluster.workers[0].subscribe(Topic::channel("news"));
    cluster.workers[1].subscribe(Topic::pattern("*s"));
    cluster.settle();
    for (topic, expected) in [
        (Topic::channel("news"), [0, 1, 0]),
        (Topic::pattern("n*"), [1, 0, 0]),
        (Topic::pattern("*s"), [0, 0, 1]),
        (Topic::pattern("ne*"), [0, 0, 0]),
    ] {
        cluster.master.process.deliver(topic.clone(), Message::new("news".into(), "word".into()));
        let heard: Vec<_> = cluster.heard().iter().map(Vec::len).collect();
        assert_eq!(heard, expected, "{topic:?}");
    }
}

/// A process whose channel "kept" keeps two messages.
fn with_memory() -> Member {
    let member = Member::new();
    let bounds = Bounds { messages: 2, bytes: 1 << 20, age: Duration::from_secs(60) };
    member.process.remember(Topic::channel("kept"), bounds).unwrap();
    member
}

#[test]
fn whoever_comes_late_is_given_what_was_kept() {
    let master = with_memory();
    master.process.begin(&master.handle, MEMORY);
    let mut cluster = Cluster::of(master, vec![with_memory(), with_memory()]);
    cluster.workers[1].subscribe(Topic::channel("kept"));
    cluster.settle();
    for (member, payload) in [(1, "one"), (0, "two"), (2, "three")] {
        cluster.members().nth(member).unwrap().publish(Scope::Cluster, "kept", payload);
        cluster.settle();
    }
    cluster.workers[0].publish(Scope::Cluster, "plain", "not kept");
    assert_eq!(cluster.heard()[2], ["one", "two", "three"], "in the order of their numbers");

    for member in cluster.members() {
        member.process.subscribe(Topic::channel("kept"), Arc::new(()), Some(LastSeen::Nothing));
    }
    assert_eq!(cluster.heard(), [["two", "three"], ["two", "three"], ["two", "three"]]);

    // A new worker, which is asked before it knows.
    cluster.add(with_memory());
    cluster.workers[2].process.subscribe(Topic::channel("kept"), Arc::new(()), Some(LastSeen::Nothing));
    assert_eq!(cluster.heard()[3], ["two", "three"]);
    cluster.master.publish(Scope::Cluster, "kept", "four");
    assert_eq!(cluster.heard(), [["four"], ["four"], ["four"], ["four"]], "each once");
}

#[test]
fn a_worker_without_its_master_is_told_so() {
    let mut cluster = Cluster::new();
    let worker = &mut cluster.workers[0];
    worker.process.call(0, "unanswered".into(), Box::new(|_| panic!("nobody answers")));
    drop(cluster.master);
    worker.step();
    worker.step();
    assert!(matches!(worker.jobs.try_take(), Some(Job::Orphaned)));
    // It goes on by itself.
    worker.subscribe(Topic::channel("news"));
    worker.publish(Scope::Cluster, "news", "word");
    worker.process.relay(0, "news".into(), "lost".into());
    worker.process.call(0, "lost".into(), Box::new(|_| panic!("nobody answers")));
    worker.step();
    assert_eq!(worker.heard(), ["word"]);
}

#[test]
fn a_link_that_speaks_nonsense_is_closed() {
    let mut frames = Frames::default();
    frames.push(b"lane", "a packet of no kind".into());
    let mut packet = Vec::new();
    frames.write(usize::MAX, |bytes| packet.extend_from_slice(&bytes));
    for nonsense in [vec![0xff; 64], packet] {
        let mut master = Member::new();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        master.handle.join(End::Master, ours, LIMITS);
        master.step();
        theirs.write_all(&nonsense).unwrap();
        (0..4).for_each(|_| master.step());
        let mut byte = [0];
        assert!(matches!(theirs.read(&mut byte), Ok(0)) || theirs.write(&byte).is_err(), "{nonsense:?}");
    }
}

#[test]
fn connections_get_messages_without_the_application() {
    let table: [(_, _, &[u8], &[u8]); 3] = [
        (Protocol::WebSocket, false, b"\x81\x04word", b"\x82\x01\xff"),
        (Protocol::WebSocket, true, b"\x82\x04word", b"\x82\x01\xff"),
        (Protocol::Sse, false, b"data:word\r\n\r\n", b"data:\xff\r\n\r\n"),
    ];
    for (protocol, as_binary, text, binary) in table {
        let mut member = Member::new();
        let (client, mut peer) = member.client(protocol);
        assert!(client.subscribe(Topic::channel("news"), Delivery::Direct { as_binary }, None));
        let squeeze = |bytes: Vec<u8>| bytes.into_iter().filter(|byte| *byte != b' ').collect::<Vec<_>>();
        for (payload, expected) in [(&b"word"[..], text), (b"\xff", binary)] {
            member.process.publish(Scope::Cluster, "news".into(), Bytes::copy_from_slice(payload));
            member.step();
            assert_eq!(squeeze(read(&mut peer)), expected, "{protocol:?}, {as_binary}");
        }
        assert!(client.unsubscribe(&"news".into()) && !client.unsubscribe(&"news".into()));
        member.publish(Scope::Cluster, "news", "unheard");
        member.step();
        assert!(read(&mut peer).is_empty());
    }
}

#[test]
fn blocks_of_connections_end_with_them() {
    let mut member = Member::new();
    let engine = Arc::new(Recorder::default());
    member.process.attach_engine(engine.clone());
    let (client, peer) = member.client(Protocol::WebSocket);
    assert!(client.subscribe(Topic::channel("news"), Delivery::Block(Arc::new(())), None));
    // Another one in its place.
    assert!(client.subscribe(Topic::channel("news"), Delivery::Block(Arc::new(())), None));
    member.publish(Scope::Cluster, "news", "word");
    member.step();
    let Some(Event::Published(subscription, message)) = client.next_event() else { panic!("no message") };
    assert!(subscription.is_active() && subscription.handler().is_some() && subscription.next_message().is_none());
    assert_eq!(&message.payload[..], b"word");
    assert_eq!((client.next_event(), engine.told()), (None, vec!["gained news".to_owned()]));

    drop(peer);
    (0..3).for_each(|_| member.step());
    assert!(matches!(client.next_event(), Some(Event::Close(_))));
    assert_eq!(engine.told(), ["lost news"]);
    assert!(!subscription.is_active() && !client.is_open());
    assert!(!client.subscribe(Topic::channel("news"), Delivery::Direct { as_binary: false }, None));
}
