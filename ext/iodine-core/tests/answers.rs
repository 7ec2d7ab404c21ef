//! Answers that are produced bit by bit, given away, or broken off; timers; and the end of a server.

#![allow(clippy::unwrap_used)]

mod world;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use iodine_core::client::{Client, Event, Protocol};
use iodine_core::handle::Drain;
use iodine_core::handover::{Interrupter, Waited};
use iodine_core::jobs::Job;
use iodine_core::net::descriptor::Descriptor;
use iodine_core::reactor::{Exit, TimerId};
use iodine_core::settings::WriteLimits;

use world::{HEAD, MOMENT, World};

const STREAMED: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
/// How long a head waits for its body.
const HELD: Duration = Duration::from_millis(5);
/// Bytes that a producer may have queued.
const FULL: usize = 256 << 10;

#[test]
fn a_head_waits_a_moment_for_its_body() {
    let mut world = World::new();
    world.say(HEAD);
    let stream = world.stream(STREAMED);
    world.pass(HELD - MOMENT);
    assert_eq!(world.heard(), "");
    assert!(stream.write(&b"body"[..]));
    world.step();
    assert!(world.heard().ends_with("\r\n\r\nbody"), "both in one packet");

    let mut slow = World::new();
    slow.say(HEAD);
    let _stream = slow.stream(STREAMED);
    slow.step();
    slow.pass(HELD + MOMENT);
    assert!(slow.heard().ends_with("\r\n\r\n"), "the head alone");
}

#[test]
fn a_producer_waits_while_too_much_is_queued() {
    let mut world = World::new();
    world.say(HEAD);
    let exchange = world.request();
    let stream = world.handle.stream(exchange.connection, STREAMED.to_vec());
    assert!(stream.write(vec![b'x'; FULL]));
    assert!(!stream.is_full(), "at the bound");
    assert!(stream.write(&b"x"[..]));
    assert!(stream.is_full(), "above it");
    // Whoever is asked to, goes on.
    assert!(stream.wait(|| true));
    let mut count = 0;
    while count < STREAMED.len() + FULL + 1 {
        world.step();
        count += world.heard().len();
    }
    assert!(!stream.is_full() && stream.wait(|| panic!("there is room")));
    drop(world.peer);
    // A peer that says no more may still read: the first bytes that he does not take tell that he is gone.
    assert!(stream.write(&b"x"[..]));
    world.reactor.step(world.now).unwrap();
    assert!(stream.is_closed() && !stream.write(&b"x"[..]) && !stream.is_full());
    world.handle.answer(exchange);
    world.reactor.step(world.now).unwrap();
    assert_eq!(world.reactor.clients(), 0);
}

#[test]
fn a_producer_that_waits_can_be_interrupted() {
    let mut world = World::new();
    world.say(HEAD);
    let stream = world.stream(STREAMED);
    stream.write(vec![b'x'; 2 * FULL]);
    let interrupted = AtomicBool::new(false);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| stream.wait(|| interrupted.load(Ordering::Acquire)));
        interrupted.store(true, Ordering::Release);
        while !waiting.is_finished() {
            stream.interrupt();
            thread::yield_now();
        }
        assert!(waiting.join().unwrap(), "the connection is there");
    });
}

#[test]
fn files_are_a_part_of_a_body() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "0123456789").unwrap();
    let mut world = World::new();
    world.say(HEAD);
    let exchange = world.request();
    let stream = world.handle.stream(exchange.connection, STREAMED.to_vec());
    stream.write(&b"<"[..]);
    assert!(stream.write_file(File::open(folder.path().join("file")).unwrap(), 2, 5));
    stream.write(&b">"[..]);
    world.handle.answer(exchange);
    world.step();
    assert!(world.heard().ends_with("\r\n\r\n<23456>"));
}

#[test]
fn an_answer_that_fails_is_never_taken_for_complete() {
    // Whether bytes of the body have left before it fails.
    for has_begun in [false, true] {
        let mut world = World::new();
        world.say(HEAD);
        let mut exchange = world.request();
        let stream =
            world.handle.stream(exchange.connection, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
        if has_begun {
            stream.write(&b"5\r\nhello\r\n"[..]);
            world.step();
        }
        exchange.response.error = Some(500);
        exchange.response.close = true;
        world.handle.fail(exchange);
        world.step();
        let heard = world.heard();
        assert_eq!(heard.starts_with("HTTP/1.1 500 "), !has_begun, "{heard}");
        assert!(!heard.contains("0\r\n\r\n") && !world.is_open(), "{heard}");
    }
}

#[test]
fn an_interim_response_comes_before_the_answer() {
    let mut world = World::new();
    world.say(HEAD);
    let exchange = world.request();
    world.handle.interim(exchange.connection, b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec());
    world.step();
    assert_eq!(world.heard(), "HTTP/1.1 103 Early Hints\r\n\r\n");
    world.handle.abort(exchange.connection);
    world.step();
    assert!(!world.is_open(), "and never comes when the connection is cut");
}

#[test]
fn a_hijacked_connection_is_the_applications() {
    let mut world = World::new();
    world.say(&[HEAD, b"more"].concat());
    let exchange = world.request();
    let handover = world.handle.hijack(exchange.connection);
    world.step();
    let Waited::Taken(hijacked) = handover.wait(&Interrupter::default()) else { panic!("not given") };
    assert_eq!((hijacked.unread.as_slice(), world.reactor.clients()), (&b"more"[..], 0));
    let mut socket = UnixStream::from(hijacked.socket);
    socket.write_all(b"from the application").unwrap();
    assert_eq!(world.heard(), "from the application");
    assert!(matches!(handover.wait(&Interrupter::default()), Waited::Gone), "once");

    let gone = world.handle.hijack(exchange.connection);
    world.step();
    assert!(matches!(gone.wait(&Interrupter::default()), Waited::Gone));
}

#[test]
fn timers_are_due_once_and_at_their_last_time() {
    let mut world = World::new();
    let (one, two) = (TimerId(1), TimerId(2));
    world.handle.set_timer(one, Duration::from_secs(1));
    world.handle.set_timer(two, Duration::from_secs(1));
    world.handle.set_timer(one, Duration::from_secs(3));
    world.handle.cancel_timer(two);
    world.step();
    world.pass(Duration::from_secs(3) - MOMENT);
    assert!(world.jobs.try_take().is_none());
    world.pass(MOMENT);
    assert!(matches!(world.jobs.try_take(), Some(Job::Timer(id)) if id == one));
    world.pass(Duration::from_secs(10));
    assert!(world.jobs.try_take().is_none());
}

#[test]
fn jobs_from_outside_and_the_end_of_work() {
    let mut world = World::new();
    world.handle.push_job(Job::Task(7));
    world.step();
    assert!(matches!(world.jobs.try_take(), Some(Job::Task(7))));
    world.handle.pause();
    assert_eq!(world.reactor.step(world.now).unwrap(), Some(Exit::Paused));
    assert_eq!(world.reactor.step(world.now).unwrap(), None, "it goes on");
    assert!(world.is_open());
}

const DRAIN: Drain = Drain { patience: Duration::from_secs(1), deadline: Duration::from_secs(5) };

#[test]
fn an_idle_connection_may_ask_once_more_before_the_end() {
    let mut world = World::new();
    assert!(!world.handle.is_draining());
    world.handle.drain(DRAIN);
    assert!(world.handle.is_draining());
    world.step();
    world.pass(DRAIN.patience - MOMENT);
    assert!(world.is_open());
    world.say(HEAD);
    world.answer(3);
    assert!(!world.is_open() && world.heard().ends_with("xxx"));
    assert_eq!(world.reactor.step(world.now).unwrap(), Some(Exit::Drained));
}

#[test]
fn what_is_left_at_the_end_is_cut_off() {
    let mut idle = World::new();
    idle.handle.drain(DRAIN);
    idle.step();
    idle.pass(DRAIN.patience + MOMENT);
    assert!(!idle.is_open());

    let mut busy = World::new();
    busy.say(HEAD);
    let exchange = busy.request();
    busy.handle.drain(DRAIN);
    busy.step();
    busy.pass(DRAIN.deadline - MOMENT);
    assert!(busy.is_open());
    busy.now += MOMENT * 2;
    busy.step();
    assert!(!busy.is_open());
    // Too late.
    busy.handle.answer(exchange);
    assert_eq!(busy.reactor.step(busy.now).unwrap(), Some(Exit::Drained));
}

#[test]
fn a_descriptor_becomes_a_connection() {
    let mut world = World::new();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let client = Client::new(world.handle.clone(), Protocol::Raw, Duration::from_secs(5), None);
    world.handle.attach(Descriptor::new(ours.into()).unwrap(), client.clone(), WriteLimits::default());
    assert!(client.send_bytes((&b"hello"[..]).into()));
    world.step();
    let mut bytes = [0; 5];
    theirs.read_exact(&mut bytes).unwrap();
    theirs.write_all(b"world").unwrap();
    world.step();
    assert_eq!((&bytes, world.reactor.clients()), (b"hello", 2));
    assert!(
        std::iter::from_fn(|| client.next_event())
            .any(|event| matches!(event, Event::Message(_, data) if data == b"world"))
    );
    drop(theirs);
    world.step();
    world.step();
    assert!(
        std::iter::from_fn(|| client.next_event()).any(|event| matches!(event, Event::EndOfInput | Event::Close(_)))
    );
}

#[test]
fn a_process_without_business_sends_nothing() {
    let mut world = World::new();
    world.say(HEAD);
    let exchange = world.request();
    let stream = world.handle.stream(exchange.connection, STREAMED.to_vec());
    world.handle.disown();
    assert!(stream.is_closed() && !stream.is_full() && !stream.write(&b"x"[..]));
    world.handle.answer(exchange);
    world.pass(Duration::from_secs(1));
    assert!(!world.heard().contains('x'));
}
