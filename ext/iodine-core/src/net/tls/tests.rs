//! Both ends of a connection, in one process.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use iodine_testkit::certificates::{Authority, Issued, Validity, self_signed, self_signed_authority};
use tempfile::TempDir;

use super::*;
use crate::net::socket::Socket;

/// A folder of certificates.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn server(&self, issued: &Issued) -> TlsSettings {
        let certificate = self.write("own.crt", &issued.certificate);
        let key = self.write("own.key", &issued.key);
        let source = CertificateSource::Files { name: None, certificate, key, password: None };
        TlsSettings { certificates: vec![source], ..TlsSettings::default() }
    }

    fn client(&self, trusted: &str) -> TlsSettings {
        TlsSettings { trust: vec![self.write("trusted.crt", trusted)], ..TlsSettings::default() }
    }
}

fn socket(stream: UnixStream) -> Socket {
    stream.set_nonblocking(true).unwrap();
    mio::net::UnixStream::from_std(stream).into()
}

/// No handshake here takes as long.
const LONG: Duration = Duration::from_secs(60);

/// A server and a client that are connected, and have not said anything yet.
fn pair(server: TlsSettings, client: &TlsSettings, host: &str) -> (Session, Session) {
    let (here, there) = UnixStream::pair().unwrap();
    let server = TlsServer::new(server).unwrap().accept(socket(here)).unwrap();
    let client = TlsClient::new(client.clone()).unwrap().connect(socket(there), host, LONG, Vec::new()).unwrap();
    (server, client)
}

/// A pair that trusts each other, after the handshake.
pub(crate) fn connected() -> (Session, Session) {
    let (files, root) = (Files::new(), Authority::new("root"));
    let server = files.server(&root.issue(&["a.test"], Validity::Now));
    let (mut server, mut client) = pair(server, &files.client(&root.certificate()), "a.test");
    shake_hands(&mut server, &mut client).unwrap();
    (server, client)
}

/// What the first of the two to fail says.
fn shake_hands(server: &mut Session, client: &mut Session) -> Result<(), String> {
    for _ in 0..10 {
        for session in [&mut *client, &mut *server] {
            session.flush().unwrap();
            match session.read(&mut [0; 100]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
                Ok(length) => return Err(format!("{length} bytes")),
            }
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    Ok(())
}

/// Reads until there is nothing more, with a buffer of this size.
fn drain(session: &mut Session, size: usize) -> Vec<u8> {
    let mut buffer = vec![0; size];
    let mut read = Vec::new();
    loop {
        match session.read(&mut buffer) {
            Ok(0) => return read,
            Ok(length) => {
                read.extend_from_slice(&buffer[..length]);
                if length < size && !session.has_more() {
                    let left = session.read(&mut buffer).unwrap_err();
                    assert_eq!(left.kind(), io::ErrorKind::WouldBlock, "a short read has left something");
                    return read;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return read,
            Err(error) => panic!("{error}"),
        }
    }
}

fn write(session: &mut Session, bytes: &[u8]) -> io::Result<usize> {
    session.write_vectored(&[IoSlice::new(bytes)])
}

#[test]
fn a_read_leaves_nothing_that_no_event_would_tell_of() {
    let (mut server, mut client) = connected();
    let sent: Vec<u8> = (0..60_000_u32).map(|number| number as u8).collect();
    for size in [1, 100, 16_384, 16_385, 64 << 10] {
        assert_eq!(write(&mut client, &sent).unwrap(), sent.len());
        assert!(!client.wants_write());
        assert!(drain(&mut server, size) == sent, "by {size}");
    }
}

#[test]
fn a_peer_that_does_not_read_makes_it_take_no_more() {
    let (mut server, mut client) = connected();
    let bytes = vec![7; 1 << 20];
    let mut taken = 0;
    let blocked = loop {
        match write(&mut server, &bytes) {
            Ok(length) => {
                assert!(length <= 64 << 10);
                taken += length;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
    assert!(taken < 2 << 20 && server.wants_write());
    let mut received = 0;
    while received < taken {
        received += drain(&mut client, 64 << 10).len();
        let _ = server.flush();
    }
    assert_eq!((received, server.wants_write()), (taken, false));
}

#[test]
fn ciphertext_may_come_byte_by_byte() {
    let (files, root) = (Files::new(), Authority::new("root"));
    let (here, mut wire) = UnixStream::pair().unwrap();
    let (there, mut end) = UnixStream::pair().unwrap();
    let server = files.server(&root.issue(&["a.test"], Validity::Now));
    let mut server = TlsServer::new(server).unwrap().accept(socket(here)).unwrap();
    let client = TlsClient::new(files.client(&root.certificate())).unwrap();
    let mut client = client.connect(socket(there), "a.test", LONG, Vec::new()).unwrap();
    for stream in [&wire, &end] {
        stream.set_nonblocking(true).unwrap();
    }
    let mut read = Vec::new();
    for round in 0..4 {
        if round == 2 {
            assert_eq!(write(&mut client, &[b'x'; 5000]).unwrap(), 5000);
        }
        client.flush().unwrap();
        let mut byte = [0];
        while end.read(&mut byte).is_ok_and(|length| length == 1) {
            wire.write_all(&byte).unwrap();
            read.append(&mut drain(&mut server, 64 << 10));
        }
        server.flush().unwrap();
        let mut back = [0; 8192];
        while let Ok(length) = wire.read(&mut back) {
            end.write_all(&back[..length]).unwrap();
        }
        drain(&mut client, 64 << 10);
    }
    assert_eq!(read, [b'x'; 5000]);
}

#[test]
fn an_end_is_told_behind_what_came_before_it() {
    let (mut server, mut client) = connected();
    write(&mut client, b"last words").unwrap();
    client.notify_close();
    let mut buffer = [0; 100];
    assert_eq!(server.read(&mut buffer).unwrap(), 10);
    assert!(server.has_more());
    assert_eq!(server.read(&mut buffer).unwrap(), 0);

    let (mut server, mut client) = connected();
    write(&mut client, b"last words").unwrap();
    drop(client);
    assert_eq!(server.read(&mut buffer).unwrap(), 10);
    assert!(server.has_more());
    assert_eq!(server.read(&mut buffer).unwrap(), 0);
}

#[test]
fn nothing_is_written_after_the_end_or_before_the_beginning() {
    let (mut server, _client) = connected();
    server.notify_close();
    assert_eq!(write(&mut server, b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);

    let (files, root) = (Files::new(), Authority::new("root"));
    let server = files.server(&root.issue(&["a.test"], Validity::Now));
    let (_server, mut client) = pair(server, &files.client(&root.certificate()), "a.test");
    assert_eq!(write(&mut client, b"early").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(client.is_handshaking() && !client.wants_write(), "the first flight has left");
}

#[test]
fn a_damaged_record_ends_it() {
    let (mut server, mut client) = connected();
    write(&mut client, b"fine").unwrap();
    client
        .socket_mut()
        .write_all(&[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
        .unwrap();
    let error = loop {
        match server.read(&mut [0; 100]) {
            Ok(length) => assert_eq!(length, 4),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(write(&mut server, b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(client.read(&mut [0; 100]).unwrap_err().to_string().contains("alert BadRecordMac"));
}

#[test]
fn plain_http_is_told_from_garbage() {
    for (sent, plain) in [("GET / HTTP/1.1\r\n\r\n", true), ("\0\0\0\0\0\0\0\0", false)] {
        let (files, root) = (Files::new(), Authority::new("root"));
        let (here, mut there) = UnixStream::pair().unwrap();
        let server = files.server(&root.issue(&["a.test"], Validity::Now));
        let mut server = TlsServer::new(server).unwrap().accept(socket(here)).unwrap();
        there.write_all(sent.as_bytes()).unwrap();
        let error = server.read(&mut [0; 100]).unwrap_err();
        assert_eq!((error.kind(), server.is_plain()), (io::ErrorKind::InvalidData, plain));
    }
}

#[test]
fn a_client_says_what_is_wrong_with_a_server() {
    let root = Authority::new("root");
    let revoked = root.issue(&["a.test"], Validity::Now);
    let list = root.revoke(&revoked);
    let fine = || root.issue(&["a.test", "127.0.0.1", "::1"], Validity::Now);
    let table = [
        (fine(), "a.test", None),
        (fine(), "127.0.0.1", None),
        (fine(), "[::1]", None),
        (fine(), "A.Test", None),
        (fine(), "a.test.", None),
        (fine(), "b.test", Some("is not for b.test, but for")),
        (root.issue(&["a.test"], Validity::Past), "a.test", Some("has expired")),
        (root.issue(&["a.test"], Validity::Future), "a.test", Some("is not valid yet")),
        (revoked, "a.test", Some("has been revoked")),
        (Authority::new("other").issue(&["a.test"], Validity::Now), "a.test", Some("no trusted authority")),
        (self_signed(&["a.test"]), "a.test", Some("vouches for itself")),
    ];
    for (issued, host, expected) in table {
        let files = Files::new();
        let mut trusting = files.client(&root.certificate());
        trusting.trust.push(files.write("revoked.crl", &list));
        let (mut server, mut client) = pair(files.server(&issued), &trusting, host);
        match (shake_hands(&mut server, &mut client), expected) {
            (Ok(()), None) => {}
            (Err(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (said, expected) => panic!("{said:?} rather than {expected:?} for {host}"),
        }
    }
}

#[test]
fn a_certificate_that_vouches_for_itself_can_be_trusted_by_name() {
    // As an authority, which is how `openssl req -x509` makes them, and as a server.
    let table = [
        (self_signed_authority(&["a.test"], Validity::Now), "a.test", None),
        (self_signed_authority(&["a.test"], Validity::Now), "b.test", Some("is not for b.test")),
        (self_signed_authority(&["a.test"], Validity::Past), "a.test", Some("has expired")),
        (self_signed_authority(&["a.test"], Validity::Future), "a.test", Some("is not valid yet")),
        (self_signed(&["a.test"]), "a.test", None),
        (self_signed(&["a.test"]), "b.test", Some("is not for b.test")),
    ];
    for (issued, host, expected) in table {
        let files = Files::new();
        let (mut server, mut client) = pair(files.server(&issued), &files.client(&issued.certificate), host);
        match (shake_hands(&mut server, &mut client), expected) {
            (Ok(()), None) => {}
            (Err(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (said, expected) => panic!("{said:?} rather than {expected:?} for {host}"),
        }
    }
}

#[test]
fn a_client_that_does_not_verify_takes_any_server() {
    let files = Files::new();
    let client = TlsSettings { verify: false, ..TlsSettings::default() };
    let (mut server, mut client) = pair(files.server(&self_signed(&["a.test"])), &client, "b.test");
    shake_hands(&mut server, &mut client).unwrap();
}

#[test]
fn a_server_with_authorities_knows_its_clients() {
    let (files, root) = (Files::new(), Authority::new("root"));
    let mut settings = files.server(&root.issue(&["a.test"], Validity::Now));
    let mut client = files.client(&root.certificate());
    settings.trust.clone_from(&client.trust);

    let (mut server, mut nobody) = pair(settings.clone(), &client, "a.test");
    assert!(shake_hands(&mut server, &mut nobody).unwrap_err().contains("sent no certificates"));

    client.certificates.clone_from(&settings.certificates);
    let (mut server, mut somebody) = pair(settings, &client, "a.test");
    shake_hands(&mut server, &mut somebody).unwrap();
    let identity = server.identity().unwrap();
    assert_eq!((identity.subject.as_str(), identity.fingerprint.len()), ("CN=a.test", 64));
    let certificate = fs::read_to_string(files.0.path().join("own.crt")).unwrap().replace('\r', "");
    assert_eq!(identity.certificate, certificate);
}

#[test]
fn a_client_may_be_known_by_its_certificate_alone() {
    let (files, root) = (Files::new(), Authority::new("root"));
    let mut server = files.server(&root.issue(&["a.test"], Validity::Now));
    let client = files.client(&root.certificate());
    let known = self_signed_authority(&["alice"], Validity::Now);
    let late = self_signed_authority(&["bob"], Validity::Past);
    server.trust = vec![files.write("known.crt", &(known.certificate.clone() + &late.certificate))];
    let meet = |issued: &Issued| {
        let certificate = files.write("client.crt", &issued.certificate);
        let key = files.write("client.key", &issued.key);
        let source = CertificateSource::Files { name: None, certificate, key, password: None };
        let client = TlsSettings { certificates: vec![source], ..client.clone() };
        let (mut server, mut client) = pair(server.clone(), &client, "a.test");
        shake_hands(&mut server, &mut client).map(|()| server.identity().unwrap().subject)
    };
    assert_eq!(meet(&known).unwrap(), "CN=alice");
    assert!(meet(&late).unwrap_err().contains("has expired"));
    meet(&self_signed_authority(&["alice"], Validity::Now)).unwrap_err();
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let listening = tempfile::tempdir().unwrap();
    let path = listening.path().join("a.sock");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for path in [path.as_path(), listening.path(), "/dev/zero".as_ref()] {
        let refused = certificate::chain(path).unwrap_err().to_string();
        assert!(refused.contains("no regular file"), "{refused}");
    }
}

#[test]
fn files_are_read_again_and_bad_ones_change_nothing() {
    let (files, root) = (Files::new(), Authority::new("root"));
    let server = TlsServer::new(files.server(&root.issue(&["a.test"], Validity::Now))).unwrap();
    let client = TlsClient::new(files.client(&root.certificate())).unwrap();
    let meet = |host| {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut server, mut client) =
            (server.accept(socket(here)).unwrap(), client.connect(socket(there), host, LONG, Vec::new()).unwrap());
        shake_hands(&mut server, &mut client)
    };
    meet("a.test").unwrap();
    files.server(&root.issue(&["b.test"], Validity::Now));
    server.reload().unwrap();
    meet("b.test").unwrap();
    files.write("own.key", "");
    assert!(matches!(server.reload(), Err(TlsError::NoKey(_))));
    meet("b.test").unwrap();
}

#[test]
fn files_have_changed_when_they_are_different_and_at_rest() {
    let (files, root) = (Files::new(), Authority::new("root"));
    let issue = || files.server(&root.issue(&["a.test"], Validity::Now));
    let server = TlsServer::new(issue()).unwrap();
    let said = |times: usize| (0..times).map(|_| server.has_changed()).collect::<Vec<_>>();
    assert_eq!(said(3), [false; 3]);
    issue();
    assert_eq!(said(3), [false, true, true]);
    server.reload().unwrap();
    assert_eq!(said(2), [false; 2]);
    // One that cannot be used is not read again before it has changed once more.
    let path = files.write("own.key", "");
    assert_eq!(said(2), [false, true]);
    server.reload().unwrap_err();
    fs::remove_file(path).unwrap();
    assert_eq!(said(1), [false]);
    issue();
    assert_eq!(said(2), [false, true]);
}

#[test]
fn a_client_reads_its_authorities_again() {
    let (files, former, root) = (Files::new(), Authority::new("former"), Authority::new("root"));
    let settings = files.client(&former.certificate());
    let client = TlsClient::new(settings).unwrap();
    let server = TlsServer::new(files.server(&root.issue(&["a.test"], Validity::Now))).unwrap();
    let meet = || {
        let (here, there) = UnixStream::pair().unwrap();
        let mut server = server.accept(socket(here)).unwrap();
        let mut client = client.connect(socket(there), "a.test", LONG, Vec::new()).unwrap();
        shake_hands(&mut server, &mut client)
    };
    meet().unwrap_err();
    files.client("nothing");
    client.reload().unwrap_err();
    files.client(&root.certificate());
    client.reload().unwrap();
    meet().unwrap();
}
