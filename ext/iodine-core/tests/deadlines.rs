//! The deadlines of HTTP connections, by a clock that the test moves.

#![allow(clippy::unwrap_used)]

mod world;

use std::net::Shutdown;
use std::time::Duration;

use iodine_core::jobs::Job;
use iodine_core::settings::HttpSettings;

use world::{HEAD, MOMENT, World};

/// How long a peer may go on sending after the last answer.
const LINGER: Duration = Duration::from_secs(2);

/// What a peer says, what he is told when the time is over, and how long that takes.
#[test]
fn peers_that_do_not_go_on() {
    let settings = HttpSettings::default();
    let table: &[(&str, &[u8], Duration, &str)] = &[
        ("nothing at all", b"", settings.keep_alive, ""),
        ("an empty line", b"\r\n", settings.header_timeout, "HTTP/1.1 408 "),
        ("the first byte of a head", b"G", settings.header_timeout, "HTTP/1.1 408 "),
        ("a head but for its end", &HEAD[..HEAD.len() - 1], settings.header_timeout, "HTTP/1.1 408 "),
        (
            "a part of a body",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
            settings.body_timeout,
            "HTTP/1.1 408 ",
        ),
        (
            "a part of a chunked body",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            settings.body_timeout,
            "HTTP/1.1 408 ",
        ),
    ];
    for (name, bytes, time, expected) in table {
        let mut world = World::new();
        world.say(bytes);
        world.pass(*time - MOMENT);
        assert!(world.is_open() && world.heard().is_empty(), "{name}: a moment before");
        world.pass(MOMENT * 2);
        let heard = world.heard();
        assert!(heard.starts_with(expected) && heard.is_empty() == expected.is_empty(), "{name}: {heard}");
        if !expected.is_empty() {
            world.pass(LINGER);
        }
        assert!(!world.is_open(), "{name}: after its time");
    }
}

/// The time of a head runs from its first byte, that of a body from its last one.
#[test]
fn a_byte_at_a_time() {
    let settings = HttpSettings::default();
    let mut slow = World::new();
    for byte in &HEAD[..10] {
        slow.say(&[*byte]);
        slow.pass(settings.header_timeout / 9);
    }
    assert!(slow.heard().starts_with("HTTP/1.1 408 "), "a head comes as a whole");

    let mut steady = World::new();
    steady.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for _ in 0..10 {
        steady.pass(settings.body_timeout - MOMENT);
        steady.say(b"x");
    }
    assert!(matches!(steady.jobs.try_take(), Some(Job::Request(_))), "a body goes on");
}

#[test]
fn a_connection_that_has_had_its_answer() {
    let settings = HttpSettings::default();
    let mut world = World::new();
    for _ in 0..3 {
        world.say(HEAD);
        // The application has as long as it likes.
        world.pass(Duration::from_secs(3600));
        world.answer(3);
        assert!(world.heard().ends_with("\r\n\r\nxxx"));
        world.pass(settings.keep_alive - MOMENT);
        assert!(world.is_open());
    }
    world.pass(MOMENT * 2);
    assert!(!world.is_open());
}

#[test]
fn a_peer_that_does_not_read() {
    const LARGE: usize = 8 << 20;
    let settings = HttpSettings::default();
    let mut world = World::new();
    world.say(HEAD);
    world.answer(LARGE);
    world.pass(settings.write_timeout - MOMENT);
    assert!(world.is_open());
    // Whoever takes a part has as much time for the next.
    let taken = world.heard().len();
    assert!((1..LARGE).contains(&taken), "{taken}");
    world.pass(settings.write_timeout - MOMENT);
    assert!(world.is_open());
    world.pass(MOMENT * 2);
    assert!(!world.is_open());
}

/// So that he does not lose it; what he sends is not read.
#[test]
fn a_peer_that_still_sends_after_the_last_answer() {
    let refused = || {
        let mut world = World::new();
        world.say(&[b"GET / HTTP/3.0\r\n", &HEAD.repeat(3)[..]].concat());
        world
    };
    let mut sending = refused();
    for _ in 0..19 {
        sending.pass(LINGER / 20);
        sending.say(HEAD);
    }
    sending.pass(LINGER / 20 - MOMENT);
    assert!(sending.is_open(), "a moment before");
    sending.pass(MOMENT * 2);
    assert!(!sending.is_open(), "after its time");
    assert!(sending.heard().starts_with("HTTP/1.1 505 "));
    assert!(sending.jobs.try_take().is_none(), "nothing of it was read");

    let mut leaving = refused();
    leaving.peer.shutdown(Shutdown::Write).unwrap();
    leaving.step();
    assert!(!leaving.is_open(), "a peer that has ended is not waited for");
    assert!(leaving.heard().starts_with("HTTP/1.1 505 "));
}
