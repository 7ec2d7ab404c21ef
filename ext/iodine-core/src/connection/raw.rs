//! A raw connection: what comes is told as it comes, and what is written leaves as it is.

use std::time::Instant;

use bytes::Bytes;
use iodine_proto::websocket::{Close, Kind, Role};

use super::Turn;
use super::live::Live;
use crate::client::{Client, Event, abnormal, broken};
use crate::net::write_queue::WriteQueue;
use crate::settings::WriteLimits;

pub(crate) struct Raw {
    pub(super) live: Live,
    /// What the client is told first, once the peers understand each other.
    greeting: Option<Event>,
}

/// What the client is told first.
pub(crate) enum Greeting {
    /// This, at once.
    Now(Event),
    /// This, when the handshake is done.
    AfterHandshake(Event),
    /// Nothing: it knows already.
    Known,
}

impl Greeting {
    pub(crate) fn of(first: Event, is_handshaking: bool) -> Self {
        if is_handshaking { Self::AfterHandshake(first) } else { Self::Now(first) }
    }
}

impl Raw {
    pub(super) fn new(client: Client, writes: WriteLimits, greeting: Greeting, turn: &mut Turn) -> Self {
        let (first, greeting) = match greeting {
            Greeting::Now(first) => (Some(first), None),
            Greeting::AfterHandshake(first) => (None, Some(first)),
            Greeting::Known => (None, None),
        };
        let mut live = Live::new(client, writes, first, turn);
        live.note_written();
        Self { live, greeting }
    }

    /// The handshake is done. A client is told which of the names that it has offered the server has taken.
    pub(super) fn begin(&mut self, alpn: Option<&[u8]>, turn: &mut Turn) {
        let first = match (self.greeting.take(), alpn) {
            (Some(Event::Open), Some(name)) => Event::Agreed(name.to_vec()),
            (Some(first), _) => first,
            (None, _) => return,
        };
        self.live.tell(first, turn);
        self.live.note_written();
    }

    /// Takes what has arrived.
    pub(super) fn receive(&mut self, data: &[u8], turn: &mut Turn) {
        if !data.is_empty() {
            self.live.alive_at = turn.now;
            self.live.tell(Event::Message(Kind::Binary, data.to_vec()), turn);
        }
    }

    pub(super) fn write(&mut self, bytes: Bytes, turn: &Turn, out: &mut WriteQueue) {
        self.live.alive_at = turn.now;
        self.live.write(bytes, out);
    }

    /// A message that was published.
    pub(super) fn publish(&mut self, bytes: Bytes, turn: &Turn, out: &mut WriteQueue) {
        self.live.alive_at = turn.now;
        self.live.publish(bytes, out);
    }

    /// The application closes it.
    pub(super) fn close(&mut self, close: Close, turn: &mut Turn) {
        if !self.live.is_finished() {
            self.live.finish(close, turn);
        }
    }

    /// A peer that has closed its side may wait for the answer to what it sent, so the application has the last word.
    pub(super) fn end_of_input(&mut self, turn: &mut Turn) {
        self.live.tell(Event::EndOfInput, turn);
    }

    /// The peer does not keep to TLS. Before the end of the handshake there was no connection for the application.
    pub(super) fn end_of_decryption(&mut self, reason: &str, turn: &mut Turn) {
        if self.greeting.is_none() {
            return self.end_of_input(turn);
        }
        if self.live.client().role() == Role::Client {
            log::info!("no connection was opened: {reason}");
        }
        self.live.finish(broken(reason), turn);
    }

    pub(super) fn wants_input(&self) -> bool {
        !self.live.is_finished() && !self.live.is_backed_up()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.live.silent_too_long_at()
    }

    pub(super) fn time_out(&mut self, turn: &mut Turn) {
        self.live.alive_at = turn.now;
        if self.live.is_busy() {
            // The silence may be the application's own.
        } else if self.live.wants_ping() {
            self.live.tell(Event::Ping, turn);
        } else {
            log::debug!("a raw connection is closed: its peer was silent for too long");
            self.live.finish(abnormal(), turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::reactor::Reactor;

    /// A raw connection without a socket.
    struct Bench {
        raw: Raw,
        client: Client,
        turn: Turn,
        out: WriteQueue,
    }

    impl Bench {
        fn new(greeting: Greeting, timeout: u64) -> Self {
            let reactor = Reactor::new(Arc::default()).unwrap();
            let client =
                Client::new(reactor.handle(), crate::client::Protocol::Raw, Duration::from_secs(timeout), None);
            let mut turn = Turn::new(Instant::now(), crate::metrics::Sheet::own());
            let raw = Raw::new(client.clone(), WriteLimits::default(), greeting, &mut turn);
            Self { raw, client, turn, out: WriteQueue::default() }
        }

        fn events(&self) -> Vec<Event> {
            std::iter::from_fn(|| self.client.next_event()).collect()
        }
    }

    fn message(data: &[u8]) -> Event {
        Event::Message(Kind::Binary, data.to_vec())
    }

    #[test]
    fn what_is_read_is_told_as_it_comes() {
        let mut bench = Bench::new(Greeting::Now(Event::Accepted(3)), 0);
        for data in [&b"one"[..], b"", b"\0\xff"] {
            bench.raw.receive(data, &mut bench.turn);
        }
        assert_eq!(bench.events(), [Event::Accepted(3), message(b"one"), message(b"\0\xff")]);
        assert_eq!(bench.turn.jobs.len(), 1);
    }

    #[test]
    fn writes_leave_as_they_are_until_the_end() {
        let mut bench = Bench::new(Greeting::Known, 0);
        bench.raw.write("one".into(), &bench.turn, &mut bench.out);
        bench.raw.close(abnormal(), &mut bench.turn);
        bench.raw.write("late".into(), &bench.turn, &mut bench.out);
        assert_eq!(bench.out.take_bytes(), b"one");
        assert!(bench.raw.live.is_finished() && !bench.raw.wants_input() && !bench.client.is_open());
        bench.raw.close(broken("again"), &mut bench.turn);
        assert_eq!(bench.events(), [Event::Close(abnormal())]);
    }

    #[test]
    fn the_end_of_the_input_is_no_end_of_the_answers() {
        let mut bench = Bench::new(Greeting::Known, 0);
        bench.raw.receive(b"question", &mut bench.turn);
        bench.raw.end_of_input(&mut bench.turn);
        assert!(!bench.raw.live.is_finished() && bench.client.is_open());
        assert_eq!(bench.events(), [message(b"question"), Event::EndOfInput]);
    }

    #[test]
    fn nothing_is_told_before_the_handshake_is_done() {
        let mut bench = Bench::new(Greeting::AfterHandshake(Event::Open), 0);
        assert_eq!(bench.events(), []);
        bench.raw.begin(None, &mut bench.turn);
        bench.raw.begin(None, &mut bench.turn);
        assert_eq!(bench.events(), [Event::Open]);
        for (first, told) in [(Event::Open, Event::Agreed(b"x".to_vec())), (Event::Accepted(3), Event::Accepted(3))] {
            let mut bench = Bench::new(Greeting::AfterHandshake(first), 0);
            bench.raw.begin(Some(b"x"), &mut bench.turn);
            assert_eq!(bench.events(), [told]);
        }
        let mut bench = Bench::new(Greeting::AfterHandshake(Event::Open), 0);
        bench.raw.end_of_decryption("no", &mut bench.turn);
        assert_eq!(bench.events(), [Event::Close(broken("no"))]);
    }

    #[test]
    fn silence_asks_for_a_ping_or_ends_the_connection_and_spares_who_is_at_work() {
        let mut bench = Bench::new(Greeting::Known, 5);
        let began = bench.turn.now;
        assert_eq!(bench.raw.deadline(), Some(began + Duration::from_secs(5)));
        bench.client.want_ping(true);
        bench.turn.now += Duration::from_secs(5);
        bench.raw.time_out(&mut bench.turn);
        assert_eq!(bench.raw.deadline(), Some(began + Duration::from_secs(10)));
        // The ping is not taken yet: the application is at work.
        bench.client.want_ping(false);
        bench.raw.time_out(&mut bench.turn);
        assert_eq!(bench.events(), [Event::Ping]);
        bench.raw.time_out(&mut bench.turn);
        assert_eq!(bench.events(), [Event::Close(abnormal())]);
    }

    #[test]
    fn without_a_timeout_there_is_no_deadline() {
        let mut bench = Bench::new(Greeting::Known, 0);
        assert_eq!(bench.raw.deadline(), None);
        bench.client.set_timeout(Duration::from_secs(1));
        assert!(bench.raw.deadline().is_some());
        bench.turn.now += Duration::from_secs(9);
        bench.raw.write("sign of life".into(), &bench.turn, &mut bench.out);
        assert_eq!(bench.raw.deadline(), Some(bench.turn.now + Duration::from_secs(1)));
    }
}
