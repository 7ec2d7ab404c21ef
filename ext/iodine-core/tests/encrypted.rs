//! Connections with TLS, as the reactor serves them: both ends in one process, and a clock that the test moves.

#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use iodine_core::client::Event;
use iodine_core::handover::{Interrupter, Waited};
use iodine_core::jobs::Job;
use iodine_core::net::tls::{CertificateSource, TlsServer, TlsSettings};
use iodine_core::settings::{Alternative, HttpSettings, RawSettings};
use iodine_testkit::certificates::{Authority, Validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use world::{HEAD, MOMENT, World};

/// The number of the service that a client may choose.
const CHOSEN: usize = 9;
const ALTERNATIVE: &[u8] = b"raw/1";
/// More than is sent at once, and than may wait.
const LARGE: usize = 3 << 20;

/// A server with TLS, and a client that trusts it.
struct Encrypted {
    world: World,
    client: ClientConnection,
    heard: Vec<u8>,
    has_ended: bool,
}

impl Encrypted {
    fn new() -> Self {
        Self::offering(vec![])
    }

    fn offering(protocols: Vec<Vec<u8>>) -> Self {
        let authority = Authority::new("An authority");
        let world = server(&authority);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols;
        let client = ClientConnection::new(Arc::new(config), ServerName::try_from("a.test").unwrap()).unwrap();
        let mut both = Self { world, client, heard: Vec::new(), has_ended: false };
        (0..4).for_each(|_| both.turn());
        assert!(!both.client.is_handshaking());
        both
    }

    /// What the client has to say leaves, the server has a turn, and what comes back arrives.
    fn turn(&mut self) {
        while self.client.wants_write() && self.client.write_tls(&mut self.world.peer).is_ok_and(|count| count > 0) {}
        self.world.step();
        loop {
            match self.client.read_tls(&mut self.world.peer) {
                Ok(0) => break self.has_ended = true,
                Ok(_) => {}
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            self.client.process_new_packets().unwrap();
            match self.client.reader().read_to_end(&mut self.heard) {
                Ok(_) => self.has_ended = true,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
        self.turn();
    }

    fn heard(&mut self) -> Vec<u8> {
        self.turn();
        std::mem::take(&mut self.heard)
    }
}

fn server(authority: &Authority) -> World {
    let folder = tempfile::tempdir().unwrap();
    let issued = authority.issue(&["a.test"], Validity::Now);
    let path = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (certificate, key) = (path("certificate", &issued.certificate), path("key", &issued.key));
    let source = CertificateSource::Files { name: None, certificate, key, password: None };
    let protocols = vec![b"http/1.1".to_vec(), ALTERNATIVE.to_vec()];
    let settings = TlsSettings { certificates: vec![source], protocols, ..TlsSettings::default() };
    let tls = Arc::new(TlsServer::new(settings).unwrap());
    let alternative = Alternative { name: ALTERNATIVE.to_vec(), listener: CHOSEN, raw: RawSettings::default() };
    World::behind(HttpSettings::default(), |listener| listener.secured(tls).with_alternatives(vec![alternative]))
}

#[test]
fn requests_and_large_answers() {
    let mut both = Encrypted::new();
    for length in [3, LARGE] {
        both.say(HEAD);
        both.world.answer(length);
        let mut heard = Vec::new();
        while heard.len() < length {
            heard.extend(both.heard());
        }
        assert!(heard.starts_with(b"HTTP/1.1 200 OK\r\n") && heard.ends_with(b"xxx"));
    }
    both.client.send_close_notify();
    both.turn();
    both.turn();
    assert!(!both.world.is_open());
}

#[test]
fn files_are_encrypted_as_they_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..LARGE).map(|index| (index % 251) as u8).collect();
    fs::write(folder.path().join("file"), &content).unwrap();
    let mut both = Encrypted::new();
    both.say(HEAD);
    let exchange = both.world.request();
    let stream = both.world.handle.stream(exchange.connection, b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    assert!(stream.write_file(fs::File::open(folder.path().join("file")).unwrap(), 0, LARGE as u64));
    let mut heard = Vec::new();
    while heard.len() < LARGE + 19 {
        heard.extend(both.heard());
    }
    assert_eq!(heard.len(), LARGE + 19);
    assert!(heard.ends_with(&content));
}

#[test]
fn a_hijacked_connection_is_a_socket_without_tls() {
    let mut both = Encrypted::new();
    both.say(&[HEAD, b"more"].concat());
    let exchange = both.world.request();
    let handover = both.world.handle.hijack(exchange.connection);
    both.turn();
    let Waited::Taken(hijacked) = handover.wait(&Interrupter::default()) else { panic!("not given") };
    let mut socket = UnixStream::from(hijacked.socket);
    socket.set_nonblocking(true).unwrap();
    let mut received = hijacked.unread;
    both.say(b" and more");
    let content: Vec<u8> = (0..LARGE).map(|index| (index % 251) as u8).collect();
    let (mut sent, mut heard) = (0, Vec::new());
    while heard.len() < LARGE || received.len() < 13 {
        match socket.write(&content[sent..]) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let mut buffer = [0; 100];
        if let Ok(count) = socket.read(&mut buffer) {
            received.extend_from_slice(&buffer[..count]);
        }
        heard.extend(both.heard());
    }
    assert_eq!(received, b"more and more");
    assert!(heard == content, "all of it, in order");
    // The end of one side is the end of the other's input.
    socket.shutdown(Shutdown::Write).unwrap();
    (0..4).for_each(|_| both.turn());
    assert!(both.has_ended);
    drop(socket);
    both.client.send_close_notify();
    (0..4).for_each(|_| both.turn());
    both.world.pass(Duration::from_secs(3));
    both.turn();
    assert_eq!(both.world.reactor.clients(), 0);
}

#[test]
fn the_end_of_the_client_reaches_a_hijacked_socket() {
    let mut both = Encrypted::new();
    both.say(HEAD);
    let exchange = both.world.request();
    let handover = both.world.handle.hijack(exchange.connection);
    both.turn();
    let Waited::Taken(hijacked) = handover.wait(&Interrupter::default()) else { panic!("not given") };
    let mut socket = UnixStream::from(hijacked.socket);
    both.client.send_close_notify();
    (0..4).for_each(|_| both.turn());
    assert_eq!(socket.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn clients_choose_a_service() {
    let mut both = Encrypted::offering(vec![ALTERNATIVE.to_vec()]);
    assert_eq!(both.client.alpn_protocol(), Some(ALTERNATIVE));
    let Some(Job::Client(client)) = both.world.jobs.try_take() else { panic!("no client") };
    assert!(matches!(client.next_event(), Some(Event::Accepted(CHOSEN))));
    both.say(b"bytes");
    let mut events = std::iter::from_fn(|| client.next_event());
    assert!(events.any(|event| matches!(event, Event::Message(_, data) if data == b"bytes")));

    let mut other = Encrypted::offering(vec![b"http/1.1".to_vec()]);
    other.say(HEAD);
    assert!(matches!(other.world.jobs.try_take(), Some(Job::Request(_))));
}

#[test]
fn whoever_does_not_speak_tls_has_no_connection() {
    // A request is told so in its own words; anything else gets an alert (RFC 8446 section 6).
    for (said, expected) in [(HEAD, &b"HTTP/1.1 400 "[..]), (&[0xff; 40], b"\x15\x03")] {
        let mut world = server(&Authority::new("An authority"));
        world.say(said);
        world.pass(Duration::from_secs(3));
        assert!(!world.is_open() && world.jobs.try_take().is_none());
        let heard = world.heard();
        assert!(heard.as_bytes().starts_with(expected), "{heard:?}");
    }
}

#[test]
fn a_handshake_that_is_not_begun_has_its_time() {
    let mut world = server(&Authority::new("An authority"));
    let time = TlsSettings::default().handshake_timeout;
    world.pass(time - MOMENT);
    assert!(world.is_open());
    world.pass(MOMENT * 2);
    assert!(!world.is_open());
}
