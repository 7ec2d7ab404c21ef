//! Where a Redis server is, and how to log in: what a URL says.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use iodine_proto::http1::url::{decode_form, decode_path};

use crate::net::address::Address;
use crate::net::tls::TlsClient;

/// A server, as its URL names it:
///
/// ```text
/// redis://[[user]:password@][host][:port][/database]
/// rediss://[[user]:password@][host][:port][/database]
/// redis+unix://[[user]:password@]/path[?db=…&user=…&pass=…]      unix://…, /path
/// ```
///
/// `rediss` is `redis` over TLS. User, password and path are percent-decoded. Without a scheme it is `redis`. The host is `localhost` when there is
/// none, the port 6379, the database 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(super) address: Address,
    pub(super) login: Option<Login>,
    pub(super) database: u32,
    pub(super) encryption: Encryption,
}

/// What the connection is encrypted by.
#[derive(Clone)]
pub(super) enum Encryption {
    /// Nothing.
    None,
    /// TLS, which the owner of the URL has to provide.
    Wanted,
    /// TLS.
    Tls(Arc<TlsClient>),
}

/// A password, and whose it is: without a user it is that of the server.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<Vec<u8>>,
    pub(super) password: Vec<u8>,
}

/// Longest URL, bytes.
pub const URL_LIMIT: usize = 4096;

const PORT: u16 = 6379;

impl Server {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it names no server. The error holds no part of the URL, which may be a part of the password.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        if url.len() > URL_LIMIT {
            return Err(UrlError::TooLong);
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return if url.starts_with('/') { Self::unix(url) } else { Self::tcp(url) };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => Self::tcp(rest),
            "rediss" | "valkeys" => Self::tcp(rest).map(|server| Self { encryption: Encryption::Wanted, ..server }),
            "unix" | "redis+unix" | "valkey+unix" => Self::unix(rest),
            _ => Err(UrlError::Scheme),
        }
    }

    /// Whether its URL asks for TLS.
    pub fn is_secure(&self) -> bool {
        !matches!(self.encryption, Encryption::None)
    }

    /// The same, with what to encrypt by.
    #[must_use]
    pub fn secured(self, tls: Arc<TlsClient>) -> Self {
        Self { encryption: Encryption::Tls(tls), ..self }
    }

    fn tcp(rest: &str) -> Result<Self, UrlError> {
        let (authority, path, query) = split(rest)?;
        let (login, place) = split_login(authority)?;
        let (host, port) = split_port(place)?;
        let host = match host {
            "" => "localhost",
            // Where the port begins is not to be seen.
            bare if bare.contains(':') && !bare.starts_with('[') => return Err(UrlError::Host),
            host => host,
        };
        let address = Address::new(Some(OsStr::new(host)), Some(i64::from(port))).map_err(|_| UrlError::Host)?;
        let database = match path.trim_matches('/') {
            "" => 0,
            number => database(number)?,
        };
        Self { address, login, database, encryption: Encryption::None }.with_options(query)
    }

    fn unix(rest: &str) -> Result<Self, UrlError> {
        let (authority, path, query) = split(rest)?;
        let (login, place) = split_login(authority)?;
        let path = format!("{place}{path}");
        let path = decode_path(path.as_bytes()).map_err(|_| UrlError::Encoding)?;
        // A name in the current folder is a path too, and `Address` knows a path by its slash.
        let path = if path.contains(&b'/') { path.into_owned() } else { [b"./", &*path].concat() };
        let address = Address::new(Some(OsStr::from_bytes(&path)), None).map_err(|_| UrlError::Path)?;
        Self { address, login, database: 0, encryption: Encryption::None }.with_options(query)
    }

    /// `db=…&user=…&pass=…`
    fn with_options(mut self, query: &str) -> Result<Self, UrlError> {
        let mut user = None;
        for (name, value) in query.split('&').filter(|pair| !pair.is_empty()).map(pair) {
            let value = decode_form(value.as_bytes()).map_err(|_| UrlError::Encoding)?.into_owned();
            match name {
                "db" => self.database = std::str::from_utf8(&value).map_or(Err(UrlError::Database), database)?,
                "user" => user = Some(value),
                "pass" => self.login = Some(Login { user: None, password: value }),
                _ => return Err(UrlError::Option),
            }
        }
        if let (Some(login), Some(_)) = (&mut self.login, &user) {
            login.user = user;
        }
        Ok(self)
    }

    /// `text` without the password, should it be in there.
    pub(super) fn conceal(&self, text: &str) -> String {
        let password = self.login.as_ref().and_then(|login| std::str::from_utf8(&login.password).ok());
        match password {
            Some(password) if !password.is_empty() => text.replace(password, MASK),
            _ => text.to_owned(),
        }
    }
}

/// As a URL, with a mask for the password: fit for logs.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match &self.login {
            None => String::new(),
            Some(Login { user, .. }) => {
                format!("{}:{MASK}@", String::from_utf8_lossy(user.as_deref().unwrap_or_default()))
            }
        };
        match &self.address {
            Address::Unix(path) => {
                write!(f, "redis+unix://{login}{}", path.display())?;
                if self.database == 0 { Ok(()) } else { write!(f, "?db={}", self.database) }
            }
            tcp => {
                let scheme = if self.is_secure() { "rediss" } else { "redis" };
                write!(f, "{scheme}://{login}{tcp}/{}", self.database)
            }
        }
    }
}

impl PartialEq for Encryption {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) | (Self::Wanted, Self::Wanted) => true,
            (Self::Tls(one), Self::Tls(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Encryption {}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

const MASK: &str = "***";

/// Why a URL names no Redis server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It has more than [`URL_LIMIT`] bytes.
    TooLong,
    /// The scheme is none of Redis.
    Scheme,
    /// The host is neither a name nor an IP address.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// The path of a Unix socket is empty or too long.
    Path,
    /// The database is no number.
    Database,
    /// Two hexadecimal digits do not follow a `%`.
    Encoding,
    /// An option is not known.
    Option,
    /// There is a `#`.
    Fragment,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "Redis URL too long.",
            Self::Scheme => "the scheme of a Redis URL is redis, rediss, redis+unix or unix",
            Self::Host => {
                "the Redis URL has no valid host: write an IPv6 address in brackets, and /, ?, # or @ in a password \
                 percent-encoded"
            }
            Self::Port => {
                "the port of the Redis URL is no number from 1 to 65535: write /, ?, # or @ in a password \
                 percent-encoded"
            }
            Self::Path => "the Redis URL names no path that a Unix socket may have",
            Self::Database => "the database of the Redis URL is no number: redis://host/0",
            Self::Encoding => "the Redis URL has a % without two hexadecimal digits: write %25 for a percent sign",
            Self::Option => "the options of a Redis URL are db, user and pass",
            Self::Fragment => "the Redis URL has a #: write %23 for it in a password",
        })
    }
}

impl std::error::Error for UrlError {}

/// Authority, path, and query.
fn split(rest: &str) -> Result<(&str, &str, &str), UrlError> {
    if rest.contains('#') {
        return Err(UrlError::Fragment);
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    Ok((authority, path, query))
}

fn split_login(authority: &str) -> Result<(Option<Login>, &str), UrlError> {
    let Some((login, place)) = authority.rsplit_once('@') else { return Ok((None, authority)) };
    // A user alone has nothing to log in with.
    let Some((user, password)) = login.split_once(':') else { return Ok((None, place)) };
    let decode = |text: &str| decode_path(text.as_bytes()).map(|bytes| bytes.into_owned());
    let (user, password) = (decode(user), decode(password));
    let (user, password) = (user.map_err(|_| UrlError::Encoding)?, password.map_err(|_| UrlError::Encoding)?);
    let login = Login { user: Some(user).filter(|user| !user.is_empty()), password };
    Ok((Some(login).filter(|login| !login.password.is_empty()), place))
}

fn split_port(place: &str) -> Result<(&str, u16), UrlError> {
    // The last colon of an IPv6 address is inside its brackets.
    let (host, port) = match place.rfind(':').filter(|&at| !place[at..].contains(']')) {
        None => (place, ""),
        Some(at) => (&place[..at], &place[at + 1..]),
    };
    if port.is_empty() {
        return Ok((host, PORT));
    }
    let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port.and_then(|port| port.parse().ok()) {
        Some(port) if port > 0 => Ok((host, port)),
        _ => Err(UrlError::Port),
    }
}

fn database(number: &str) -> Result<u32, UrlError> {
    let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    number.and_then(|number| number.parse().ok()).ok_or(UrlError::Database)
}

fn pair(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: Option<&str>, password: &str) -> Option<Login> {
        Some(Login { user: user.map(|user| user.into()), password: password.into() })
    }

    #[test]
    fn a_scheme_asks_for_tls() {
        for (url, secure) in [("rediss://h", true), ("valkeys://h", true), ("redis://h", false), ("h", false)] {
            assert_eq!(Server::parse(url).unwrap().is_secure(), secure, "{url}");
        }
        assert_eq!(Server::parse("rediss://:p@h/1").unwrap().to_string(), "rediss://:***@h:6379/1");
    }

    #[test]
    fn urls_name_servers() {
        let long = format!("redis://{}@h", "x".repeat(URL_LIMIT - 10));
        let table = [
            ("redis://", "localhost:6379", None, 0),
            ("redis://:6380", "localhost:6380", None, 0),
            ("redis://localhost", "localhost:6379", None, 0),
            ("REDIS://example.com:6380/", "example.com:6380", None, 0),
            ("valkey://h/7", "h:6379", None, 7),
            ("redis://h:1/15/", "h:1", None, 15),
            ("redis://h?db=3", "h:6379", None, 3),
            ("redis://[::1]", "[::1]:6379", None, 0),
            ("redis://[::1]:6380/1", "[::1]:6380", None, 1),
            ("redis://user:secret@h:1/2", "h:1", login(Some("user"), "secret"), 2),
            ("redis://:secret@h", "h:6379", login(None, "secret"), 0),
            ("redis://:secret@", "localhost:6379", login(None, "secret"), 0),
            ("redis://:secret@:6380", "localhost:6380", login(None, "secret"), 0),
            ("redis://user@h", "h:6379", None, 0),
            ("redis://user:@h", "h:6379", None, 0),
            ("redis://a%40b:p%2Fq%3a%25+@h", "h:6379", login(Some("a@b"), "p/q:%+"), 0),
            ("redis://a:b@c:d@h", "h:6379", login(Some("a"), "b@c:d"), 0),
            ("redis://h?user=a&pass=b%26c", "h:6379", login(Some("a"), "b&c"), 0),
            ("redis://h?pass=b", "h:6379", login(None, "b"), 0),
            ("redis://h?user=a", "h:6379", None, 0),
            ("localhost", "localhost:6379", None, 0),
            ("localhost:6380/4", "localhost:6380", None, 4),
            ("", "localhost:6379", None, 0),
            ("/run/redis.sock", "unix:/run/redis.sock", None, 0),
            ("unix:///run/redis.sock", "unix:/run/redis.sock", None, 0),
            ("unix://redis.sock", "unix:./redis.sock", None, 0),
            ("unix://run/redis.sock", "unix:run/redis.sock", None, 0),
            ("redis+unix:///run/a%20b?db=2&user=u&pass=p", "unix:/run/a b", login(Some("u"), "p"), 2),
            ("redis+unix://:p@/run/redis.sock", "unix:/run/redis.sock", login(None, "p"), 0),
            (&long, "h:6379", None, 0),
        ];
        for (url, address, login, database) in table {
            let server = Server::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(server.address.to_string(), address, "{url}");
            assert!(server.login == login, "{url}");
            assert_eq!(server.database, database, "{url}");
        }
    }

    #[test]
    fn urls_that_name_no_server_are_refused() {
        let long = format!("redis://{}@h", "x".repeat(URL_LIMIT - 9));
        let table = [
            ("http://h", UrlError::Scheme),
            ("://h", UrlError::Scheme),
            ("redis://h:http", UrlError::Port),
            ("redis://h:0", UrlError::Port),
            ("redis://h:65536", UrlError::Port),
            ("redis://h:+1", UrlError::Port),
            ("redis://:secret/secret@h", UrlError::Port),
            ("redis://a b", UrlError::Host),
            ("redis://::1:1", UrlError::Host),
            ("redis://[::1", UrlError::Host),
            ("redis://h/x", UrlError::Database),
            ("redis://h/-1", UrlError::Database),
            ("redis://h/4294967296", UrlError::Database),
            ("redis://h?db=%ff", UrlError::Database),
            ("redis://h?database=1", UrlError::Option),
            ("redis://:100%@h", UrlError::Encoding),
            ("redis://:se#cret@h", UrlError::Fragment),
            ("unix:///%00", UrlError::Path),
            (&long, UrlError::TooLong),
        ];
        for (url, error) in table {
            assert_eq!(Server::parse(url), Err(error), "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn logs_never_show_the_password() {
        let table = [
            ("redis://user:secret@h:1/2", "redis://user:***@h:1/2"),
            ("redis://:secret@h", "redis://:***@h:6379/0"),
            ("redis://h", "redis://h:6379/0"),
            ("redis+unix://:secret@/x", "redis+unix://:***@/x"),
            ("unix:///x?pass=secret&db=3", "redis+unix://:***@/x?db=3"),
        ];
        for (url, shown) in table {
            let server = Server::parse(url).unwrap();
            assert_eq!(server.to_string(), shown);
            assert_eq!(format!("{server:?}"), format!("Server({shown})"));
        }
        let server = Server::parse("redis://:secret@h").unwrap();
        assert_eq!(server.conceal("unknown command 'AUTH' 'secret'"), "unknown command 'AUTH' '***'");
    }
}
