//! The thread that serves all connections.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

use super::{
    faults::{Fate, Faults, Way},
    pair::{Outcome, Pair},
};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;

/// A connection has met its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harm {
    /// Which connection of the proxy it is, from 0 on.
    pub number: u64,
    /// The client's port.
    pub port: u16,
    /// What has happened.
    pub fate: Fate,
}

/// A proxy that runs; dropped, it closes its connections and ends.
pub struct Proxy {
    address: SocketAddr,
    orders: Sender<Order>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

enum Order {
    Calm,
    Stop,
}

impl Proxy {
    /// Listens on a free port of the loopback address for connections to `server`. `tell` is called by the proxy's
    /// thread for each connection that was harmed.
    ///
    /// # Errors
    /// What the system says to a new socket or thread.
    pub fn start(server: SocketAddr, faults: Faults, tell: impl FnMut(Harm) + Send + 'static) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (orders, received) = channel();
        let service = Service {
            poll,
            listener,
            server,
            faults,
            tell: Box::new(tell),
            orders: received,
            pairs: Slab::new(),
            agenda: BinaryHeap::new(),
            accepted: 0,
        };
        let thread = thread::Builder::new().name("chaos".into()).spawn(|| service.run())?;
        Ok(Self { address, orders, waker, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Harms no connection from now on, neither a new one nor those that are open. Delays and cuts stay.
    pub fn calm(&self) {
        self.order(Order::Calm);
    }

    fn order(&self, order: Order) {
        // Both fail when the thread has ended by an error, which `drop` tells of.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.order(Order::Stop);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => eprintln!("the chaos proxy has ended early: {error}"),
            Some(Err(_)) => eprintln!("the chaos proxy has panicked"),
            Some(Ok(Ok(()))) | None => {}
        }
    }
}

struct Service {
    poll: Poll,
    listener: TcpListener,
    server: SocketAddr,
    faults: Faults,
    tell: Box<dyn FnMut(Harm) + Send>,
    orders: Receiver<Order>,
    pairs: Slab<Pair>,
    /// When which connection wants a turn. One that has ended may still be in it.
    agenda: BinaryHeap<Reverse<(Instant, usize)>>,
    accepted: u64,
}

impl Service {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let wait = self.agenda.peek().map(|Reverse((due, _))| due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let mut touched = BTreeSet::new();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    WAKER if self.obey() => return Ok(()),
                    WAKER => {}
                    Token(token) => {
                        let (key, way) = ((token - FIRST) / 2, way_of(token));
                        if let Some(pair) = self.pairs.get_mut(key) {
                            pair.note(event, way);
                            touched.insert(key);
                        }
                    }
                }
            }
            self.serve(touched);
        }
    }

    /// True: it is to stop.
    fn obey(&mut self) -> bool {
        for order in self.orders.try_iter() {
            match order {
                Order::Stop => return true,
                Order::Calm => {
                    self.faults.harm = 0;
                    self.pairs.iter_mut().for_each(|(_, pair)| pair.spare());
                }
            }
        }
        false
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((client, address)) => self.open(client, address.port())?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The client has gone again.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn open(&mut self, client: TcpStream, port: u16) -> io::Result<()> {
        let server = TcpStream::connect(self.server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut pair = Pair::new(self.accepted, port, client, server, &self.faults);
        self.accepted += 1;
        let entry = self.pairs.vacant_entry();
        let first = FIRST + entry.key() * 2;
        pair.register(self.poll.registry(), Token(first), Token(first + 1))?;
        entry.insert(pair);
        Ok(())
    }

    /// Gives a turn to those that something has happened to, and to those whose time has come.
    fn serve(&mut self, mut touched: BTreeSet<usize>) {
        let now = Instant::now();
        while let Some(Reverse((due, key))) = self.agenda.peek().copied()
            && due <= now
        {
            self.agenda.pop();
            touched.insert(key);
        }
        for key in touched {
            let Some(pair) = self.pairs.get_mut(key) else { continue };
            let (number, port) = (pair.number, pair.port);
            let (fate, again) = match pair.turn(now, &self.faults) {
                Outcome::Lives(again) => (None, again),
                Outcome::Harmed(fate, again) => (Some(fate), again),
                Outcome::Killed(fate) => {
                    self.pairs.remove(key);
                    (Some(fate), None)
                }
                Outcome::Over => {
                    self.pairs.remove(key);
                    (None, None)
                }
            };
            if let Some(fate) = fate {
                (self.tell)(Harm { number, port, fate });
            }
            self.agenda.extend(again.map(|due| Reverse((due, key))));
        }
    }
}

/// The direction of what the socket of this token sends.
fn way_of(token: usize) -> Way {
    if (token - FIRST).is_multiple_of(2) { Way::ToServer } else { Way::ToClient }
}
