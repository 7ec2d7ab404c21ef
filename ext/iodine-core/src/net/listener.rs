//! Listening sockets.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockAddr, Socket, Type};

use super::address::Address;
use super::socket::Socket as Accepted;
use super::stream::Stream;
use super::tls::TlsServer;
use crate::settings::{Alternative, ListenerSettings};

/// Connections the kernel may hold for us; it caps this at `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 4096;
/// Any user may connect to the socket of a web server; a front-end proxy has its own account.
const SOCKET_MODE: u32 = 0o777;

/// A bound, listening, non-blocking socket, and what it serves.
pub struct Listener {
    /// The number that comes back in `Exchange::listener`, or in `Event::Accepted`.
    pub id: usize,
    /// What is spoken on its connections, their limits and deadlines.
    pub settings: ListenerSettings,
    socket: ListenerSocket,
    tls: Option<Arc<TlsServer>>,
    /// What a client may choose instead, if there is anything.
    pub(crate) alternatives: Option<Arc<[Alternative]>>,
}

enum ListenerSocket {
    Tcp(TcpListener),
    Unix(UnixListener, Arc<str>),
}

/// A socket bound before it is known what serves it: what a process opens first and its children inherit.
pub struct BoundSocket {
    handles: Mutex<Handles>,
    address: Address,
}

/// What this process has of the socket.
struct Handles {
    socket: Option<Socket>,
    /// Those that reactors have.
    shared: Vec<RawFd>,
}

impl BoundSocket {
    /// Opens and binds the socket, and starts to listen.
    ///
    /// A stale Unix socket (nobody answers there) is replaced; any other file at the path is left alone.
    ///
    /// # Errors
    /// As the system says: address in use, no permission, name not resolved …
    pub fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => Self::bind_tcp(host.as_deref(), *port),
            Address::Unix(path) => Self::bind_unix(path),
        }
    }

    /// Takes over a socket that listens already, for a listener that was to be bound to `address`.
    ///
    /// # Errors
    /// When it is no listening socket.
    pub fn adopt(descriptor: OwnedFd, address: &Address) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the inherited socket does not listen"));
        }
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?;
        let mut address = address.clone();
        if let Address::Tcp { port, .. } = &mut address
            && let Some(bound) = socket.local_addr()?.as_socket()
        {
            *port = bound.port();
        }
        Ok(Self::new(socket, address))
    }

    /// Where it listens; a port of 0 has been replaced by the one the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A second handle on the same socket, for a reactor.
    ///
    /// # Errors
    /// When the process has no file descriptor left, or the socket is closed.
    pub fn listener(&self, id: usize, settings: ListenerSettings) -> io::Result<Listener> {
        let mut handles = self.handles();
        let Some(socket) = &handles.socket else { return Err(io::ErrorKind::NotConnected.into()) };
        let fd: OwnedFd = socket.as_fd().try_clone_to_owned()?;
        handles.shared.push(fd.as_raw_fd());
        let socket = match &self.address {
            Address::Tcp { .. } => ListenerSocket::Tcp(TcpListener::from_std(fd.into())),
            Address::Unix(path) => {
                ListenerSocket::Unix(UnixListener::from_std(fd.into()), path.to_string_lossy().into())
            }
        };
        Ok(Listener { id, settings, socket, tls: None, alternatives: None })
    }

    /// Closes this handle. Reactors keep theirs until they drain, other processes what they have.
    pub fn close(&self) {
        let mut handles = self.handles();
        handles.socket = None;
        handles.shared.clear();
    }

    /// Every descriptor of the socket in this process, until it is closed: its own first, then those of reactors.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let handles = self.handles();
        let own = handles.socket.iter().map(AsRawFd::as_raw_fd);
        own.chain(handles.shared.iter().copied()).collect()
    }

    /// Removes the file of a Unix socket. For the process that bound it, when it stops listening for good.
    pub fn unlink(&self) {
        if let Address::Unix(path) = &self.address
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("could not remove the socket {}: {error}", path.display());
        }
    }

    fn new(socket: Socket, address: Address) -> Self {
        Self { handles: Mutex::new(Handles { socket: Some(socket), shared: Vec::new() }), address }
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bind_tcp(host: Option<&str>, port: u16) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for candidate in candidates(host, port)? {
            match open_tcp(candidate) {
                Ok(socket) => {
                    let bound = socket.local_addr()?.as_socket().map_or(port, |address| address.port());
                    let address = Address::Tcp { host: host.map(str::to_owned), port: bound };
                    return Ok(Self::new(socket, address));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_unix(path: &Path) -> io::Result<Self> {
        clear_stale_socket(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        socket.listen(BACKLOG)?;
        Ok(Self::new(socket, Address::Unix(PathBuf::from(path))))
    }
}

/// Without a host every interface, by one socket for IPv6 and IPv4 where the system has both.
fn candidates(host: Option<&str>, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(match host {
        Some(host) => (host, port).to_socket_addrs()?.collect(),
        None => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
    })
}

fn open_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    // Linux hands this on to the accepted sockets, which saves a system call for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn clear_stale_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there")),
            Err(_) => fs::remove_file(path),
        },
    }
}

impl Listener {
    /// The same, with TLS on its connections.
    #[must_use]
    pub fn secured(self, tls: Arc<TlsServer>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// The same, with services that clients may choose by ALPN.
    #[must_use]
    pub fn with_alternatives(self, alternatives: Vec<Alternative>) -> Self {
        Self { alternatives: (!alternatives.is_empty()).then(|| alternatives.into()), ..self }
    }

    /// The next connection that waits, and its peer's name.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; others as `accept(2)`.
    pub(crate) fn accept(&self) -> io::Result<(Stream, Arc<str>)> {
        let (socket, peer) = self.accept_socket()?;
        let stream = match &self.tls {
            None => socket.into(),
            // It is given up alone: the next one may be fine.
            Some(tls) => {
                tls.accept(socket).map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))?.into()
            }
        };
        Ok((stream, peer))
    }

    fn accept_socket(&self) -> io::Result<(Accepted, Arc<str>)> {
        match &self.socket {
            ListenerSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                if cfg!(not(target_os = "linux")) {
                    stream.set_nodelay(true)?;
                }
                Ok((stream.into(), peer.ip().to_canonical().to_string().into()))
            }
            ListenerSocket::Unix(listener, path) => {
                let (stream, _) = listener.accept()?;
                Ok((stream.into(), Arc::clone(path)))
            }
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.socket {
            ListenerSocket::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            ListenerSocket::Unix(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.socket {
            ListenerSocket::Tcp(listener) => listener.deregister(registry),
            ListenerSocket::Unix(listener, _) => listener.deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &Path) -> io::Result<BoundSocket> {
        BoundSocket::bind(&Address::Unix(path.to_path_buf()))
    }

    #[test]
    fn port_zero_becomes_the_port_that_was_chosen() {
        let bound = BoundSocket::bind(&Address::Tcp { host: Some("127.0.0.1".into()), port: 0 }).unwrap();
        let Address::Tcp { port, .. } = bound.address() else { panic!("not TCP") };
        assert_ne!(*port, 0);
        let second = BoundSocket::bind(&Address::Tcp { host: Some("127.0.0.1".into()), port: *port });
        assert_eq!(second.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_stale_socket_is_replaced_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        drop(unix(&path).unwrap());
        assert!(path.exists(), "the socket is left behind on purpose");
        let bound = unix(&path).unwrap();
        assert_eq!(unix(&path).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
        bound.unlink();
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert_eq!(unix(&path).err().map(|error| error.kind()), Some(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    /// Those who come when nobody accepts wait in the kernel, up to the bound, and the next one is refused. Linux takes one
    /// more than it is told.
    #[cfg(target_os = "linux")]
    #[test]
    fn connections_wait_to_be_accepted_up_to_a_bound() {
        let most: usize = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
        let bound = most.min(BACKLOG as usize) + 1;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = unix(&path).unwrap().listener(0, ListenerSettings::Http(Arc::default())).unwrap();
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // One that has left waits all the same, and takes no descriptor.
            socket.connect(&SockAddr::unix(&path).unwrap())
        };
        for number in 1..=bound {
            connect().unwrap_or_else(|error| panic!("connection {number} of {bound}: {error}"));
        }
        assert_eq!(connect().map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
        for _ in 0..bound {
            listener.accept().unwrap();
        }
        assert_eq!(listener.accept().map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock));
        connect().unwrap();
        listener.accept().unwrap();
    }
}
