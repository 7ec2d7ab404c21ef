use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use iodine_core::client::{Client, Event, Protocol};
use iodine_core::date;
use iodine_core::exchange::Exchange;
use iodine_core::handle::{Handle, Stream};
use iodine_core::jobs::{Job, JobQueue};
use iodine_core::metrics::Sheet;
use iodine_core::net::address::Address;
use iodine_core::net::listener::BoundSocket;
use iodine_core::reactor::Reactor;
use iodine_core::settings::{HttpSettings, ListenerSettings, RawSettings, WriteLimits};
use iodine_proto::http1::{Framing, HeadLimits, Persistence, ResponseWriter};
use iodine_proto::websocket::{
    Close, CloseCode, DeflateSettings, Handshake, Kind, Window, WindowBits, encode_close, encode_message, encode_ping,
};

use crate::input::Input;

/// A connection between a peer and an application that both do anything, at any time, ends when the peer has gone and
/// time has passed; no request is handed out after a response that closes, and nothing panics.
pub(crate) fn ends_clean_whatever_comes(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut world = World::new(input.any());
    for _ in 0..200 {
        if input.is_empty() {
            break;
        }
        match input.below(4) {
            0 | 1 => world.peer_acts(&mut input),
            2 => world.application_acts(&mut input),
            _ => world.now += Duration::from_millis(u64::from(input.any::<u16>())),
        }
        world.step();
    }
    world.end();
}

/// Sheets are for ever: one for all worlds.
static SHEET: LazyLock<Sheet> = LazyLock::new(Sheet::own);

struct World {
    reactor: Reactor,
    handle: Handle,
    jobs: Arc<JobQueue>,
    now: Instant,
    peer: UnixStream,
    application: Application,
}

/// What the application has in hand.
#[derive(Default)]
struct Application {
    requests: VecDeque<Box<Exchange>>,
    streams: Vec<(Stream, Box<Exchange>)>,
    clients: Vec<Client>,
}

impl World {
    fn new(is_raw: bool) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = &std::env::temp_dir().join(format!("iodine-properties-{}-{number}", std::process::id()));
        let jobs = Arc::new(JobQueue::default());
        let mut reactor = Reactor::counting(Arc::clone(&jobs), *SHEET).expect("a descriptor");
        let handle = reactor.handle();
        let socket = BoundSocket::bind(&Address::Unix(path.to_owned())).expect("a socket");
        let settings = if is_raw { raw_settings() } else { http_settings() };
        handle.listen(socket.listener(0, settings).expect("a descriptor"));
        let now = Instant::now();
        reactor.step(now).expect("a turn");
        let peer = UnixStream::connect(path).expect("a connection");
        peer.set_nonblocking(true).expect("a socket that does not wait");
        // One connection a world.
        std::fs::remove_file(path).expect("its file");
        let mut world = Self { reactor, handle, jobs, now, peer, application: Application::default() };
        world.step();
        world
    }

    fn step(&mut self) {
        self.reactor.step(self.now).expect("a turn");
        while let Some(job) = self.jobs.try_take() {
            self.application.receive(job);
        }
    }

    fn peer_acts(&mut self, input: &mut Input<'_>) {
        match input.below(8) {
            0 => {
                let _ = self.peer.shutdown(Shutdown::Write);
            }
            1 => {
                let mut buffer = [0; 4096];
                let _ = self.peer.read(&mut buffer);
            }
            2 | 3 => self.send(input.bytes()),
            4 => {
                let mut frame = Vec::new();
                match input.below(3) {
                    0 => encode_message(Kind::Binary, input.bytes(), Some(input.any()), &mut frame),
                    1 => encode_ping(input.take(125), Some(input.any()), &mut frame),
                    _ => encode_close(CloseCode::NORMAL, "", Some(input.any()), &mut frame),
                }
                self.send(&frame);
            }
            _ => self.send(LIKELY[input.below(LIKELY.len())]),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // A peer that the server has left finds out.
        let _ = self.peer.write(bytes);
    }

    fn application_acts(&mut self, input: &mut Input<'_>) {
        match input.below(3) {
            0 => self.answer(input),
            1 => self.produce(input),
            _ => self.talk(input),
        }
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let Some(mut exchange) = self.application.requests.pop_front() else { return };
        match input.below(7) {
            0 => return self.upgrade(exchange, input),
            1 => {
                exchange.response.error = Some(500);
                exchange.response.close = input.any();
            }
            2 => {
                drop(self.handle.hijack(exchange.connection));
                self.application.requests.clear();
                return;
            }
            3 => {
                let mut head = Vec::new();
                respond(&mut head, Framing::Chunked, Persistence::Default);
                let stream = self.handle.stream(exchange.connection, head);
                self.application.streams.push((stream, exchange));
                return;
            }
            4 => self.handle.interim(exchange.connection, b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()),
            5 => return self.handle.fail(exchange),
            _ => {}
        }
        if exchange.response.error.is_none() {
            let body = input.bytes();
            exchange.response.close = !exchange.head.keep_alive() || input.any();
            let persistence = if exchange.response.close { Persistence::Close } else { Persistence::Default };
            respond(&mut exchange.response.head, Framing::Length(body.len() as u64), persistence);
            exchange.response.head.extend_from_slice(body);
        }
        self.application.requests.extend(exchange.next.take().filter(|_| !exchange.response.close));
        self.handle.answer(exchange);
    }

    fn upgrade(&mut self, mut exchange: Box<Exchange>, input: &mut Input<'_>) {
        let timeout = Duration::from_secs(u64::from(input.any::<u8>()));
        let client = match input.below(3) {
            0 => {
                let Ok(handshake) = Handshake::accept(&exchange.head, Some(&deflate())) else {
                    return self.handle.fail(exchange);
                };
                exchange.response.head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
                Client::new(self.handle.clone(), Protocol::WebSocket, timeout, handshake.deflate())
            }
            1 => {
                exchange.response.head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
                Client::new(self.handle.clone(), Protocol::Sse, timeout, None)
            }
            _ => Client::new(self.handle.clone(), Protocol::Raw, timeout, None),
        };
        client.want_drained(input.any());
        client.want_ping(input.any());
        self.application.requests.clear();
        self.application.clients.push(client.clone());
        self.handle.upgrade(exchange, client);
    }

    /// Goes on with a response.
    fn produce(&mut self, input: &mut Input<'_>) {
        let Some((stream, exchange)) = self.application.streams.pop() else { return };
        match input.below(3) {
            0 => {
                stream.write(input.bytes().to_vec());
                self.application.streams.push((stream, exchange));
            }
            1 => self.handle.answer(exchange),
            _ => self.handle.fail(exchange),
        }
    }

    fn talk(&mut self, input: &mut Input<'_>) {
        let Some(client) = self.application.clients.last() else { return };
        match input.below(4) {
            0 => client.set_timeout(Duration::from_secs(u64::from(input.any::<u8>()))),
            1 => {
                let code = CloseCode::new(input.any()).unwrap_or(CloseCode::NORMAL);
                client.close(Close { code, reason: String::new() });
            }
            _ => {
                let data = input.bytes();
                match client.protocol() {
                    Protocol::WebSocket => drop(client.send_message(Kind::Binary, data)),
                    Protocol::Sse => drop(client.send_event(data, None, None, None)),
                    Protocol::Raw => drop(client.send_bytes(data.to_vec().into())),
                }
            }
        }
    }

    /// The peer goes, the application does its duty, and time passes.
    fn end(mut self) {
        let _ = self.peer.shutdown(Shutdown::Both);
        for _ in 0..20 {
            self.now += Duration::from_secs(100);
            self.step();
            for mut exchange in self.application.requests.drain(..) {
                exchange.response.error = Some(503);
                exchange.response.close = true;
                self.handle.answer(exchange);
            }
            for (_, exchange) in self.application.streams.drain(..) {
                self.handle.answer(exchange);
            }
            self.step();
            if self.reactor.clients() == 0 {
                break;
            }
        }
        assert_eq!(self.reactor.clients(), 0, "the connection is over");
        self.step();
        for client in &self.application.clients {
            assert!(!client.is_open(), "a client whose connection is over is not open");
        }
    }
}

impl Application {
    fn receive(&mut self, job: Job) {
        match job {
            Job::Request(exchange) => self.requests.push_back(exchange),
            Job::Client(client) => self.hear(&client),
            _ => {}
        }
    }

    /// Takes all events; does what an application has to do.
    fn hear(&mut self, client: &Client) {
        while let Some(event) = client.next_event() {
            match event {
                Event::Accepted(_) => self.clients.push(client.clone()),
                Event::EndOfInput | Event::Shutdown => {
                    client.end(Close { code: CloseCode::GOING_AWAY, reason: String::new() });
                }
                _ => {}
            }
        }
    }
}

fn respond(head: &mut Vec<u8>, framing: Framing, persistence: Persistence) {
    ResponseWriter::new(head, 200).finish(framing, persistence, &date::now());
}

fn deflate() -> DeflateSettings {
    let window = Window { bits: WindowBits::MAX, takeover: true };
    DeflateSettings { outgoing: window, incoming: window, min_size: 0, level: 1 }
}

/// Limits that a fuzzer comes to.
fn http_settings() -> ListenerSettings {
    ListenerSettings::Http(Arc::new(HttpSettings {
        head: HeadLimits { line: 300, fields: 12, block: 900 },
        max_body: 200,
        body_memory: 50,
        max_message: 100,
        max_pending: 4096,
        deflate: Some(deflate()),
        ..HttpSettings::default()
    }))
}

fn raw_settings() -> ListenerSettings {
    let writes = WriteLimits { max_pending: 4096, timeout: Duration::from_secs(60) };
    ListenerSettings::Raw(RawSettings { timeout: Duration::from_secs(5), writes })
}

const LIKELY: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150\r\nExpect: 100-continue\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"60\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    b"GET ",
    b"Host: a\r\n",
    b"\r\n",
];
