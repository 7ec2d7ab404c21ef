//! `Iodine::Base::Dial`: a connection that the application asks for, on its way to a reactor.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use iodine_core::client::{Client, Protocol};
use iodine_core::handle::Handle;
use iodine_core::net::address::{Address, Scheme, Url};
use iodine_core::net::remote::Remote;
use iodine_core::net::tls::server_name;
use iodine_core::random;
use iodine_core::reactor::{Connect, Encryption, Handshake};
use iodine_core::settings::{HttpSettings, WriteLimits};
use iodine_proto::websocket::ClientHandshake;
use magnus::prelude::*;
use magnus::{Error, RArray, RHash, RModule, RString, Ruby, Value, function};

use crate::class;
use crate::connection::{self, Handler};
use crate::gvl;
use crate::socket::{compression, number, time, write_limits};
use crate::tls::Tls;

/// Where to, and how. The name is resolved, and the request of a WebSocket written.
#[magnus::wrap(class = "Iodine::Base::Dial", free_immediately)]
pub(crate) struct Dial(Mutex<Option<Plan>>);

struct Plan {
    remotes: Vec<Remote>,
    timeout: Duration,
    /// The silence after which there is a ping.
    ping: Duration,
    writes: WriteLimits,
    tls: Option<Encryption>,
    handshake: Option<Handshake>,
}

/// How long it may take until there is a connection, and until a server has answered a handshake.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Dial {
    /// For a raw connection to a URL, or an address and a port. `tls` is what encrypts.
    fn raw(ruby: &Ruby, place: Place, given: RHash, tls: Option<&Tls>) -> Result<Self, Error> {
        let (address, _) = find(ruby, place)?;
        Self::make(ruby, &address, given, tls, None)
    }

    /// For a WebSocket. `:fields` of `given` are pairs of names and values.
    fn web_socket(ruby: &Ruby, place: Place, given: RHash, tls: Option<&Tls>) -> Result<Self, Error> {
        let (address, url) = find(ruby, place)?;
        check_host(ruby, url.as_ref())?;
        let path = text(ruby, given, "path")?;
        let target = url.as_ref().map(|url| url.path.clone()).or(path).unwrap_or_else(|| "/".to_owned());
        let host = match text(ruby, given, "host")? {
            Some(host) => host,
            None => host_of(&address, if tls.is_some() { Scheme::Wss } else { Scheme::Ws }),
        };
        let handshake = handshake(ruby, &target, &host, given)?;
        Self::make(ruby, &address, given, tls, Some(handshake))
    }

    fn make(
        ruby: &Ruby,
        address: &Address,
        given: RHash,
        tls: Option<&Tls>,
        handshake: Option<Handshake>,
    ) -> Result<Self, Error> {
        let plan = Plan {
            remotes: resolve(ruby, address)?,
            timeout: time(ruby, given, "connect_timeout")?.unwrap_or(TIMEOUT),
            ping: number(ruby, given, "ping")?.map_or(Duration::ZERO, Duration::from_secs),
            writes: write_limits(ruby, given)?,
            tls: match tls {
                Some(tls) => {
                    // A WebSocket begins as HTTP, whatever else there is.
                    let protocols =
                        if handshake.is_some() { vec![b"http/1.1".to_vec()] } else { tls.settings().protocols };
                    Some(Encryption { client: tls.client(ruby)?, name: name_of(ruby, address)?, protocols })
                }
                None => None,
            },
            handshake,
        };
        Ok(Self(Mutex::new(Some(plan))))
    }

    /// Has a reactor open the connection for a handler. Once. `others` are blocks by the names of `Iodine::TLS#on_protocol`:
    /// the one whose name the server takes makes the handler instead.
    ///
    /// # Errors
    /// What `respond_to?` of the handler raises.
    pub(crate) fn start(&self, ruby: &Ruby, handle: &Handle, handler: Value, others: RHash) -> Result<(), Error> {
        let handler = Handler::new(handler)?;
        let Some(plan) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let Plan { remotes, timeout, ping, writes, tls, handshake } = plan;
        let protocol = if handshake.is_some() { Protocol::WebSocket } else { Protocol::Raw };
        let client = Client::of_server(handle.clone(), protocol, ping);
        connection::expect(ruby, &client, handler, others);
        handle.connect(Connect { remotes, timeout, client, writes, tls, handshake });
        Ok(())
    }

    /// Tells a handler that there will be no WebSocket, and why.
    fn refuse(ruby: &Ruby, handler: Value, reason: String) -> Result<(), Error> {
        connection::refuse(ruby, Handler::new(handler)?, None, reason)
    }
}

/// A URL, or an address and a port.
type Place = (Option<String>, Option<PathBuf>, Option<i64>);

fn find(ruby: &Ruby, (url, address, port): Place) -> Result<(Address, Option<Url>), Error> {
    let place = match url {
        Some(url) => Url::parse(&url).map(|url| (url.address.clone(), Some(url))),
        None => Address::new(address.map(OsString::from).as_deref(), port).map(|address| (address, None)),
    };
    place.map_err(|error| not_opened(ruby, &error.to_string()))
}

/// A URL of a WebSocket names a host (RFC 6455 section 3). One without is a mistake, and no Unix socket.
fn check_host(ruby: &Ruby, url: Option<&Url>) -> Result<(), Error> {
    if url.is_some_and(|url| matches!(url.address, Address::Unix(_))) {
        let message = "the URL of a WebSocket has no host: for a Unix socket use service: :ws and address:";
        return Err(Error::new(ruby.exception_arg_error(), message));
    }
    Ok(())
}

/// The Host field (RFC 9110 section 7.2): with the port, unless that is the scheme's. A Unix socket has no name.
fn host_of(address: &Address, scheme: Scheme) -> String {
    match address {
        Address::Unix(_) => "localhost".to_owned(),
        Address::Tcp { host, port } => {
            let host = host.as_deref().unwrap_or("localhost");
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            if Some(*port) == scheme.default_port() { host } else { format!("{host}:{port}") }
        }
    }
}

/// The name that the certificate of a server has to be for.
fn name_of(ruby: &Ruby, address: &Address) -> Result<String, Error> {
    let name = match address {
        Address::Tcp { host: Some(host), .. } => host.clone(),
        Address::Tcp { host: None, .. } | Address::Unix(_) => "localhost".to_owned(),
    };
    match server_name(&name) {
        Ok(_) => Ok(name),
        Err(error) => Err(not_opened(ruby, &error.to_string())),
    }
}

fn handshake(ruby: &Ruby, target: &str, host: &str, given: RHash) -> Result<Handshake, Error> {
    let mut codec = ClientHandshake::new(random::bytes(), compression(ruby, given)?);
    let mut request = Vec::new();
    let fields = fields(ruby, given)?;
    let pairs = fields.iter().map(|(name, value)| (&name[..], &value[..]));
    codec.request(target, host, pairs, &mut request).map_err(|error| {
        Error::new(ruby.exception_arg_error(), format!("the handshake with {host}{target} cannot be sent: {error}"))
    })?;
    let max_message = number(ruby, given, "max_msg")?.map_or(HttpSettings::default().max_message, |kibibytes| {
        usize::try_from(kibibytes.saturating_mul(1 << 10)).unwrap_or(usize::MAX)
    });
    let timeout = time(ruby, given, "handshake_timeout")?.unwrap_or(TIMEOUT);
    Ok(Handshake { codec, request, timeout, max_message })
}

fn fields(ruby: &Ruby, given: RHash) -> Result<Vec<Field>, Error> {
    let Some(fields) = given.get(ruby.to_symbol("fields")) else { return Ok(Vec::new()) };
    let fields = RArray::try_convert(fields)?;
    let pair = |index| {
        let (name, value): (RString, RString) = fields.entry(index as isize)?;
        // SAFETY: the contents are copied before any Ruby code runs.
        Ok(unsafe { (name.as_slice().to_vec(), value.as_slice().to_vec()) })
    };
    (0..fields.len()).map(pair).collect()
}

/// A name and a value.
type Field = (Vec<u8>, Vec<u8>);

fn text(ruby: &Ruby, given: RHash, name: &str) -> Result<Option<String>, Error> {
    given.get(ruby.to_symbol(name)).filter(|value| !value.is_nil()).map(String::try_convert).transpose()
}

/// Asks the resolver on a thread of its own, so that a signal, `Thread#kill` or `Timeout` ends the wait.
fn resolve(ruby: &Ruby, address: &Address) -> Result<Vec<Remote>, Error> {
    let failed = |error: &io::Error| not_opened(ruby, &format!("{address}: {error}"));
    if Remote::is_literal(address) {
        return Remote::resolve(address).map_err(|error| failed(&error));
    }
    let (sender, receiver) = channel();
    let (resolved, asked) = (sender.clone(), address.clone());
    thread::Builder::new()
        .name("iodine-resolver".into())
        .spawn(move || resolved.send(Some(Remote::resolve(&asked))))
        .map_err(|error| failed(&error))?;
    loop {
        match gvl::without(ruby, || receiver.recv(), || drop(sender.send(None))) {
            Some(Ok(Some(found))) => return found.map_err(|error| failed(&error)),
            Some(Err(_)) => return Err(failed(&io::Error::other("the resolver has failed"))),
            Some(Ok(None)) | None => gvl::check_interrupts(ruby)?,
        }
    }
}

fn not_opened(ruby: &Ruby, reason: &str) -> Error {
    Error::new(ruby.exception_runtime_error(), format!("Couldn't open client socket. {reason}"))
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Dial>(ruby, base, "Dial")?;
    class.define_singleton_method("raw", function!(Dial::raw, 3))?;
    class.define_singleton_method("web_socket", function!(Dial::web_socket, 3))?;
    class.define_singleton_method("refuse", function!(Dial::refuse, 2))
}
