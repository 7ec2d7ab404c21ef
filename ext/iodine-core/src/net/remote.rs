//! The other end of a connection that the application asks for.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use mio::net::{TcpStream, UnixStream};

use super::address::Address;
use super::socket::Socket;

/// One place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Remote {
    /// The places that an address stands for, in the order in which they should be tried. No host is this machine.
    ///
    /// Asks the resolver, which may take its time, unless [`is_literal`](Self::is_literal).
    ///
    /// # Errors
    /// When the name is not known, or the resolver does not answer.
    pub fn resolve(address: &Address) -> io::Result<Vec<Self>> {
        match address {
            Address::Unix(path) => Ok(vec![Self::Unix(path.clone())]),
            Address::Tcp { host, port } => {
                let host = host.as_deref().unwrap_or("localhost");
                let found: Vec<_> = (host, *port).to_socket_addrs()?.map(Self::Tcp).collect();
                if found.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
                }
                Ok(found)
            }
        }
    }

    /// Whether the address needs no resolver.
    pub fn is_literal(address: &Address) -> bool {
        match address {
            Address::Unix(_) => true,
            Address::Tcp { host, .. } => host.as_ref().is_some_and(|host| host.parse::<std::net::IpAddr>().is_ok()),
        }
    }

    /// Begins to connect; the socket becomes writable when that is done, or has failed.
    ///
    /// # Errors
    /// When it fails at once.
    pub(crate) fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(*address)?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Unix(path) => write!(out, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_for_places() {
        let tcp = |host: Option<&str>| Address::Tcp { host: host.map(str::to_owned), port: 80 };
        let local: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert_eq!(Remote::resolve(&tcp(Some("127.0.0.1"))).unwrap(), [Remote::Tcp(local)]);
        assert!(Remote::resolve(&tcp(None)).unwrap().contains(&Remote::Tcp(local)));
        assert!(Remote::resolve(&tcp(Some("no such name"))).is_err());
        let path = Address::Unix("/run/x.sock".into());
        assert_eq!(Remote::resolve(&path).unwrap(), [Remote::Unix("/run/x.sock".into())]);
        let literal = [tcp(Some("::1")), tcp(Some("10.0.0.1")), path];
        assert!(literal.iter().all(Remote::is_literal));
        assert!(![tcp(None), tcp(Some("localhost"))].iter().any(Remote::is_literal));
    }
}
