//! WebSockets and event streams without a socket: this end, and a peer, both in memory.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iodine_proto::websocket::{
    Close, CloseCode, Event as Frame, Kind, MaskKey, Reader, Role, encode_close, encode_message, encode_ping,
    encode_pong,
};

use super::http::Http;
use super::sse::Sse;
use super::websocket::WebSocket;
use super::{Connection, HANDSHAKES, Turn, Verdict};
use crate::client::{Client, Event, Protocol};
use crate::jobs::{Job, JobQueue};
use crate::net::tls::tests::connected;
use crate::net::write_queue::WriteQueue;
use crate::reactor::{ConnectionId, Reactor};
use crate::settings::{HttpSettings, WriteLimits};

const PING: Duration = Duration::from_secs(40);
const MAX: usize = 1000;
const LIMITS: WriteLimits = WriteLimits { max_pending: 1 << 20, timeout: Duration::from_secs(60) };

fn client(protocol: Protocol) -> Client {
    let reactor = Reactor::new(Arc::new(JobQueue::default())).unwrap();
    let client = Client::new(reactor.handle(), protocol, PING, None);
    client.want_drained(true);
    client
}

/// What the application is told, up to now.
fn told(client: &Client) -> Vec<Event> {
    std::iter::from_fn(|| client.next_event()).collect()
}

fn closed(code: u16, reason: &str) -> Event {
    let code = CloseCode::new(code).unwrap_or(CloseCode::ABNORMAL);
    Event::Close(Close { code, reason: reason.to_owned() })
}

fn mask() -> Option<MaskKey> {
    Some([1, 2, 3, 4])
}

/// The two ends of a WebSocket.
struct Ends {
    client: Client,
    socket: WebSocket,
    peer: Reader,
    turn: Turn,
    out: WriteQueue,
}

impl Ends {
    fn new() -> Self {
        let client = client(Protocol::WebSocket);
        let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
        let socket = WebSocket::new(client.clone(), LIMITS, MAX, &mut turn);
        Self { client, socket, peer: Reader::new(Role::Client, MAX, None), turn, out: WriteQueue::default() }
    }

    /// One whose application knows that it is open.
    fn open() -> Self {
        let mut ends = Self::new();
        assert_eq!(told(&ends.client), [Event::Open]);
        ends.turn.jobs.clear();
        ends
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.socket.receive(bytes, &mut self.turn, &mut self.out);
    }

    /// What the peer makes of all that was written.
    fn arrived(&mut self) -> Vec<Frame> {
        let bytes = self.out.take_bytes();
        let mut input = &bytes[..];
        std::iter::from_fn(|| self.peer.read(&mut input).unwrap()).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.turn.now += time;
    }

    fn time_out(&mut self) {
        self.socket.time_out(&mut self.turn, &mut self.out);
    }

    fn close(&mut self, code: u16) {
        let close = Close { code: CloseCode::new(code).unwrap(), reason: "why".to_owned() };
        self.socket.close(&close, &self.turn, &mut self.out);
    }
}

fn text(data: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_message(Kind::Text, data.as_bytes(), mask(), &mut frame);
    frame
}

fn close_frame(code: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_close(CloseCode::new(code).unwrap(), "bye", mask(), &mut frame);
    frame
}

fn message(data: &str) -> Event {
    Event::Message(Kind::Text, data.as_bytes().to_vec())
}

#[test]
fn events_are_told_in_order_by_one_job() {
    let mut ends = Ends::new();
    ends.receive(&[text("one"), text("two")].concat());
    assert_eq!(ends.turn.jobs.len(), 1);
    assert!(matches!(ends.turn.jobs[0], Job::Client(_)));
    assert_eq!(told(&ends.client), [Event::Open, message("one"), message("two")]);
    // The mailbox was emptied, so the next event needs a job again.
    ends.receive(&text("three"));
    assert_eq!(ends.turn.jobs.len(), 2);
}

#[test]
fn frames_may_be_cut_anywhere() {
    let bytes = [text("one"), text("twö"), close_frame(1000)].concat();
    for cut in 0..=bytes.len() {
        let mut ends = Ends::open();
        ends.receive(&bytes[..cut]);
        ends.receive(&bytes[cut..]);
        assert_eq!(told(&ends.client), [message("one"), message("twö"), closed(1000, "bye")], "{cut}");
        assert_eq!(ends.arrived().len(), 1, "{cut}");
    }
}

#[test]
fn a_ping_is_answered_at_once() {
    let mut ends = Ends::open();
    let mut ping = Vec::new();
    encode_ping(b"alive?", mask(), &mut ping);
    ends.receive(&ping);
    assert_eq!(ends.arrived(), [Frame::Pong(b"alive?".to_vec())]);
    assert!(told(&ends.client).is_empty());
}

#[test]
fn the_peer_closes() {
    let mut ends = Ends::open();
    ends.receive(&[close_frame(4000), text("late")].concat());
    assert_eq!(told(&ends.client), [closed(4000, "bye")]);
    assert!(matches!(&ends.arrived()[..], [Frame::Close(close)] if close.code.get() == 4000));
    assert!(ends.socket.live.is_finished() && !ends.client.is_open());
}

#[test]
fn the_application_closes_and_hears_nothing_more_but_the_end() {
    let mut ends = Ends::open();
    ends.close(4001);
    ends.close(4002);
    ends.socket.write(b"late".as_slice().into(), &mut ends.out);
    assert!(matches!(&ends.arrived()[..], [Frame::Close(close)] if close.code.get() == 4001 && close.reason == "why"));
    ends.receive(&text("ignored"));
    assert!(told(&ends.client).is_empty());
    ends.receive(&close_frame(4001));
    assert_eq!(told(&ends.client), [closed(4001, "bye")]);
    assert!(ends.arrived().is_empty());
}

#[test]
fn a_close_frame_that_is_not_answered_has_a_deadline() {
    let mut ends = Ends::open();
    ends.close(1000);
    let deadline = ends.socket.deadline().unwrap();
    assert_eq!(deadline, ends.turn.now + Duration::from_secs(3));
    ends.pass(Duration::from_secs(1));
    // Other signs of life do not put it off.
    ends.receive(&text("still here"));
    assert_eq!(ends.socket.deadline(), Some(deadline));
    ends.time_out();
    assert_eq!(told(&ends.client), [closed(1006, "")]);
}

#[test]
fn a_peer_that_vanishes_is_found_by_a_ping() {
    let mut ends = Ends::open();
    assert_eq!(ends.socket.deadline(), Some(ends.turn.now + PING));
    ends.pass(PING);
    ends.time_out();
    assert_eq!(ends.arrived(), [Frame::Ping(Vec::new())]);
    assert_eq!(ends.socket.deadline(), Some(ends.turn.now + PING));
    ends.pass(PING);
    ends.time_out();
    assert_eq!(told(&ends.client), [closed(1006, "")]);
    assert!(ends.arrived().is_empty());
}

#[test]
fn any_sign_of_life_answers_a_ping() {
    let mut pong = Vec::new();
    encode_pong(b"", mask(), &mut pong);
    // The last one is a part of a frame.
    for sign in [pong, text("x"), text("x")[..3].to_vec()] {
        let mut ends = Ends::open();
        ends.pass(PING);
        ends.time_out();
        ends.receive(&sign);
        ends.pass(PING);
        ends.time_out();
        assert_eq!(ends.arrived().len(), 2, "a ping again, and no end");
        assert!(!ends.socket.live.is_finished());
    }
}

#[test]
fn a_timeout_of_zero_never_pings() {
    let ends = Ends::open();
    ends.client.set_timeout(Duration::ZERO);
    assert_eq!(ends.socket.deadline(), None);
}

#[test]
fn mistakes_end_it_with_their_code() {
    let mut unmasked = Vec::new();
    encode_message(Kind::Text, b"x", None, &mut unmasked);
    let mut reserved = text("x");
    reserved[0] |= 0x40;
    let mut no_utf8 = Vec::new();
    encode_message(Kind::Text, b"\xff", mask(), &mut no_utf8);
    let mut large = Vec::new();
    encode_message(Kind::Binary, &[0; MAX + 1], mask(), &mut large);
    for (bytes, code) in [(unmasked, 1002), (reserved, 1002), (no_utf8, 1007), (large, 1009)] {
        let mut ends = Ends::open();
        ends.receive(&[text("before"), bytes, text("after")].concat());
        let events = told(&ends.client);
        assert_eq!(events[0], message("before"));
        assert!(matches!(&events[1..], [Event::Close(close)] if close.code.get() == code), "{events:?}");
        assert!(matches!(&ends.arrived()[..], [Frame::Close(close)] if close.code.get() == code));
        assert!(ends.socket.unread, "the peer may be sending the rest");
    }
}

#[test]
fn the_largest_message_is_taken() {
    let mut ends = Ends::open();
    let data = "x".repeat(MAX);
    ends.receive(&text(&data));
    assert_eq!(told(&ends.client), [message(&data)]);
}

#[test]
fn an_application_that_is_behind_stops_the_reading_and_the_pings() {
    let mut ends = Ends::open();
    let frame = text("x");
    while ends.socket.wants_input() {
        ends.receive(&frame);
    }
    ends.pass(PING);
    ends.time_out();
    ends.pass(PING);
    ends.time_out();
    assert!(ends.arrived().is_empty() && !ends.socket.live.is_finished());
    assert_eq!(told(&ends.client).len(), 256);
    assert!(ends.socket.wants_input());
}

#[test]
fn a_large_backlog_stops_the_reading_as_many_messages_do() {
    let mut ends = Ends::open();
    let frame = text(&"x".repeat(MAX));
    let mut messages = 0;
    while ends.socket.wants_input() {
        ends.receive(&frame);
        messages += 1;
    }
    assert_eq!(messages, 256.min((1 << 20) / MAX + 1));
}

#[test]
fn pending_falls_when_all_has_left_and_that_is_told_once() {
    let mut ends = Ends::open();
    for _ in 0..3 {
        assert!(ends.client.send_message(Kind::Text, b"x"));
        ends.socket.write(b"\x81\x01x".as_slice().into(), &mut ends.out);
    }
    assert_eq!(ends.client.pending(), 3);
    ends.out.take_bytes();
    ends.socket.live.flushed(&mut ends.turn);
    ends.socket.live.flushed(&mut ends.turn);
    assert_eq!((ends.client.pending(), told(&ends.client)), (0, vec![Event::Drained]));
}

#[test]
fn what_nobody_wants_to_know_is_not_told() {
    let mut ends = Ends::open();
    ends.client.want_drained(false);
    ends.socket.write(b"\x81\x01x".as_slice().into(), &mut ends.out);
    ends.socket.live.flushed(&mut ends.turn);
    assert!(ends.turn.jobs.is_empty() && told(&ends.client).is_empty());
}

#[test]
fn the_end_of_the_input_is_told_once() {
    let mut ends = Ends::open();
    ends.socket.end_of_input(&mut ends.turn);
    ends.socket.end_of_input(&mut ends.turn);
    assert_eq!(told(&ends.client), [closed(1006, "")]);
    assert!(!ends.client.send_message(Kind::Text, b"x"));
}

#[test]
fn a_stopping_server_says_so_to_those_that_come_meanwhile() {
    let client = client(Protocol::WebSocket);
    let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
    turn.draining = true;
    let _socket = WebSocket::new(client.clone(), LIMITS, MAX, &mut turn);
    assert_eq!(told(&client), [Event::Open, Event::Shutdown]);
}

/// An event stream.
struct Stream {
    client: Client,
    sse: Sse,
    turn: Turn,
    out: WriteQueue,
}

impl Stream {
    fn open() -> Self {
        let client = client(Protocol::Sse);
        let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
        let sse = Sse::new(client.clone(), LIMITS, &mut turn);
        assert_eq!(told(&client), [Event::Open]);
        Self { client, sse, turn, out: WriteQueue::default() }
    }
}

#[test]
fn silence_of_an_event_stream_is_broken_by_comments_for_ever() {
    let mut stream = Stream::open();
    for _ in 0..3 {
        assert_eq!(stream.sse.deadline(), Some(stream.turn.now + PING));
        stream.turn.now += PING;
        stream.sse.time_out(&stream.turn, &mut stream.out);
        assert_eq!(stream.out.take_bytes(), b": ping\r\n\r\n");
    }
    assert!(told(&stream.client).is_empty());
}

#[test]
fn an_event_puts_the_comment_off() {
    let mut stream = Stream::open();
    stream.turn.now += PING / 2;
    stream.sse.write(b"data: x\r\n\r\n".as_slice().into(), &stream.turn, &mut stream.out);
    assert_eq!(stream.sse.deadline(), Some(stream.turn.now + PING));
}

#[test]
fn an_event_stream_ends_when_either_end_closes() {
    let mut ours = Stream::open();
    ours.sse.close(Close { code: CloseCode::NO_STATUS, reason: String::new() }, &mut ours.turn);
    let mut theirs = Stream::open();
    theirs.sse.end_of_input(&mut theirs.turn);
    for mut stream in [ours, theirs] {
        assert!(matches!(told(&stream.client)[..], [Event::Close(_)]));
        stream.sse.write(b"late".as_slice().into(), &stream.turn, &mut stream.out);
        assert!(stream.out.is_empty() && stream.sse.live.is_finished());
    }
}

#[test]
fn a_turn_goes_on_with_so_many_handshakes_and_no_more() {
    let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
    let taken = (0..HANDSHAKES + 2).filter(|_| turn.takes_handshake()).count();
    assert_eq!(taken, HANDSHAKES as usize);
}

#[test]
fn a_peer_that_is_gone_while_ciphertext_waits_for_it_is_left_at_once() {
    let (server, peer) = connected();
    let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
    let client = client(Protocol::WebSocket);
    let socket = WebSocket::new(client.clone(), LIMITS, MAX, &mut turn);
    let protocol = super::Protocol::WebSocket(Box::new(socket));
    let mut connection = Connection::new(ConnectionId::default(), server.into(), protocol, &turn);
    drop(peer);
    connection.write_client("nobody reads this".into(), &turn);

    // The write finds that out, what the peer may have said is read, and that is the end.
    assert_eq!(connection.settle(&mut turn), Verdict::Again);
    connection.read(&mut [0; 1000], &mut turn).unwrap();
    assert_eq!(connection.settle(&mut turn), Verdict::Close);
    connection.end(&mut turn);
    assert!(matches!(told(&client).last(), Some(Event::Close(_))));
}

/// A connection on a socket, and its peer. The reactor has something to settle for it.
fn listed(protocol: impl FnOnce(&mut Turn) -> super::Protocol) -> (Connection, UnixStream, Turn) {
    let (here, peer) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
    let protocol = protocol(&mut turn);
    let stream = mio::net::UnixStream::from_std(here).into();
    let mut connection = Connection::new(ConnectionId::default(), stream, protocol, &turn);
    assert_eq!(connection.settle(&mut turn), Verdict::Keep);
    connection.is_listed = true;
    (connection, peer, turn)
}

#[test]
fn a_message_of_the_turn_in_which_silence_becomes_too_long_is_sent_and_a_ping_behind_it() {
    let (mut connection, mut peer, mut turn) = listed(|turn| {
        super::Protocol::WebSocket(Box::new(WebSocket::new(client(Protocol::WebSocket), LIMITS, MAX, turn)))
    });
    turn.now += PING;
    connection.write_client("a message".into(), &turn);

    assert_eq!(connection.time_out(&mut turn), Verdict::Keep);
    assert_eq!(connection.deadline, Some(turn.now + PING));
    let mut came = [0; 11];
    peer.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"a message\x89\x00");
}

#[test]
fn a_part_of_a_body_that_comes_with_the_alarm_is_in_time() {
    let settings = Arc::new(HttpSettings::default());
    let timeout = settings.body_timeout;
    let (mut connection, mut peer, mut turn) =
        listed(|_| super::Protocol::Http(Box::new(Http::new(settings, 7, "a peer".into()))));
    let mut receive = |connection: &mut Connection, turn: &mut Turn, bytes: &[u8]| {
        peer.write_all(bytes).unwrap();
        connection.readable = true;
        connection.read(&mut [0; 1000], turn).unwrap();
    };
    receive(&mut connection, &mut turn, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(connection.settle(&mut turn), Verdict::Keep);
    assert_eq!(connection.deadline, Some(turn.now + timeout));
    turn.now += timeout * 2;
    receive(&mut connection, &mut turn, b"x");

    assert_eq!(connection.time_out(&mut turn), Verdict::Keep);
    assert_eq!(connection.deadline, Some(turn.now + timeout));
    // Nothing has happened in this one.
    turn.now += timeout;
    connection.is_listed = false;
    connection.time_out(&mut turn);
    let mut answer = [0; 12];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}
