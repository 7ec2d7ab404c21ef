//! `Iodine::Base::Socket`: a bound, listening socket, and the limits of what it serves.

use std::ffi::OsString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iodine_core::access_log::LogFormat;
use iodine_core::files::mime::MimeTypes;
use iodine_core::files::sendfile::SendFile;
use iodine_core::files::{FileSettings, Files};
use iodine_core::net::Listener;
use iodine_core::net::address::{Address, Scheme, Service, Url};
use iodine_core::net::listener::BoundSocket;
use iodine_core::net::tls::TlsServer;
use iodine_core::settings::{HttpSettings, ListenerSettings, RawSettings, WriteLimits};
use iodine_proto::websocket::{DeflateSettings, Window, WindowBits};
use magnus::prelude::*;
use magnus::{Error, RHash, RModule, Ruby, StaticSymbol, TryConvert, Value, function, method};

use crate::class;
use crate::tls::{self, Tls};

/// For ALPN (RFC 7301, 6). A client that offers neither, but others, is refused.
const HTTP_PROTOCOLS: [&str; 2] = ["http/1.1", "http/1.0"];

#[magnus::wrap(class = "Iodine::Base::Socket", free_immediately)]
pub(crate) struct Socket {
    bound: BoundSocket,
    settings: ListenerSettings,
    tls: Option<Arc<TlsServer>>,
}

/// Where to listen: a URL, or an address and a port. The URL wins.
type Place = (Option<String>, Option<PathBuf>, Option<i64>);

impl Socket {
    /// Binds and listens for HTTP, or takes over the listening socket of that `descriptor`, which is nobody else's.
    ///
    /// `settings` are those of `Iodine.listen`, `tls` what to encrypt by.
    fn bind(
        ruby: &Ruby,
        place: Place,
        settings: RHash,
        tls: Option<&Tls>,
        descriptor: Option<RawFd>,
    ) -> Result<Self, Error> {
        let tls = secured(ruby, tls, &HTTP_PROTOCOLS, settings)?;
        let settings = ListenerSettings::Http(Arc::new(http_settings(ruby, settings)?));
        Self::open(ruby, place, settings, tls, descriptor)
    }

    /// As `bind`, for raw connections.
    fn bind_raw(
        ruby: &Ruby,
        place: Place,
        settings: RHash,
        tls: Option<&Tls>,
        descriptor: Option<RawFd>,
    ) -> Result<Self, Error> {
        let tls = secured(ruby, tls, &[], settings)?;
        let settings = ListenerSettings::Raw(raw_settings(ruby, settings)?);
        Self::open(ruby, place, settings, tls, descriptor)
    }

    fn open(
        ruby: &Ruby,
        place: Place,
        settings: ListenerSettings,
        tls: Option<Arc<TlsServer>>,
        descriptor: Option<RawFd>,
    ) -> Result<Self, Error> {
        let address = address_of(ruby, place)?;
        let bound = match descriptor {
            Some(descriptor) => BoundSocket::adopt(owned(descriptor), &address),
            None => BoundSocket::bind(&address),
        };
        let bound = bound.map_err(|error| not_opened(ruby, &format!("{address}: {error}")))?;
        Ok(Self { bound, settings, tls })
    }

    /// A handle on the socket for a reactor.
    pub(crate) fn listener(&self, ruby: &Ruby, id: usize) -> Result<Listener, Error> {
        let listener = self.bound.listener(id, self.settings.clone()).map_err(|error| {
            Error::new(ruby.exception_runtime_error(), format!("the listening socket could not be shared: {error}"))
        })?;
        Ok(match &self.tls {
            Some(tls) => listener.secured(Arc::clone(tls)),
            None => listener,
        })
    }

    /// Reads the certificates again. A message: what is wrong with them, so that all stays as it was.
    fn reload_tls(&self) -> Option<String> {
        self.tls.as_ref().and_then(|tls| tls.reload().err()).map(|error| error.to_string())
    }

    /// Whether the files of the certificates are others than those that were read.
    fn has_changed_tls(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_changed())
    }

    fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The limits of what it serves, and its files.
    ///
    /// # Errors
    /// When it does not listen for HTTP.
    pub(crate) fn http_settings(&self, ruby: &Ruby) -> Result<Arc<HttpSettings>, Error> {
        match &self.settings {
            ListenerSettings::Http(settings) => Ok(Arc::clone(settings)),
            ListenerSettings::Raw(_) => {
                Err(Error::new(ruby.exception_arg_error(), "the socket is for raw connections"))
            }
        }
    }

    /// What `bind` would be asked for: `[host or nil, port]`, or `[path, nil]`
    fn target(ruby: &Ruby, place: Place) -> Result<(Option<String>, Option<u16>), Error> {
        address_of(ruby, place).map(|address| host_and_port(&address))
    }

    /// `[host or nil, port]`, or `[path, nil]`
    fn address(&self) -> (Option<String>, Option<u16>) {
        host_and_port(self.bound.address())
    }

    fn close(&self) {
        self.bound.close();
    }

    fn descriptors(&self) -> Vec<i32> {
        self.bound.descriptors()
    }

    fn unlink(&self) {
        self.bound.unlink();
    }
}

fn address_of(ruby: &Ruby, (url, address, port): Place) -> Result<Address, Error> {
    match url {
        Some(url) => Url::parse(&url).map(|url| url.address),
        None => Address::new(address.map(OsString::from).as_deref(), port),
    }
    .map_err(|error| not_opened(ruby, &error.to_string()))
}

fn host_and_port(address: &Address) -> (Option<String>, Option<u16>) {
    match address {
        Address::Tcp { host, port } => (host.clone(), Some(*port)),
        Address::Unix(path) => (Some(path.to_string_lossy().into_owned()), None),
    }
}

fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: whoever started this process has opened the descriptor for it, and `lib/iodine/inherited_sockets.rb` gives
    // each of them away once.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn not_opened(ruby: &Ruby, reason: &str) -> Error {
    Error::new(ruby.exception_runtime_error(), format!("Couldn't open listening socket. {reason}"))
}

/// TLS for a listener, with these names for ALPN before its own. What is wrong with its files is said before the socket is there.
fn secured(ruby: &Ruby, tls: Option<&Tls>, protocols: &[&str], given: RHash) -> Result<Option<Arc<TlsServer>>, Error> {
    let Some(tls) = tls else { return Ok(None) };
    let mut settings = tls.settings();
    settings.protocols.splice(..0, protocols.iter().map(|name| name.as_bytes().to_vec()));
    if let Some(timeout) = time(ruby, given, "tls_timeout")? {
        settings.handshake_timeout = timeout;
    }
    tls::server(ruby, settings).map(Some)
}

/// What `Iodine.listen` was told: MiB, KiB and seconds; nil and 0 leave the default.
fn http_settings(ruby: &Ruby, given: RHash) -> Result<HttpSettings, Error> {
    let mut settings = HttpSettings::default();
    let number = |name| number(ruby, given, name);
    let set_time = |name, field: &mut Duration| set_time(ruby, given, name, field);
    set_time("timeout", &mut settings.keep_alive)?;
    set_time("header_timeout", &mut settings.header_timeout)?;
    set_time("body_timeout", &mut settings.body_timeout)?;
    set_time("ping", &mut settings.ping)?;
    set_time("write_timeout", &mut settings.write_timeout)?;
    if let Some(mebibytes) = number("max_body")? {
        settings.max_body = mebibytes.saturating_mul(1 << 20);
    }
    if let Some(kibibytes) = number("max_headers")? {
        settings.head.block = usize::try_from(kibibytes.saturating_mul(1 << 10)).unwrap_or(usize::MAX);
    }
    if let Some(kibibytes) = number("max_msg")? {
        settings.max_message = usize::try_from(kibibytes.saturating_mul(1 << 10)).unwrap_or(usize::MAX);
    }
    set_max_pending(ruby, given, &mut settings.max_pending)?;
    settings.deflate = compression(ruby, given)?;
    settings.metrics = given.get(ruby.to_symbol("metrics_only")).is_some_and(|value| value.to_bool());
    settings.log = log_format(ruby, given)?;
    set_files(ruby, given, &mut settings)?;
    Ok(settings)
}

/// What `Iodine.listen` was told of raw connections.
fn raw_settings(ruby: &Ruby, given: RHash) -> Result<RawSettings, Error> {
    let mut settings = RawSettings::default();
    set_time(ruby, given, "timeout", &mut settings.timeout)?;
    settings.writes = write_limits(ruby, given)?;
    Ok(settings)
}

/// `max_pending:` and `write_timeout:`.
pub(crate) fn write_limits(ruby: &Ruby, given: RHash) -> Result<WriteLimits, Error> {
    let mut limits = WriteLimits::default();
    set_max_pending(ruby, given, &mut limits.max_pending)?;
    set_time(ruby, given, "write_timeout", &mut limits.timeout)?;
    Ok(limits)
}

fn set_max_pending(ruby: &Ruby, given: RHash, field: &mut usize) -> Result<(), Error> {
    if let Some(mebibytes) = number(ruby, given, "max_pending")? {
        *field = usize::try_from(mebibytes.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
    }
    Ok(())
}

/// A number of seconds, whole or not. `None` for nil and 0.
///
/// # Errors
/// `TypeError` for what is no number, `RangeError` for one that is no time to wait.
pub(crate) fn time(ruby: &Ruby, given: RHash, name: &str) -> Result<Option<Duration>, Error> {
    let Some(value) = given.get(ruby.to_symbol(name)).filter(|value| !value.is_nil()) else { return Ok(None) };
    if !value.is_kind_of(ruby.class_numeric()) {
        let message = format!("{name} must be a number of seconds, got {}", value.inspect());
        return Err(Error::new(ruby.exception_type_error(), message));
    }
    match Duration::try_from_secs_f64(f64::try_convert(value)?) {
        Ok(time) => Ok(Some(time.min(LONGEST)).filter(|time| !time.is_zero())),
        Err(_) => {
            let message = format!("{name} must be a time to wait, got {}", value.inspect());
            Err(Error::new(ruby.exception_range_error(), message))
        }
    }
}

/// A hundred years. The clock cannot count much further.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

fn set_time(ruby: &Ruby, given: RHash, name: &str, field: &mut Duration) -> Result<(), Error> {
    if let Some(seconds) = number(ruby, given, name)? {
        *field = Duration::from_secs(seconds).min(LONGEST);
    }
    Ok(())
}

/// `None` for nil, false and 0.
///
/// # Errors
/// `RangeError` for what is negative or too large. `TypeError` for what is no number; but iodine 0.7 took no notice of that in
/// its options, so there it is a warning.
pub(crate) fn number(ruby: &Ruby, given: RHash, name: &str) -> Result<Option<u64>, Error> {
    let Some(value) = given.get(ruby.to_symbol(name)).filter(|value| value.to_bool()) else { return Ok(None) };
    if !value.is_kind_of(ruby.class_numeric()) {
        let message = format!("{name} must be a number; got {value:?}");
        if !OPTIONS_OF_0_7.contains(&name) {
            return Err(Error::new(ruby.exception_type_error(), message));
        }
        log::warn!("an option is ignored: {message}");
        return Ok(None);
    }
    let number = i64::try_convert(value)?;
    let number = u64::try_from(number)
        .map_err(|_| Error::new(ruby.exception_range_error(), format!("{name} must not be negative; got {number}")))?;
    Ok((number > 0).then_some(number))
}

/// Those with a number.
const OPTIONS_OF_0_7: [&str; 5] = ["timeout", "ping", "max_body", "max_headers", "max_msg"];

/// Whether messages of WebSockets are compressed, from which size on, and with what memory.
pub(crate) fn compression(ruby: &Ruby, given: RHash) -> Result<Option<DeflateSettings>, Error> {
    if !given.get(ruby.to_symbol("deflate")).is_some_and(|value| value.to_bool()) {
        return Ok(None);
    }
    let mut settings = DeflateSettings::default();
    if let Some(bytes) = number(ruby, given, "deflate_min")? {
        settings.min_size = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
    settings.outgoing = window(ruby, given, "deflate_write_bits", "deflate_write_context")?;
    settings.incoming = window(ruby, given, "deflate_read_bits", "deflate_read_context")?;
    Ok(Some(settings))
}

/// The compression of one direction.
fn window(ruby: &Ruby, given: RHash, bits: &str, context: &str) -> Result<Window, Error> {
    let takeover = given.get(ruby.to_symbol(context)).is_some_and(|value| value.to_bool());
    let Some(number) = number(ruby, given, bits)? else { return Ok(Window { bits: WindowBits::MAX, takeover }) };
    match u8::try_from(number).ok().and_then(WindowBits::new) {
        Some(bits) => Ok(Window { bits, takeover }),
        None => {
            let message = format!("{bits} must be from 8 to 15; got {number}");
            Err(Error::new(ruby.exception_range_error(), message))
        }
    }
}

/// `public:` and `sendfile_root:` are absolute paths, `cache_control:` and `immutable:` false or "" for none,
/// `mime_types:` a Hash of media types by file extension.
fn set_files(ruby: &Ruby, given: RHash, settings: &mut HttpSettings) -> Result<(), Error> {
    let wrong = |message: String| Error::new(ruby.exception_arg_error(), message);
    let value = |name: &str| given.get(ruby.to_symbol(name)).filter(|value| !value.is_nil());
    let folder = |name: &str| value(name).map(PathBuf::try_convert).transpose();

    let mut types = MimeTypes::default();
    if let Some(given) = value("mime_types") {
        for (extension, media_type) in RHash::try_convert(given)?.to_hash_map::<String, String>()? {
            types.add(&extension, &media_type).map_err(wrong)?;
        }
    }
    settings.mime_types = Arc::new(types);
    let unusable = |name: &str, path: &Path, error: io::Error| {
        wrong(format!("the folder of {name}: cannot be used: {}: {error}", path.display()))
    };
    if let Some(root) = folder("public")? {
        let mut files = FileSettings::new(root.clone());
        for (name, field) in [("cache_control", &mut files.cache_control), ("immutable", &mut files.immutable)] {
            if let Some(value) = value(name) {
                *field =
                    cache_control(value).map_err(|value| wrong(format!("{name}: is no header value: {value:?}")))?;
            }
        }
        files.dotfiles = value("dotfiles").is_some_and(|value| value.to_bool());
        files.mime_types = Arc::clone(&settings.mime_types);
        let files = Files::open(files).map_err(|error| unusable("public", &root, error))?;
        settings.files = Some(Arc::new(files));
        settings.sendfile = Some(Arc::new(SendFile::anywhere(Arc::clone(&settings.mime_types))));
    }
    if let Some(root) = folder("sendfile_root")? {
        let sendfile = SendFile::within(root.clone(), Arc::clone(&settings.mime_types))
            .map_err(|error| unusable("sendfile_root", &root, error))?;
        settings.sendfile = Some(Arc::new(sendfile));
    }
    Ok(())
}

/// What is no header value is an error.
fn cache_control(value: Value) -> Result<Option<String>, String> {
    match String::try_convert(value) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => Ok(Some(text)),
        Ok(text) => Err(text),
        Err(_) if !value.to_bool() => Ok(None),
        Err(_) => Err(value.inspect()),
    }
}

/// `log: true` is the format of iodine 0.7, a Symbol or String another one.
fn log_format(ruby: &Ruby, given: RHash) -> Result<Option<LogFormat>, Error> {
    let Some(value) = given.get(ruby.to_symbol("log")).filter(|value| value.to_bool()) else { return Ok(None) };
    if value.is_kind_of(ruby.class_true_class()) {
        return Ok(Some(LogFormat::Iodine));
    }
    let name = value.to_r_string()?.to_string()?;
    LogFormat::named(&name).map(Some).ok_or_else(|| {
        let message = format!("unknown log format {name:?}: it is true, :common, :combined or :json");
        Error::new(ruby.exception_arg_error(), message)
    })
}

/// What a URL's scheme says: `[:http or :raw or nil, whether it asks for TLS]`.
fn scheme(ruby: &Ruby, url: String) -> Result<(Option<StaticSymbol>, bool), Error> {
    let url = Url::parse(&url).map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))?;
    let service = url.scheme.map(|scheme| match scheme.service() {
        Service::Http => ruby.sym_new("http"),
        Service::Raw => ruby.sym_new("raw"),
    });
    Ok((service, url.scheme.is_some_and(Scheme::tls)))
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Socket>(ruby, base, "Socket")?;
    class.define_singleton_method("bind", function!(Socket::bind, 4))?;
    class.define_singleton_method("bind_raw", function!(Socket::bind_raw, 4))?;
    class.define_singleton_method("target", function!(Socket::target, 1))?;
    class.define_singleton_method("scheme", function!(scheme, 1))?;
    class.define_method("address", method!(Socket::address, 0))?;
    class.define_method("secure?", method!(Socket::is_secure, 0))?;
    class.define_method("tls_changed?", method!(Socket::has_changed_tls, 0))?;
    class.define_method("reload_tls", method!(Socket::reload_tls, 0))?;
    class.define_method("close", method!(Socket::close, 0))?;
    class.define_method("descriptors", method!(Socket::descriptors, 0))?;
    class.define_method("unlink", method!(Socket::unlink, 0))
}
