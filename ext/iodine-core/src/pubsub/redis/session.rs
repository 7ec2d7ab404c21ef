//! One connection to Redis, from the first byte to the last: what was asked, and which answers are due.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{Parser, Value, pack_command};

use super::reply::text_of;
use super::url::Server;
use super::{Arrival, Topic};
use crate::net::stream::Stream;

/// A connection on which answers come in the order of the questions. `T` says what else than the greeting and pings
/// was asked.
pub(super) struct Session<T> {
    stream: Stream,
    parser: Parser,
    /// Bytes that the value being read may still have.
    room: usize,
    /// Bytes to be written, of which so many have been.
    out: Vec<u8>,
    written: usize,
    due: VecDeque<Due<T>>,
    /// When the greeting was answered.
    greeted: Option<Instant>,
    /// When the last byte came, or the connection was opened.
    heard: Instant,
    /// When the oldest answer that is due was asked for; of no meaning while none is.
    asked: Instant,
}

/// An answer that Redis owes.
enum Due<T> {
    /// To a step of the greeting.
    Greeting,
    Ping,
    Answer(T),
}

/// What Redis has sent.
pub(super) enum Received<T> {
    /// The whole greeting is answered: the connection is ready.
    Greeted,
    /// The answer to a question.
    Answer(T, Value),
    /// A message of a subscription.
    Message(Arrival),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The name of the host has no address.
    Unresolved(io::Error),
    /// It could not be opened, or broke.
    Broken(io::Error),
    /// Redis closed it.
    Closed,
    /// Redis owed an answer for that long.
    Silent(Duration),
    /// What came is not what Redis sends.
    Garbage,
    /// Redis refused the greeting, or us.
    Refused(String),
    /// We failed ourselves.
    Defect,
}

/// Bytes of the largest value, of which a String may have 512 MiB by default (`proto-max-bulk-len`).
const VALUE_LIMIT: usize = 576 << 20;
/// The buffer of bytes to be written keeps so much memory.
const KEPT: usize = 64 << 10;

impl<T> Session<T> {
    /// Begins with a connection that may not be open yet: logs in, chooses the database, and asks for a sign of life.
    pub(super) fn new(stream: Stream, server: &Server, now: Instant) -> Self {
        let mut session = Self {
            stream,
            parser: Parser::new(),
            room: VALUE_LIMIT,
            out: Vec::new(),
            written: 0,
            due: VecDeque::new(),
            greeted: None,
            heard: now,
            asked: now,
        };
        for command in greeting(server) {
            session.ask(&command, Due::Greeting, now);
        }
        session
    }

    /// Whether the greeting is answered, so that something else may be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.greeted.is_some()
    }

    /// Whether it has been ready for so long.
    pub(super) fn has_lasted(&self, time: Duration, now: Instant) -> bool {
        self.greeted.is_some_and(|greeted| now.duration_since(greeted) >= time)
    }

    /// Queues a command to which there is one answer.
    pub(super) fn send(&mut self, packed: &[u8], question: T, now: Instant) {
        self.ask(packed, Due::Answer(question), now);
    }

    /// Bytes that wait to be written.
    pub(super) fn backlog(&self) -> usize {
        self.out.len() - self.written
    }

    /// Answers that are due.
    pub(super) fn owed(&self) -> usize {
        self.due.len()
    }

    /// What was asked and not answered.
    pub(super) fn into_unanswered(self) -> impl Iterator<Item = T> {
        self.due.into_iter().filter_map(|due| match due {
            Due::Answer(question) => Some(question),
            Due::Greeting | Due::Ping => None,
        })
    }

    /// The next thing that Redis has sent; `None` when there is nothing yet.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    pub(super) fn receive(&mut self, now: Instant) -> Result<Option<Received<T>>, Failure> {
        while let Some(value) = self.read(now)? {
            if let Some(received) = self.understand(value, now)? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        // TLS has something to say before anything else, and after it.
        while self.backlog() > 0 || self.stream.wants_write() {
            let written = match self.backlog() {
                0 => self.stream.flush().map(|()| 0),
                _ => self.stream.write(&self.out[self.written..]),
            };
            match written {
                Ok(count) => self.written += count,
                Err(error) if is_early(&error) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Broken(error)),
            }
        }
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.written = 0;
        Ok(())
    }

    /// Asks for a sign of life after `ping` without any.
    ///
    /// # Errors
    /// When Redis has owed one for `timeout`.
    pub(super) fn check(&mut self, ping: Duration, timeout: Duration, now: Instant) -> Result<(), Failure> {
        if now < self.alarm(ping, timeout) {
            return Ok(());
        }
        if !self.due.is_empty() {
            return Err(Failure::Silent(timeout));
        }
        self.ask(&pack(&[b"PING"]), Due::Ping, now);
        Ok(())
    }

    /// When [`check`](Self::check) has something to do, unless something comes before.
    pub(super) fn alarm(&self, ping: Duration, timeout: Duration) -> Instant {
        match self.due.is_empty() {
            true => self.heard + ping,
            false => self.heard.max(self.asked) + timeout,
        }
    }

    fn ask(&mut self, packed: &[u8], due: Due<T>, now: Instant) {
        if self.due.is_empty() {
            self.asked = now;
        }
        self.out.extend_from_slice(packed);
        self.due.push_back(due);
    }

    fn read(&mut self, now: Instant) -> Result<Option<Value>, Failure> {
        let mut source = Source { stream: &mut self.stream, room: self.room, got: false, end: None };
        let parsed = self.parser.parse_value(&mut source);
        let Source { got, end, room, .. } = source;
        self.room = if parsed.is_ok() { VALUE_LIMIT } else { room };
        if got {
            self.heard = now;
        }
        match (parsed, end) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(_), None) => Err(Failure::Garbage),
            (Err(_), Some(End::Later)) => Ok(None),
            (Err(_), Some(End::Closed)) => Err(Failure::Closed),
            (Err(_), Some(End::Broken(error))) => Err(Failure::Broken(error)),
        }
    }

    fn understand(&mut self, value: Value, now: Instant) -> Result<Option<Received<T>>, Failure> {
        let value = match as_message(value) {
            Ok(message) => return Ok(Some(Received::Message(message))),
            Err(value) => value,
        };
        match (self.due.pop_front(), value) {
            (Some(Due::Answer(question)), value) => Ok(Some(Received::Answer(question, value))),
            // Also what Redis says of its own accord before it hangs up: too many clients, protected mode.
            (_, Value::ServerError(error)) => Err(Failure::Refused(text_of(&error))),
            (Some(Due::Ping), _) => Ok(None),
            (Some(Due::Greeting), _) if self.due.iter().any(|due| matches!(due, Due::Greeting)) => Ok(None),
            (Some(Due::Greeting), _) => {
                self.greeted = Some(now);
                Ok(Some(Received::Greeted))
            }
            (None, _) => Err(Failure::Garbage),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(error) => write!(f, "its host name has no address: {error}"),
            Self::Broken(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("it closed the connection"),
            Self::Silent(time) => write!(f, "it has not answered for {} s", time.as_secs_f64()),
            Self::Garbage => f.write_str("what it sends is not the protocol of Redis"),
            Self::Defect => f.write_str("talking to it failed within iodine"),
            Self::Refused(text) => {
                let text: String = text.chars().take(SHOWN).collect();
                write!(f, "it says \"{}\"", text.escape_debug())
            }
        }
    }
}

/// Characters of an error of Redis that logs show.
const SHOWN: usize = 200;

/// A command, ready for the wire.
pub fn pack(arguments: &[&[u8]]) -> Vec<u8> {
    let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.to_vec()).collect();
    pack_command(&arguments)
}

fn greeting(server: &Server) -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    if let Some(login) = &server.login {
        // Redis before 6 knows no users.
        commands.push(match &login.user {
            Some(user) => pack(&[b"AUTH", user, &login.password]),
            None => pack(&[b"AUTH", &login.password]),
        });
    }
    if server.database != 0 {
        commands.push(pack(&[b"SELECT", server.database.to_string().as_bytes()]));
    }
    commands.push(pack(&[b"PING"]));
    commands
}

/// Whether the socket has nothing for us yet, be it that it is not connected (which systems say differently).
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

/// What a subscription was sent, or the value that is none of that.
fn as_message(value: Value) -> Result<Arrival, Value> {
    let Value::Array(mut parts) = value else { return Err(value) };
    match &mut parts[..] {
        [Value::BulkString(kind), Value::BulkString(channel), Value::BulkString(payload)] if kind == b"message" => {
            let (channel, payload) = (Bytes::from(mem::take(channel)), mem::take(payload));
            Ok(Arrival { topic: Topic::channel(channel.clone()), channel, payload: payload.into() })
        }
        [
            Value::BulkString(kind),
            Value::BulkString(pattern),
            Value::BulkString(channel),
            Value::BulkString(payload),
        ] if kind == b"pmessage" => {
            let (pattern, channel, payload) = (mem::take(pattern), mem::take(channel), mem::take(payload));
            Ok(Arrival { topic: Topic::pattern(pattern), channel: channel.into(), payload: payload.into() })
        }
        _ => Err(Value::Array(parts)),
    }
}

/// The socket as the parser reads it.
struct Source<'a> {
    stream: &'a mut Stream,
    /// Bytes that a value may still have.
    room: usize,
    got: bool,
    /// Why there is no more.
    end: Option<End>,
}

enum End {
    Later,
    Closed,
    Broken(io::Error),
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = loop {
            match self.stream.read(buffer) {
                Ok(0) => break End::Closed,
                Ok(count) if count > self.room => return Err(io::ErrorKind::FileTooLarge.into()),
                Ok(count) => {
                    self.room -= count;
                    self.got = true;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_early(&error) => break End::Later,
                Err(error) => break End::Broken(error),
            }
        };
        self.end = Some(end);
        // The parser keeps its state when reading fails, and can be asked again.
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::net::socket::Socket;

    const PING: Duration = Duration::from_secs(60);
    const TIMEOUT: Duration = Duration::from_secs(5);

    /// A session, and Redis at the other end of it.
    struct Ends {
        session: Session<&'static str>,
        redis: UnixStream,
        now: Instant,
    }

    impl Ends {
        fn new(url: &str) -> Self {
            let (ours, redis) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let stream = Stream::Plain(Socket::Unix(mio::net::UnixStream::from_std(ours)));
            let now = Instant::now();
            Self { session: Session::new(stream, &Server::parse(url).unwrap(), now), redis, now }
        }

        fn greeted() -> Self {
            let mut ends = Self::new("redis://h");
            ends.say(b"+PONG\r\n");
            assert!(matches!(ends.receive(), Ok(Some(Received::Greeted))));
            ends.hear();
            ends
        }

        fn ask(&mut self, question: &'static str) {
            self.session.send(&pack(&[question.as_bytes()]), question, self.now);
        }

        fn say(&mut self, bytes: &[u8]) {
            self.redis.write_all(bytes).unwrap();
        }

        fn receive(&mut self) -> Result<Option<Received<&'static str>>, Failure> {
            self.session.receive(self.now)
        }

        /// What the session has written.
        fn hear(&mut self) -> String {
            self.session.flush().unwrap();
            let mut bytes = vec![0; 4096];
            let count = self.redis.read(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..count]).into_owned()
        }

        fn check(&mut self, seconds: u64) -> Result<(), Failure> {
            self.session.check(PING, TIMEOUT, self.now + Duration::from_secs(seconds))
        }
    }

    #[test]
    fn logs_in_and_chooses_the_database() {
        let table = [
            ("redis://h", "*1 $4 PING "),
            ("redis://:p@h", "*2 $4 AUTH $1 p *1 $4 PING "),
            ("redis://u:p@h/3", "*3 $4 AUTH $1 u $1 p *2 $6 SELECT $1 3 *1 $4 PING "),
        ];
        for (url, said) in table {
            assert_eq!(Ends::new(url).hear().replace("\r\n", " "), said, "{url}");
        }
    }

    #[test]
    fn is_ready_when_all_of_the_greeting_is_answered() {
        let mut ends = Ends::new("redis://u:p@h/3");
        ends.say(b"+OK\r\n+OK\r\n");
        assert!(matches!(ends.receive(), Ok(None)) && !ends.session.is_ready());
        ends.say(b"+PONG\r\n");
        assert!(matches!(ends.receive(), Ok(Some(Received::Greeted))) && ends.session.is_ready());
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions_wherever_they_are_cut() {
        let answers = b"*2\r\n$2\r\nab\r\n*1\r\n:1\r\n-ERR no\r\n$-1\r\n";
        for cut in 0..answers.len() {
            let mut ends = Ends::greeted();
            ["a", "b", "c"].into_iter().for_each(|question| ends.ask(question));
            let mut received = Vec::new();
            for part in [&answers[..cut], &answers[cut..]] {
                ends.say(part);
                while let Some(Received::Answer(question, value)) = ends.receive().unwrap() {
                    received.push((question, crate::pubsub::redis::Reply::from(value)));
                }
            }
            let questions: Vec<_> = received.iter().map(|(question, _)| *question).collect();
            assert_eq!(questions, ["a", "b", "c"], "cut at {cut}");
            assert_eq!(received[1].1, crate::pubsub::redis::Reply::Error("ERR no".into()));
            assert_eq!(ends.session.owed(), 0);
        }
    }

    #[test]
    fn messages_are_no_answers() {
        let mut ends = Ends::greeted();
        ends.ask("SUBSCRIBE");
        ends.say(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n");
        ends.say(b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$0\r\n\r\n");
        ends.say(b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        let exact = Arrival { topic: Topic::channel("a"), channel: "a".into(), payload: "hi".into() };
        let pattern = Arrival { topic: Topic::pattern("*"), channel: "a".into(), payload: "".into() };
        assert!(matches!(ends.receive(), Ok(Some(Received::Message(message))) if message == exact));
        assert!(matches!(ends.receive(), Ok(Some(Received::Message(message))) if message == pattern));
        assert!(matches!(ends.receive(), Ok(Some(Received::Answer("SUBSCRIBE", _)))));
    }

    #[test]
    fn what_is_no_answer_ends_it() {
        let table: &[(&[u8], &str)] = &[
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not the protocol"),
            (b"\0\0\0", "not the protocol"),
            (b":one\r\n", "not the protocol"),
            (b"+PONG\r\n", "not the protocol"),
            (&[b'*', b'1', b'\r', b'\n'].repeat(200), "not the protocol"),
            (b"-ERR max number of clients reached\r\n", "it says \"ERR max number of clients reached\""),
            (b"-NOAUTH \x1b[31m\r\n", "it says \"NOAUTH \\u{1b}[31m\""),
        ];
        for (bytes, expected) in table {
            let mut ends = Ends::greeted();
            ends.say(bytes);
            let failure = ends.receive().err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(failure.contains(expected), "{:?}: {failure}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn large_numbers_take_no_memory() {
        for text in ["*9223372036854775807\r\n", "$9223372036854775807\r\n", "*1000000000\r\n"] {
            let mut ends = Ends::greeted();
            ends.say(text.as_bytes());
            assert!(matches!(ends.receive(), Ok(None)), "{text:?}");
        }
    }

    /// However many packets a value comes in.
    #[test]
    fn a_value_may_have_so_many_bytes_and_no_more() {
        for (text, fits) in [("$40\r\n", true), ("$41\r\n", false)] {
            let mut ends = Ends::greeted();
            assert_eq!(ends.session.room, VALUE_LIMIT, "after a whole value");
            ends.ask("a");
            ends.session.room = 5 + 40 + 2;
            let value = format!("{text}{}\r\n", "x".repeat(text[1..3].parse().unwrap()));
            let (last, first) = value.as_bytes().split_last().unwrap();
            for piece in first.chunks(9) {
                ends.say(piece);
                assert!(matches!(ends.receive(), Ok(None)), "below the limit, or at it");
            }
            ends.say(&[*last]);
            let received = ends.receive();
            if fits {
                assert!(matches!(received, Ok(Some(Received::Answer("a", _)))));
            } else {
                assert!(matches!(received, Err(Failure::Garbage)));
            }
        }
    }

    #[test]
    fn the_end_of_the_connection_is_told_after_what_came_before() {
        let mut ends = Ends::greeted();
        ends.ask("a");
        ends.say(b":1\r\n:2");
        drop(std::mem::replace(&mut ends.redis, UnixStream::pair().unwrap().0));
        assert!(matches!(ends.receive(), Ok(Some(Received::Answer("a", _)))));
        assert!(matches!(ends.receive(), Err(Failure::Closed | Failure::Broken(_))));
    }

    #[test]
    fn silence_is_answered_by_a_ping_and_then_by_the_end() {
        let mut ends = Ends::greeted();
        assert!(ends.check(59).is_ok() && ends.session.owed() == 0);
        assert!(ends.check(60).is_ok() && ends.session.owed() == 1);
        assert!(ends.check(64).is_ok() && ends.session.owed() == 1);
        assert!(matches!(ends.check(65), Err(Failure::Silent(_))));
        assert_eq!(ends.hear(), "*1\r\n$4\r\nPING\r\n");

        ends.say(b"+PONG\r\n");
        ends.now += Duration::from_secs(64);
        assert!(matches!(ends.receive(), Ok(None)));
        assert!(ends.check(59).is_ok() && ends.session.owed() == 0);
    }

    #[test]
    fn a_question_without_an_answer_is_the_end() {
        let mut ends = Ends::greeted();
        ends.ask("a");
        assert!(ends.check(4).is_ok());
        assert!(matches!(ends.check(5), Err(Failure::Silent(_))));
        assert_eq!(ends.session.into_unanswered().collect::<Vec<_>>(), ["a"]);
    }
}
