//! HTTP/1.1 on one connection: bytes in, exchanges out, answers in order. No socket and no clock here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use iodine_proto::http1::{self, BodyReader, Head, HeadReader, Refusal};

use super::Turn;
use crate::access_log::Entry;
use crate::exchange::{Exchange, Response};
use crate::files::error_page;
use crate::jobs::Job;
use crate::metrics::{self, Sheet};
use crate::net::tls::Identity;
use crate::net::write_queue::WriteQueue;
use crate::reactor::ConnectionId;
use crate::settings::HttpSettings;

/// Requests of one connection that are read ahead of their answers. Enough for a pipelining client's packet; a client
/// that sends more waits in its socket.
const READ_AHEAD: usize = 32;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const PLAIN_REFUSED: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 48\r\n\
    connection: close\r\n\r\nThis port speaks TLS: use https:// (or wss://).\n";
/// An emptied input buffer up to this size is kept.
const KEPT_INPUT: usize = 4 << 10;

pub(crate) struct Http {
    settings: Arc<HttpSettings>,
    listener: usize,
    peer: Arc<str>,
    /// Who the peer is, as a certificate says.
    identity: Option<Arc<Identity>>,
    head: HeadReader,
    /// The request whose body is being read.
    incoming: Option<Incoming>,
    /// Received bytes that nothing was made of yet.
    input: Vec<u8>,
    /// Complete requests that wait for those in flight.
    ready: VecDeque<Box<Exchange>>,
    /// Requests handed to the application and not answered yet.
    in_flight: usize,
    /// Why nothing more is read; answered when its turn comes.
    refused: Option<u16>,
    /// The client waits for "100 Continue" before it sends the body.
    expecting: bool,
    /// A request to change the protocol was read: what follows may be no HTTP, and waits for the answer.
    upgrading: bool,
    /// The next request has a chunked body, which is read when those before it are answered: who takes the connection
    /// over meanwhile is to find the chunks as they came. Other bodies lose nothing when they are turned back into bytes.
    chunked_next: bool,
    /// No further request is read.
    last: bool,
    /// The peer may be sending bytes that nobody reads: closing at once could take the last answer from it.
    unread: bool,
    /// When the first byte of an unfinished head arrived.
    head_since: Option<Instant>,
}

struct Incoming {
    exchange: Box<Exchange>,
    reader: BodyReader,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
    /// The application.
    Answer,
}

impl Http {
    pub(crate) fn new(settings: Arc<HttpSettings>, listener: usize, peer: Arc<str>) -> Self {
        Self {
            head: HeadReader::new(settings.head),
            settings,
            listener,
            peer,
            identity: None,
            incoming: None,
            input: Vec::new(),
            ready: VecDeque::new(),
            in_flight: 0,
            refused: None,
            expecting: false,
            upgrading: false,
            chunked_next: false,
            last: false,
            unread: false,
            head_since: None,
        }
    }

    /// Whom requests come from, if the peer has proved that.
    pub(crate) fn identify(&mut self, identity: Option<Arc<Identity>>) {
        self.identity = identity;
    }

    /// The peer speaks HTTP where TLS is spoken.
    pub(crate) fn refuse_plain(&mut self, turn: &mut Turn, out: &mut WriteQueue) {
        self.log_refusal(400, turn);
        out.push(PLAIN_REFUSED);
        self.stop_reading();
        self.unread = true;
    }

    /// Takes what has arrived: requests that are complete become jobs.
    pub(crate) fn receive(&mut self, id: ConnectionId, data: &[u8], turn: &mut Turn, out: &mut WriteQueue) {
        if self.last {
            return;
        }
        if self.input.is_empty() {
            let consumed = self.parse(data, turn);
            self.input.extend_from_slice(&data[consumed..]);
        } else {
            self.input.extend_from_slice(data);
            self.parse_input(turn);
        }
        self.proceed(id, turn, out);
    }

    /// Writes the answer to the oldest request in flight.
    pub(crate) fn answer(&mut self, id: ConnectionId, exchange: &mut Exchange, turn: &mut Turn, out: &mut WriteQueue) {
        if self.in_flight == 0 {
            return;
        }
        self.in_flight -= 1;
        self.upgrading &= self.in_flight > 0 || !self.ready.is_empty();
        if let Some(status) = exchange.response.error {
            let closing = exchange.response.close;
            let files = self.settings.files.as_deref();
            error_page::write(&mut exchange.response, status, Some(&exchange.head), closing, files, turn.now);
        }
        self.write_answer(exchange, turn, out);
        if exchange.response.close {
            // The application has not run those behind it.
            self.in_flight = 0;
            self.stop_reading();
        } else if let Some(behind) = exchange.next.take() {
            turn.jobs.push(Job::Request(behind));
        } else if self.in_flight == 0 {
            self.parse_input(turn);
        }
        self.proceed(id, turn, out);
    }

    /// The answer in flight cannot be completed, and so nothing can follow it.
    pub(crate) fn break_off(&mut self, exchange: &Exchange, turn: &mut Turn) {
        self.log(exchange, turn);
        self.in_flight = 0;
        self.stop_reading();
    }

    /// The peer will send nothing more.
    pub(crate) fn end_of_input(&mut self) {
        self.last = true;
        self.expecting = false;
        // The application may still take the connection over, and what came behind its request.
        if self.in_flight == 0 {
            self.incoming = None;
            self.input = Vec::new();
        }
    }

    /// Whether more bytes are welcome now.
    pub(crate) fn wants_input(&self) -> bool {
        let ahead = self.ready.len() + self.in_flight;
        let waits = self.upgrading || self.chunked_next && ahead > 0;
        !self.last && !waits && ahead < READ_AHEAD
    }

    /// Everything that was asked is answered, and nothing more will be read.
    pub(crate) fn is_finished(&self) -> bool {
        self.last && self.in_flight == 0 && self.ready.is_empty() && self.refused.is_none()
    }

    /// Whether the peer may be sending bytes that nobody reads.
    pub(crate) fn has_unread(&self) -> bool {
        self.unread
    }

    pub(crate) fn waiting(&self) -> Waiting {
        if self.in_flight > 0 {
            Waiting::Answer
        } else if self.incoming.is_some() {
            Waiting::Body
        } else if self.input.is_empty() {
            Waiting::Idle
        } else {
            Waiting::Head
        }
    }

    /// When the peer has kept us waiting for too long, if it had been silent since `now`.
    pub(crate) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let waiting = self.waiting();
        if waiting != Waiting::Head {
            self.head_since = None;
        }
        match waiting {
            Waiting::Answer => None,
            Waiting::Idle => Some(now + self.settings.keep_alive),
            Waiting::Body => Some(now + self.settings.body_timeout),
            // Counted from its first byte: one byte now and then buys no time.
            Waiting::Head => Some(*self.head_since.get_or_insert(now) + self.settings.header_timeout),
        }
    }

    /// The deadline has passed: says so to a peer that had begun a request.
    pub(crate) fn time_out(&mut self, id: ConnectionId, turn: &mut Turn, out: &mut WriteQueue) {
        match self.waiting() {
            Waiting::Head | Waiting::Body => self.refuse(408),
            Waiting::Idle | Waiting::Answer => self.stop_reading(),
        }
        self.proceed(id, turn, out);
    }

    /// Writes the last answer of HTTP; gives back the bytes that came behind the request.
    pub(crate) fn upgrade(&mut self, exchange: &mut Exchange, turn: &mut Turn, out: &mut WriteQueue) -> Vec<u8> {
        self.write_answer(exchange, turn, out);
        let mut bytes = exchange.next.take().map(Exchange::into_bytes).unwrap_or_default();
        bytes.append(&mut self.take_input());
        bytes
    }

    pub(crate) fn settings(&self) -> &Arc<HttpSettings> {
        &self.settings
    }

    /// Bytes that nobody has been given as a request yet, for who takes the connection over.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let begun = self.incoming.take().map(|incoming| incoming.exchange);
        for exchange in self.ready.drain(..).chain(begun) {
            bytes.append(&mut Exchange::into_bytes(exchange));
        }
        bytes.append(&mut self.input);
        bytes
    }

    /// Answers were put off until the peer has read.
    pub(crate) fn is_stalled(&self) -> bool {
        self.in_flight == 0 && !self.ready.is_empty()
    }

    /// Goes on with them.
    pub(crate) fn resume(&mut self, id: ConnectionId, turn: &mut Turn, out: &mut WriteQueue) {
        self.proceed(id, turn, out);
    }

    /// Appends an answer that is complete.
    fn write_answer(&self, exchange: &mut Exchange, turn: &mut Turn, out: &mut WriteQueue) {
        self.log(exchange, turn);
        out.push_buffer(&mut exchange.response.head);
        out.push_body(std::mem::take(&mut exchange.response.body));
    }

    fn write_refusal(&self, status: u16, turn: &Turn, out: &mut WriteQueue) {
        let mut response = Response::default();
        error_page::write(&mut response, status, None, true, self.settings.files.as_deref(), turn.now);
        out.push(&response.head);
        out.push_body(response.body);
    }

    /// Counts an answer, and writes its line to the request log.
    fn log(&self, exchange: &Exchange, turn: &mut Turn) {
        if !self.settings.metrics {
            let duration = exchange.received.map(|received| turn.now.duration_since(received));
            turn.sheet.note_answer(exchange.response.status, duration);
        }
        if let Some(format) = self.settings.log {
            let entry = Entry {
                peer: &self.peer,
                head: Some(&exchange.head),
                status: exchange.response.status,
                length: exchange.response.length,
                duration: exchange.received.map_or(Duration::ZERO, |received| turn.now.duration_since(received)),
            };
            turn.log.add(format, &entry);
        }
    }

    fn log_refusal(&self, status: u16, turn: &mut Turn) {
        turn.sheet.note_answer(status, None);
        if let Some(format) = self.settings.log {
            let entry = Entry { peer: &self.peer, head: None, status, length: 0, duration: Duration::ZERO };
            turn.log.add(format, &entry);
        }
    }

    fn parse_input(&mut self, turn: &mut Turn) {
        let mut input = std::mem::take(&mut self.input);
        let consumed = self.parse(&input, turn);
        input.drain(..consumed);
        if !input.is_empty() || input.capacity() <= KEPT_INPUT {
            self.input = input;
        }
    }

    /// Reads requests while there are bytes and room; says how many bytes it took.
    fn parse(&mut self, data: &[u8], turn: &mut Turn) -> usize {
        let mut taken = 0;
        while self.wants_input() {
            let step = match self.incoming.take() {
                Some(incoming) => self.parse_body(incoming, &data[taken..], turn),
                None => self.parse_head(&data[taken..], turn),
            };
            match step {
                Ok(0) => break,
                Ok(consumed) => taken += consumed,
                Err(status) => {
                    self.refuse(status);
                    break;
                }
            }
        }
        taken
    }

    fn parse_head(&mut self, data: &[u8], turn: &mut Turn) -> Result<usize, u16> {
        if data.is_empty() {
            return Ok(0);
        }
        let mut exchange = turn.exchanges.take();
        match self.head.read(data, &mut exchange.head) {
            Ok(Some(_)) if self.is_out_of_turn(&exchange.head) => {
                self.chunked_next = true;
                turn.exchanges.put(exchange);
                Ok(0)
            }
            Ok(Some(consumed)) => {
                self.chunked_next = false;
                self.begin_body(exchange, data.len() > consumed, turn)?;
                Ok(consumed)
            }
            Ok(None) => {
                turn.exchanges.put(exchange);
                Ok(0)
            }
            Err(refusal) => {
                turn.exchanges.put(exchange);
                Err(self.status_of(refusal))
            }
        }
    }

    /// Whether a request has to wait before it is read.
    fn is_out_of_turn(&self, head: &Head) -> bool {
        head.body_length() == http1::BodyLength::Chunked && self.ready.len() + self.in_flight > 0
    }

    fn begin_body(&mut self, mut exchange: Box<Exchange>, more: bool, turn: &Turn) -> Result<(), u16> {
        let length = exchange.head.body_length();
        let expected = match length {
            http1::BodyLength::None => {
                self.complete(exchange, turn);
                return Ok(());
            }
            http1::BodyLength::Sized(expected) => expected,
            http1::BodyLength::Chunked => 0,
        };
        let reader = BodyReader::new(length, self.settings.max_body).map_err(|refusal| self.status_of(refusal))?;
        exchange.body.reserve(expected, self.settings.body_memory);
        self.expecting = exchange.head.expects_continue() && !more;
        self.incoming = Some(Incoming { exchange, reader });
        Ok(())
    }

    fn parse_body(&mut self, mut incoming: Incoming, data: &[u8], turn: &Turn) -> Result<usize, u16> {
        let step = incoming.reader.read(data).map_err(|refusal| self.status_of(refusal))?;
        if step.consumed > 0 {
            self.expecting = false;
        }
        let memory = self.settings.body_memory;
        let body = &mut incoming.exchange.body;
        body.push(&data[step.data], memory).and_then(|()| if step.done { body.finish() } else { Ok(()) }).map_err(
            |error| {
                log::error!("could not keep a request body in a temporary file: {error}");
                507_u16
            },
        )?;
        if step.done {
            self.complete(incoming.exchange, turn);
        } else {
            self.incoming = Some(incoming);
        }
        Ok(step.consumed)
    }

    fn complete(&mut self, mut exchange: Box<Exchange>, turn: &Turn) {
        exchange.listener = self.listener;
        exchange.peer = Some(Arc::clone(&self.peer));
        exchange.identity.clone_from(&self.identity);
        exchange.received = Some(turn.now);
        if metrics::measures_times() {
            note_proxy_queue(&exchange.head, turn.sheet);
        }
        self.last = !exchange.head.keep_alive();
        self.upgrading = exchange.head.upgrade().is_some();
        self.ready.push_back(exchange);
    }

    /// Hands over what is ready once nothing is in flight, and says what has waited for its turn.
    fn proceed(&mut self, id: ConnectionId, turn: &mut Turn, out: &mut WriteQueue) {
        if self.in_flight > 0 || !self.answer_natively(turn, out) {
            return;
        }
        if !self.ready.is_empty() {
            // A peer that does not read gets no more answers made; `resume` goes on once it has.
            if !out.is_congested() {
                self.dispatch(id, turn);
            }
        } else if let Some(status) = self.refused.take() {
            self.log_refusal(status, turn);
            self.write_refusal(status, turn, out);
        } else if self.expecting {
            self.expecting = false;
            out.push(CONTINUE);
        }
    }

    /// Answers what is ready as long as it asks for files, or for metrics. False: the peer has to read before there is
    /// more for it.
    fn answer_natively(&mut self, turn: &mut Turn, out: &mut WriteQueue) -> bool {
        if self.settings.files.is_none() && !self.settings.metrics {
            return true;
        }
        let settings = Arc::clone(&self.settings);
        loop {
            if self.ready.is_empty() && !self.input.is_empty() {
                self.parse_input(turn);
            }
            let Some(exchange) = self.ready.front_mut() else { return true };
            if out.is_congested() {
                return false;
            }
            let closing = !exchange.head.keep_alive() || turn.draining;
            if !answers(&settings, exchange, closing, turn.now) {
                return true;
            }
            if let Some(mut exchange) = self.ready.pop_front() {
                self.write_answer(&mut exchange, turn, out);
                turn.exchanges.put(exchange);
            }
            if closing {
                self.stop_reading();
                return true;
            }
        }
    }

    fn dispatch(&mut self, id: ConnectionId, turn: &mut Turn) {
        let count = self.for_application(turn.now);
        self.in_flight = count;
        let mut first = None;
        // In its place: the queue keeps its room for the next requests.
        for mut exchange in self.ready.drain(..count).rev() {
            exchange.connection = id;
            exchange.next = first;
            first = Some(exchange);
        }
        turn.jobs.extend(first.map(Job::Request));
    }

    /// How many of the requests that are ready go to the application before one that asks for a file.
    fn for_application(&self, now: Instant) -> usize {
        let Some(files) = &self.settings.files else { return self.ready.len() };
        self.ready.iter().position(|exchange| files.is_asked_for(&exchange.head, now)).unwrap_or(self.ready.len())
    }

    fn refuse(&mut self, status: u16) {
        self.last = true;
        self.unread = true;
        self.incoming = None;
        self.expecting = false;
        self.refused = Some(status);
    }

    fn stop_reading(&mut self) {
        self.last = true;
        self.unread |= self.incoming.is_some() || !self.input.is_empty() || !self.ready.is_empty();
        self.incoming = None;
        self.expecting = false;
        self.refused = None;
        self.ready.clear();
    }

    fn status_of(&self, refusal: Refusal) -> u16 {
        log::debug!("refused a request from {}: {refusal}", self.peer);
        refusal.status()
    }
}

/// Whether the server answers by itself, and has.
fn answers(settings: &HttpSettings, exchange: &mut Exchange, closing: bool, now: Instant) -> bool {
    if settings.metrics {
        metrics::answer::answer(exchange, closing);
        return true;
    }
    settings.files.as_ref().is_some_and(|files| files.answer(exchange, closing, now))
}

/// Counts how long ago a proxy has taken the request, if it says so.
fn note_proxy_queue(head: &Head, sheet: Sheet) {
    let began = head.field("x-request-start").and_then(metrics::proxy_time);
    if let Some(duration) = began.and_then(|began| SystemTime::now().duration_since(began).ok()) {
        sheet.note_proxy_queue(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection without a socket.
    struct Bench {
        http: Http,
        turn: Turn,
        out: WriteQueue,
    }

    impl Bench {
        fn new(settings: HttpSettings) -> Self {
            Self {
                http: Http::new(Arc::new(settings), 7, "192.0.2.1".into()),
                turn: Turn::new(Instant::now(), Sheet::own()),
                out: WriteQueue::default(),
            }
        }

        fn receive(&mut self, data: &str) {
            self.http.receive(ConnectionId::default(), data.as_bytes(), &mut self.turn, &mut self.out);
        }

        /// The request that was handed over, with those behind it on its `next`.
        fn job(&mut self) -> Option<Box<Exchange>> {
            assert!(self.turn.jobs.len() <= 1, "one job at a time for a connection");
            match self.turn.jobs.pop() {
                Some(Job::Request(exchange)) => Some(exchange),
                Some(_) => panic!("not a request"),
                None => None,
            }
        }

        fn answer(&mut self, mut exchange: Box<Exchange>, text: &str) {
            exchange.response.head.extend_from_slice(text.as_bytes());
            self.http.answer(ConnectionId::default(), &mut exchange, &mut self.turn, &mut self.out);
        }

        fn written(&mut self) -> String {
            String::from_utf8(self.out.take_bytes()).unwrap()
        }
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
    }

    fn paths(mut exchange: Option<Box<Exchange>>) -> Vec<String> {
        let mut paths = Vec::new();
        while let Some(mut first) = exchange {
            paths.push(String::from_utf8(first.head.path().to_vec()).unwrap());
            exchange = first.next.take();
        }
        paths
    }

    #[test]
    fn a_request_says_where_it_came_from() {
        let mut bench = Bench::new(HttpSettings::default());
        bench.receive(&get("/"));
        let exchange = bench.job().unwrap();
        assert_eq!((exchange.listener, exchange.peer.as_deref()), (7, Some("192.0.2.1")));
        assert_eq!(bench.http.waiting(), Waiting::Answer);
        bench.answer(exchange, "answer");
        assert_eq!((bench.written().as_str(), bench.http.waiting()), ("answer", Waiting::Idle));
    }

    #[test]
    fn pipelined_requests_go_out_together_and_the_rest_after_their_answers() {
        let mut bench = Bench::new(HttpSettings::default());
        let all: Vec<String> = (0..READ_AHEAD + 3).map(|number| format!("/{number}")).collect();
        bench.receive(&all.iter().map(|path| get(path)).collect::<String>());
        assert!(!bench.http.wants_input(), "the rest waits in the socket");
        let mut next = bench.job();
        let mut seen = Vec::new();
        while let Some(mut exchange) = next {
            seen.push(String::from_utf8(exchange.head.path().to_vec()).unwrap());
            next = exchange.next.take();
            let text = seen.last().unwrap().clone();
            bench.answer(exchange, &text);
        }
        assert_eq!(seen, all[..READ_AHEAD]);
        assert_eq!(bench.written(), all[..READ_AHEAD].concat());
        assert_eq!(paths(bench.job()), all[READ_AHEAD..]);
    }

    #[test]
    fn requests_that_are_left_on_an_answer_are_handed_out_again() {
        let mut bench = Bench::new(HttpSettings::default());
        bench.receive(&(get("/1") + &get("/2")));
        let first = bench.job().unwrap();
        bench.answer(first, "one;");
        assert_eq!(paths(bench.job()), ["/2"]);
    }

    #[test]
    fn nothing_more_is_asked_of_the_application_for_a_peer_that_does_not_read() {
        let mut bench = Bench::new(HttpSettings::default());
        let all: String = (0..READ_AHEAD + 1).map(|number| get(&format!("/{number}"))).collect();
        bench.receive(&all);
        let mut next = bench.job();
        while let Some(mut exchange) = next {
            next = exchange.next.take();
            bench.answer(exchange, &"x".repeat(64 << 10));
        }
        assert!(bench.job().is_none() && bench.http.is_stalled());
        bench.written();
        bench.http.resume(ConnectionId::default(), &mut bench.turn, &mut bench.out);
        assert_eq!(paths(bench.job()), [format!("/{READ_AHEAD}")]);
    }

    #[test]
    fn what_comes_behind_a_closing_answer_is_not_run() {
        let mut bench = Bench::new(HttpSettings::default());
        bench.receive(&(get("/1") + &get("/2")));
        let mut first = bench.job().unwrap();
        first.response.close = true;
        bench.receive(&get("/3"));
        bench.answer(first, "bye");
        assert!(bench.job().is_none() && bench.http.is_finished());
        assert_eq!(bench.written(), "bye");
    }

    #[test]
    fn a_refusal_waits_for_the_answers_before_it() {
        let mut bench = Bench::new(HttpSettings::default());
        bench.receive(&(get("/1") + "nonsense\r\n\r\n" + &get("/smuggled")));
        let first = bench.job().unwrap();
        assert!(first.next.is_none() && bench.written().is_empty());
        bench.answer(first, "one;");
        let written = bench.written();
        assert!(written.starts_with("one;HTTP/1.1 400 ") && written.contains("connection: close"), "{written}");
        assert!(bench.http.is_finished() && bench.http.has_unread() && bench.job().is_none());
    }

    #[test]
    fn a_body_is_asked_for_once_nothing_else_is_due() {
        let mut bench = Bench::new(HttpSettings::default());
        let post = "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        bench.receive(&(get("/1") + post));
        let first = bench.job().unwrap();
        assert_eq!(bench.written(), "");
        bench.answer(first, "one;");
        assert_eq!(bench.written(), "one;HTTP/1.1 100 Continue\r\n\r\n");
        bench.receive("ok");
        assert_eq!(bench.job().unwrap().body.len(), 2);
    }

    #[test]
    fn a_body_that_is_announced_too_large_is_refused_at_once() {
        let mut bench = Bench::new(HttpSettings { max_body: 3, ..HttpSettings::default() });
        bench.receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        let written = bench.written();
        assert!(written.starts_with("HTTP/1.1 413 ") && !written.contains("100 Continue"), "{written}");
    }

    #[test]
    fn a_body_beyond_its_memory_is_spooled() {
        for length in [1023, 1024, 1025] {
            let mut bench = Bench::new(HttpSettings { body_memory: 1024, ..HttpSettings::default() });
            bench.receive(&format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
            assert_eq!(bench.http.waiting(), Waiting::Body);
            bench.receive(&"x".repeat(length));
            let mut exchange = bench.job().unwrap();
            assert_eq!(exchange.body.len(), length as u64);
            let spooled = matches!(exchange.body.source(), crate::exchange::BodySource::File(_));
            assert_eq!(spooled, length > 1024);
        }
    }

    #[test]
    fn every_cut_of_a_pipeline_gives_the_same_requests() {
        let input = get("/1")
            + "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            + &get("/3");
        for cut in 0..=input.len() {
            let mut bench = Bench::new(HttpSettings::default());
            bench.receive(&input[..cut]);
            bench.receive(&input[cut..]);
            let mut seen = Vec::new();
            while let Some(mut exchange) = bench.job() {
                while let Some(behind) = exchange.next.take() {
                    seen.push((exchange.head.path().to_vec(), exchange.body.len()));
                    bench.answer(exchange, "");
                    exchange = behind;
                }
                seen.push((exchange.head.path().to_vec(), exchange.body.len()));
                bench.answer(exchange, "");
            }
            let expected = [(b"/1".to_vec(), 0), (b"/2".to_vec(), 2), (b"/3".to_vec(), 0)];
            assert_eq!(seen, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_taken_over_is_as_it_came_at_every_cut() {
        let chunked =
            "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0\r\nT: t\r\n\r\n";
        let sized = "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
        for behind in [chunked.to_owned() + &get("/3"), sized.to_owned() + chunked] {
            for (cut, end) in (0..=behind.len()).map(|cut| (cut, behind.len())).chain([(0, 70), (20, 75)]) {
                let mut bench = Bench::new(HttpSettings::default());
                bench.receive(&(get("/1") + &behind[..cut.min(end)]));
                bench.receive(&behind[cut.min(end)..end]);
                let mut taken = bench.job().unwrap().next.take().map(Exchange::into_bytes).unwrap_or_default();
                taken.append(&mut bench.http.take_input());
                assert_eq!(String::from_utf8(taken).unwrap(), behind[..end], "cut at {cut}");
            }
        }
    }

    #[test]
    fn deadlines_follow_what_the_connection_waits_for() {
        let settings = HttpSettings::default();
        let (keep_alive, header, body) = (settings.keep_alive, settings.header_timeout, settings.body_timeout);
        let mut bench = Bench::new(settings);
        let start = bench.turn.now;
        assert_eq!(bench.http.deadline(start), Some(start + keep_alive));
        bench.receive("POST / HTTP/1.1\r\n");
        assert_eq!(bench.http.deadline(start), Some(start + header));
        bench.receive("Host: h\r\n");
        let later = start + Duration::from_secs(5);
        assert_eq!(bench.http.deadline(later), Some(start + header), "one more line buys no time");
        bench.receive("Content-Length: 1\r\n\r\n");
        assert_eq!(bench.http.deadline(later), Some(later + body));
        bench.receive("x");
        assert_eq!(bench.http.deadline(later), None, "the application may take its time");
    }

    #[test]
    fn only_a_peer_that_has_begun_is_told_that_it_is_late() {
        for (begun, expected) in [("", ""), ("GET", "HTTP/1.1 408 ")] {
            let mut bench = Bench::new(HttpSettings::default());
            bench.receive(begun);
            bench.http.time_out(ConnectionId::default(), &mut bench.turn, &mut bench.out);
            assert!(bench.http.is_finished());
            assert_eq!(&bench.written()[..expected.len()], expected);
        }
    }

    #[test]
    fn a_client_that_has_closed_its_side_still_gets_its_answer() {
        let mut bench = Bench::new(HttpSettings::default());
        bench.receive(&(get("/1") + "GET /half"));
        bench.http.end_of_input();
        assert!(!bench.http.is_finished());
        let first = bench.job().unwrap();
        bench.answer(first, "one;");
        assert!(bench.http.is_finished() && bench.written() == "one;");
    }
}
