//! The bad network itself: it changes no byte, and does the harm that it says.

#![allow(clippy::unwrap_used)]

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use iodine_testkit::chaos::{End, Fate, Faults, Harm, Proxy, Way};

const DEADLINE: Duration = Duration::from_secs(20);

/// Hands over what it accepts.
fn server() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (give, given) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if give.send(patient(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    (address, given)
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A proxy, and what it tells.
fn proxy(server: SocketAddr, faults: Faults) -> (Proxy, Receiver<Harm>) {
    let (tell, told) = channel();
    let proxy = Proxy::start(server, faults, move |harm| {
        let _ = tell.send(harm);
    });
    (proxy.unwrap(), told)
}

fn connect(proxy: &Proxy) -> TcpStream {
    patient(TcpStream::connect(proxy.address()).unwrap())
}

/// A connection through a proxy that harms each connection by one of the ends, and both its sides.
fn harmed(end: End, wanted: Way) -> (TcpStream, TcpStream, Fate) {
    let faults = Faults { harm: 100, within: 100, ends: vec![end], ..Faults::default() };
    let seed = (0..).find(|&seed| {
        Faults { seed, ..faults.clone() }.fate(0).is_some_and(|fate| fate.way == wanted && fate.after > 0)
    });
    let (address, accepted) = server();
    let (proxy, told) = proxy(address, Faults { seed: seed.unwrap(), ..faults });
    let mut client = connect(&proxy);
    let mut server = accepted.recv_timeout(DEADLINE).unwrap();
    let sender = if wanted == Way::ToServer { &mut client } else { &mut server };
    sender.write_all(&[b'x'; 100]).unwrap();
    let harm = told.recv_timeout(DEADLINE).unwrap();

    assert_eq!(harm.port, client.local_addr().unwrap().port());
    assert_eq!((harm.number, harm.fate.end, harm.fate.way), (0, end, wanted));
    // The proxy goes on in a thread of its own, until the process ends.
    std::mem::forget(proxy);
    (client, server, harm.fate)
}

fn ends(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map(|_| bytes).map_err(|error| error.kind())
}

#[test]
fn bytes_stay_what_they_are_both_ways() {
    let (address, accepted) = server();
    let faults = Faults { seed: 5, delay: Duration::from_millis(2), pieces: 8, ..Faults::default() };
    let (proxy, _) = proxy(address, faults);
    let sent: Vec<u8> = (0..2_000_000_u32).map(|number| (number * 7 / 3) as u8).collect();
    let mut client = connect(&proxy);
    let mut server = accepted.recv_timeout(DEADLINE).unwrap();
    thread::scope(|scope| {
        for stream in [&client, &server] {
            let (mut stream, sent) = (stream.try_clone().unwrap(), &sent);
            scope.spawn(move || {
                stream.write_all(sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
        }
        assert_eq!(ends(&mut client).as_ref(), Ok(&sent));
        assert_eq!(ends(&mut server).as_ref(), Ok(&sent));
    });
}

#[test]
fn what_was_sent_at_once_comes_in_pieces() {
    let (address, accepted) = server();
    let faults = Faults { seed: 5, delay: Duration::from_millis(20), pieces: 8, ..Faults::default() };
    let (proxy, _) = proxy(address, faults);
    let mut client = connect(&proxy);
    let mut server = accepted.recv_timeout(DEADLINE).unwrap();
    let (mut reads, mut length) = (0, 0);
    for _ in 0..20 {
        client.write_all(&[b'x'; 1000]).unwrap();
        while length < 1000 {
            length += server.read(&mut [0; 1000]).unwrap();
            reads += 1;
        }
        length = 0;
    }
    assert!(reads > 30, "{reads} reads");
}

#[test]
fn writes_of_separate_connections_change_their_order() {
    let (address, accepted) = server();
    let (proxy, _) = proxy(address, Faults { seed: 5, delay: Duration::from_millis(50), ..Faults::default() });
    let mut clients: Vec<_> = (0..10).map(|_| connect(&proxy)).collect();
    let (tell, told) = channel();
    for _ in 0..10 {
        let (mut server, tell) = (accepted.recv_timeout(DEADLINE).unwrap(), tell.clone());
        thread::spawn(move || {
            let mut number = [0];
            server.read_exact(&mut number).unwrap();
            tell.send(number[0]).unwrap();
        });
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&[number as u8]).unwrap();
    }
    let mut came: Vec<u8> = (0..10).map(|_| told.recv_timeout(DEADLINE).unwrap()).collect();
    assert!(!came.is_sorted(), "{came:?}");
    came.sort_unstable();
    assert_eq!(came, (0..10).collect::<Vec<u8>>());
}

#[test]
fn a_close_is_seen_by_both() {
    for way in [Way::ToServer, Way::ToClient] {
        let (mut client, mut server, fate) = harmed(End::Close, way);
        let passed = Ok(vec![b'x'; fate.after as usize]);
        let (target, source) =
            if way == Way::ToServer { (&mut server, &mut client) } else { (&mut client, &mut server) };

        assert_eq!(ends(target), passed);
        assert_eq!(ends(source), Ok(Vec::new()));
    }
}

#[test]
fn a_reset_is_seen_by_both() {
    for way in [Way::ToServer, Way::ToClient] {
        let (mut client, mut server, _) = harmed(End::Reset, way);

        assert_eq!(ends(&mut client), Err(ErrorKind::ConnectionReset));
        assert_eq!(ends(&mut server), Err(ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_half_close_ends_one_direction() {
    let (client, server, fate) = harmed(End::HalfClose, Way::ToServer);
    other_direction_lives(client, server, fate);
    let (client, server, fate) = harmed(End::HalfClose, Way::ToClient);
    other_direction_lives(server, client, fate);
}

/// The direction to the target is closed.
fn other_direction_lives(mut source: TcpStream, mut target: TcpStream, fate: Fate) {
    assert_eq!(ends(&mut target), Ok(vec![b'x'; fate.after as usize]));
    // This is dropped, and hurts nobody.
    source.write_all(&[b'x'; 100_000]).unwrap();
    target.write_all(b"still here").unwrap();
    drop(target);
    assert_eq!(ends(&mut source), Ok(b"still here".to_vec()));
}

#[test]
fn calm_spares_old_connections_and_new_ones() {
    let (address, accepted) = server();
    let faults = Faults { seed: 1, harm: 100, within: 100, ends: vec![End::Reset], ..Faults::default() };
    let (proxy, told) = proxy(address, faults);
    let mut pairs = vec![(connect(&proxy), accepted.recv_timeout(DEADLINE).unwrap())];
    proxy.calm();
    pairs.push((connect(&proxy), accepted.recv_timeout(DEADLINE).unwrap()));
    for (client, server) in &mut pairs {
        client.write_all(&[b'x'; 1000]).unwrap();
        server.read_exact(&mut [0; 1000]).unwrap();
    }
    assert!(told.try_recv().is_err());
}

#[test]
fn a_client_of_a_server_that_is_gone_is_reset() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (proxy, _) = proxy(address, Faults::default());

    assert_eq!(ends(&mut connect(&proxy)), Err(ErrorKind::ConnectionReset));
}
