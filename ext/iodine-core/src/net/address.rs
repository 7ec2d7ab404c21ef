//! Where to listen or to connect: a host and a port, a Unix socket, or a URL that names either.

use std::{
    ffi::OsStr,
    fmt,
    net::Ipv6Addr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// One end of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP address. `host` is a name or an IP address without brackets, `None` for every interface; port 0 asks the
    /// system for a free one.
    Tcp {
        /// Host name or IP address.
        host: Option<String>,
        /// Port, 0 for any free one.
        port: u16,
    },
    /// The path of a Unix socket, at most [`UNIX_PATH_LIMIT`] bytes.
    Unix(PathBuf),
}

/// A URL of the form `[scheme://][user[:password]@]host[:port][/path][?query][#fragment]`.
///
/// User and fragment are skipped, nothing is percent-decoded. Without a host and a port the path is that of a Unix
/// socket: `raw://:0/run/app.sock`, `unix:///run/app.sock`, `/run/app.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The scheme, if there is one.
    pub scheme: Option<Scheme>,
    /// Where the URL leads. A missing port is that of the scheme.
    pub address: Address,
    /// Path and query, which is what an HTTP request line asks for: at least `/`.
    pub path: String,
}

/// The scheme of a [`Url`], or the name of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
    /// `ws`
    Ws,
    /// `wss`
    Wss,
    /// `tcp`
    Tcp,
    /// `tls`: TCP with TLS.
    Tls,
    /// `unix`
    Unix,
    /// `raw`
    Raw,
}

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// HTTP, with WebSocket and Server-Sent Events.
    Http,
    /// Bytes, as the application likes.
    Raw,
}

/// The most bytes the path of a Unix socket may have: `sun_path`, less its closing NUL.
pub const UNIX_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

impl Address {
    /// Makes an address of the `:address` and `:port` settings.
    ///
    /// An address with a slash in it can be no host, so it is a Unix socket whatever the port says. Otherwise the port
    /// must be within 0 to 65535, and may be missing only together with the address being a path.
    pub fn new(address: Option<&OsStr>, port: Option<i64>) -> Result<Self, AddressError> {
        let address = address.filter(|address| !address.is_empty());
        if let Some(path) = address.filter(|address| Self::is_path(address)) {
            return Self::unix(Path::new(path));
        }
        let host = address.map(host).transpose()?;
        match port {
            Some(port) => {
                let port = u16::try_from(port).map_err(|_| AddressError::Port(port.to_string()))?;
                Ok(Self::Tcp { host, port })
            }
            None => Err(AddressError::MissingPort(host)),
        }
    }

    /// Whether an `:address` setting is the path of a Unix socket rather than a host.
    pub fn is_path(address: &OsStr) -> bool {
        address.as_bytes().contains(&b'/')
    }

    fn unix(path: &Path) -> Result<Self, AddressError> {
        let bytes = path.as_os_str().as_bytes();
        if !(1..=UNIX_PATH_LIMIT).contains(&bytes.len()) || bytes.contains(&0) {
            return Err(AddressError::Path(path.to_owned()));
        }
        Ok(Self::Unix(path.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host: None, port } => write!(out, "*:{port}"),
            Self::Tcp { host: Some(host), port } if host.contains(':') => write!(out, "[{host}]:{port}"),
            Self::Tcp { host: Some(host), port } => write!(out, "{host}:{port}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Url {
    /// Parses a URL. The scheme is matched without regard to case (RFC 3986, 3.1).
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = match url.split_once("://") {
            Some((name, rest)) => (Some(Scheme::named(name)?), rest),
            None => (None, url),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let relative = scheme == Some(Scheme::Unix) || scheme.is_none() && authority.starts_with('.');
        let address = match authority {
            "" | ":0" if path.len() > 1 => Address::unix(Path::new(path))?,
            _ if relative => Address::unix(Path::new(rest))?,
            _ => tcp(authority, scheme)?,
        };
        let path = match &address {
            Address::Tcp { .. } => target(path),
            Address::Unix(_) => "/".to_owned(),
        };
        Ok(Self { scheme, address, path })
    }
}

impl Scheme {
    /// Finds a scheme by its name, in any case.
    pub fn named(name: &str) -> Result<Self, AddressError> {
        SCHEMES
            .iter()
            .find_map(|(known, scheme)| name.eq_ignore_ascii_case(known).then_some(*scheme))
            .ok_or_else(|| AddressError::Scheme(name.to_owned()))
    }

    /// What is spoken over it. A WebSocket begins as HTTP.
    pub fn service(self) -> Service {
        match self {
            Self::Http | Self::Https | Self::Ws | Self::Wss => Service::Http,
            Self::Tcp | Self::Tls | Self::Unix | Self::Raw => Service::Raw,
        }
    }

    /// Whether it is spoken over TLS.
    pub fn tls(self) -> bool {
        matches!(self, Self::Https | Self::Wss | Self::Tls)
    }

    /// The port meant when none is written (RFC 9110, 4.2; RFC 6455, 3).
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http | Self::Ws => Some(80),
            Self::Https | Self::Wss => Some(443),
            Self::Tcp | Self::Tls | Self::Unix | Self::Raw => None,
        }
    }
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressError {
    /// No port is given for the host, or for every interface, and the scheme has none.
    MissingPort(Option<String>),
    /// The port is no number from 0 to 65535.
    Port(String),
    /// The host is neither a name nor an IP address.
    Host(String),
    /// The path of a Unix socket is empty, too long or has a NUL in it.
    Path(PathBuf),
    /// The scheme of a URL is not known.
    Scheme(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPort(None) => write!(out, "neither a port nor a Unix socket path to use"),
            Self::MissingPort(Some(host)) => write!(out, "no port for the host \"{host}\""),
            Self::Port(port) => write!(out, "\"{port}\" is not a port: use a number from 0 to 65535"),
            Self::Host(host) => {
                write!(out, "\"{}\" is neither a host name nor an IP address", host.escape_debug())?;
                match host.contains(':') {
                    true => write!(out, " (in a URL, an IPv6 address needs brackets)"),
                    false => Ok(()),
                }
            }
            Self::Path(path) => {
                write!(out, "{path:?} cannot be a Unix socket: use a path of 1 to {UNIX_PATH_LIMIT} bytes, without NUL")
            }
            Self::Scheme(scheme) => {
                let known: Vec<_> = SCHEMES.iter().map(|(name, _)| *name).collect();
                write!(out, "unknown URL scheme \"{}\": use one of {}", scheme.escape_debug(), known.join(", "))
            }
        }
    }
}

impl std::error::Error for AddressError {}

/// Parses `[user[:password]@]host[:port]`.
fn tcp(authority: &str, scheme: Option<Scheme>) -> Result<Address, AddressError> {
    let place = authority.rsplit_once('@').map_or(authority, |(_user, place)| place);
    let (name, port) = split_port(place)?;
    let host = Some(name).filter(|name| !name.is_empty()).map(|name| host(OsStr::new(name))).transpose()?;
    let port = match port {
        // RFC 3986, 3.2.3: an empty port is a missing one.
        None | Some("") => scheme.and_then(Scheme::default_port),
        Some(digits) => Some(number(digits).ok_or_else(|| AddressError::Port(digits.to_owned()))?),
    };
    match port {
        Some(port) if !place.is_empty() => Ok(Address::Tcp { host, port }),
        _ => Err(AddressError::MissingPort(host)),
    }
}

fn split_port(place: &str) -> Result<(&str, Option<&str>), AddressError> {
    let end = match place.strip_prefix('[') {
        Some(inner) => inner.find(']').ok_or_else(|| AddressError::Host(place.to_owned()))? + 2,
        None => place.find(':').unwrap_or(place.len()),
    };
    match place.split_at(end) {
        (host, "") => Ok((host, None)),
        (host, rest) => match rest.strip_prefix(':') {
            Some(port) if !port.contains(':') => Ok((host, Some(port))),
            _ => Err(AddressError::Host(place.to_owned())),
        },
    }
}

/// A port in digits alone: `parse` would take a sign.
fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Checks a host and takes an IPv6 address out of its brackets.
fn host(text: &OsStr) -> Result<String, AddressError> {
    let refused = || AddressError::Host(text.to_string_lossy().into_owned());
    let name = text.to_str().ok_or_else(refused)?;
    let bracketed = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let valid = match bracketed {
        Some(inner) => is_ipv6(inner),
        None => is_ipv6(name) || is_name(name),
    };
    if valid { Ok(bracketed.unwrap_or(name).to_owned()) } else { Err(refused()) }
}

/// An IPv6 address, which may end in a zone: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "none"));
    address.parse::<Ipv6Addr>().is_ok() && is_name(zone)
}

/// Whether the resolver may be asked for it: an IPv4 address or a name. The resolver knows its own rules best, so this
/// refuses only what is certainly something else.
fn is_name(text: &str) -> bool {
    (1..=NAME_LIMIT).contains(&text.len())
        && !text.chars().any(|char| char.is_whitespace() || char.is_control() || DELIMITERS.contains(char))
}

/// Path and query, without the fragment and with the leading slash that may be left out before a query.
fn target(path: &str) -> String {
    let path = path.split_once('#').map_or(path, |(path, _fragment)| path);
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

const SCHEMES: [(&str, Scheme); 8] = [
    ("http", Scheme::Http),
    ("https", Scheme::Https),
    ("ws", Scheme::Ws),
    ("wss", Scheme::Wss),
    ("tcp", Scheme::Tcp),
    ("tls", Scheme::Tls),
    ("unix", Scheme::Unix),
    ("raw", Scheme::Raw),
];

/// The delimiters of RFC 3986, 2.2 that have a meaning around a host.
const DELIMITERS: &str = ":/?#[]@\\%";

/// RFC 1035, 2.3.4, less the byte that ends the encoded name.
const NAME_LIMIT: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp_at(host: &str, port: u16) -> Address {
        Address::Tcp { host: Some(host.to_owned()).filter(|host| !host.is_empty()), port }
    }

    fn unix_at(path: &str) -> Address {
        Address::Unix(path.into())
    }

    fn refused_host(host: &str) -> AddressError {
        AddressError::Host(host.to_owned())
    }

    fn made(address: Option<&str>, port: Option<i64>) -> Result<Address, AddressError> {
        Address::new(address.map(OsStr::new), port)
    }

    #[test]
    fn settings_make_addresses() {
        let table = [
            ((None, Some(3000)), tcp_at("", 3000)),
            ((Some(""), Some(3000)), tcp_at("", 3000)),
            ((None, Some(0)), tcp_at("", 0)),
            ((Some("localhost"), Some(0)), tcp_at("localhost", 0)),
            ((Some("127.0.0.1"), Some(65_535)), tcp_at("127.0.0.1", 65_535)),
            ((Some("::1"), Some(80)), tcp_at("::1", 80)),
            ((Some("[::1]"), Some(80)), tcp_at("::1", 80)),
            ((Some("fe80::1%eth0"), Some(80)), tcp_at("fe80::1%eth0", 80)),
            ((Some("/run/x.sock"), None), unix_at("/run/x.sock")),
            ((Some("/run/x.sock"), Some(0)), unix_at("/run/x.sock")),
            ((Some("./x.sock"), Some(-1)), unix_at("./x.sock")),
            ((Some("run/x.sock"), Some(3000)), unix_at("run/x.sock")),
        ];
        for ((address, port), expected) in table {
            assert_eq!(made(address, port), Ok(expected), "{address:?} {port:?}");
        }
    }

    #[test]
    fn settings_that_name_no_address_are_refused() {
        let long = "h".repeat(254);
        let table = [
            ((None, None), AddressError::MissingPort(None)),
            ((Some("localhost"), None), AddressError::MissingPort(Some("localhost".into()))),
            ((Some("localhost"), Some(-1)), AddressError::Port("-1".into())),
            ((None, Some(65_536)), AddressError::Port("65536".into())),
            ((None, Some(i64::MIN)), AddressError::Port(i64::MIN.to_string())),
            ((Some("local host"), Some(1)), refused_host("local host")),
            ((Some("localhost:80"), Some(1)), refused_host("localhost:80")),
            ((Some("[localhost]"), Some(1)), refused_host("[localhost]")),
            ((Some("[]"), Some(1)), refused_host("[]")),
            ((Some("local\0host"), Some(1)), refused_host("local\0host")),
            ((Some(&long), Some(1)), refused_host(&long)),
            ((Some("/run/\0"), None), AddressError::Path("/run/\0".into())),
        ];
        for ((address, port), expected) in table {
            assert_eq!(made(address, port), Err(expected), "{address:?} {port:?}");
        }
        assert!(matches!(Address::new(Some(OsStr::from_bytes(b"\xff")), Some(1)), Err(AddressError::Host(_))));
    }

    #[test]
    fn a_unix_path_has_a_limit() {
        let path = format!("/{}", "x".repeat(UNIX_PATH_LIMIT - 1));
        assert_eq!(made(Some(&path), None), Ok(unix_at(&path)));
        let long = format!("{path}x");
        assert_eq!(made(Some(&long), None), Err(AddressError::Path(long.into())));
    }

    #[test]
    fn urls_make_addresses() {
        use Scheme::*;
        let table = [
            ("http://localhost", Some(Http), tcp_at("localhost", 80), "/"),
            ("https://localhost", Some(Https), tcp_at("localhost", 443), "/"),
            ("ws://localhost/chat", Some(Ws), tcp_at("localhost", 80), "/chat"),
            ("wss://localhost:/chat", Some(Wss), tcp_at("localhost", 443), "/chat"),
            ("HTTP://localhost:3000", Some(Http), tcp_at("localhost", 3000), "/"),
            ("http://[::1]:80/", Some(Http), tcp_at("::1", 80), "/"),
            ("http://[::1]", Some(Http), tcp_at("::1", 80), "/"),
            ("http://:3000/", Some(Http), tcp_at("", 3000), "/"),
            ("http://:0/", Some(Http), tcp_at("", 0), "/"),
            ("tcp://localhost:0", Some(Tcp), tcp_at("localhost", 0), "/"),
            ("tls://10.0.0.1:99", Some(Tls), tcp_at("10.0.0.1", 99), "/"),
            ("raw://localhost:99/x", Some(Raw), tcp_at("localhost", 99), "/x"),
            ("localhost:99", None, tcp_at("localhost", 99), "/"),
            (":99", None, tcp_at("", 99), "/"),
            ("ws://u:p@localhost:1/a?b=c@d#e", Some(Ws), tcp_at("localhost", 1), "/a?b=c@d"),
            ("ws://localhost:1?b=c", Some(Ws), tcp_at("localhost", 1), "/?b=c"),
            ("ws://localhost:1#e/f?g", Some(Ws), tcp_at("localhost", 1), "/"),
            ("raw://:0/tmp/x.sock", Some(Raw), unix_at("/tmp/x.sock"), "/"),
            ("http:///tmp/x.sock", Some(Http), unix_at("/tmp/x.sock"), "/"),
            ("/tmp/x.sock", None, unix_at("/tmp/x.sock"), "/"),
            ("./x.sock", None, unix_at("./x.sock"), "/"),
            ("../x.sock", None, unix_at("../x.sock"), "/"),
            ("unix:///tmp/x.sock", Some(Unix), unix_at("/tmp/x.sock"), "/"),
            ("unix://:0/tmp/x.sock", Some(Unix), unix_at("/tmp/x.sock"), "/"),
            ("unix://x.sock", Some(Unix), unix_at("x.sock"), "/"),
            ("unix://run/x.sock", Some(Unix), unix_at("run/x.sock"), "/"),
        ];
        for (url, scheme, address, path) in table {
            assert_eq!(Url::parse(url), Ok(Url { scheme, address, path: path.to_owned() }), "{url}");
        }
    }

    #[test]
    fn urls_that_lead_nowhere_are_refused() {
        let port = |port: &str| AddressError::Port(port.to_owned());
        let table = [
            ("", AddressError::MissingPort(None)),
            ("/", AddressError::MissingPort(None)),
            ("http://", AddressError::MissingPort(None)),
            ("http:///", AddressError::MissingPort(None)),
            ("tcp://localhost", AddressError::MissingPort(Some("localhost".into()))),
            ("localhost", AddressError::MissingPort(Some("localhost".into()))),
            ("unix://", AddressError::Path("".into())),
            ("gopher://localhost", AddressError::Scheme("gopher".into())),
            ("://localhost:1", AddressError::Scheme("".into())),
            ("http://localhost:http/", port("http")),
            ("http://localhost:65536/", port("65536")),
            ("http://localhost:-1/", port("-1")),
            ("http://localhost:+1/", port("+1")),
            ("http://::1:80/", refused_host("::1:80")),
            ("http://[::1/", refused_host("[::1")),
            ("http://[::1]80/", refused_host("[::1]80")),
            ("http://[localhost]:80/", refused_host("[localhost]")),
            ("http://local host/", refused_host("local host")),
        ];
        for (url, expected) in table {
            assert_eq!(Url::parse(url), Err(expected), "{url}");
        }
        assert!(matches!(Url::parse(&format!("unix:///{}", "x".repeat(120))), Err(AddressError::Path(_))));
    }

    #[test]
    fn schemes_say_what_is_spoken() {
        for (name, service, tls) in [
            ("http", Service::Http, false),
            ("https", Service::Http, true),
            ("ws", Service::Http, false),
            ("wss", Service::Http, true),
            ("tcp", Service::Raw, false),
            ("tls", Service::Raw, true),
            ("unix", Service::Raw, false),
            ("raw", Service::Raw, false),
        ] {
            let found = Scheme::named(name).map(|scheme| (scheme.service(), scheme.tls()));
            assert_eq!(found, Ok((service, tls)), "{name}");
        }
    }

    #[test]
    fn addresses_read_as_they_are_written() {
        for (address, expected) in [
            (tcp_at("127.0.0.1", 3000), "127.0.0.1:3000"),
            (tcp_at("::1", 3000), "[::1]:3000"),
            (tcp_at("", 3000), "*:3000"),
            (unix_at("/tmp/x.sock"), "unix:/tmp/x.sock"),
        ] {
            assert_eq!(address.to_string(), expected);
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        for (url, expected) in [
            (
                "http://::1:80/",
                "\"::1:80\" is neither a host name nor an IP address (in a URL, an IPv6 address needs brackets)",
            ),
            ("tcp://localhost", "no port for the host \"localhost\""),
            ("http://h:x", "\"x\" is not a port: use a number from 0 to 65535"),
            ("ftp://h", "unknown URL scheme \"ftp\": use one of http, https, ws, wss, tcp, tls, unix, raw"),
        ] {
            assert_eq!(Url::parse(url).map_err(|error| error.to_string()), Err(expected.to_owned()));
        }
    }
}
