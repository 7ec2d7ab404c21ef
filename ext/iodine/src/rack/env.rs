//! The Rack environment of a request.
//!
//! A copy of the listener's template, which has most of the keys: to build the Hash from nothing costs several times
//! that.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use foldhash::fast::RandomState;
use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_proto::http1::Version;
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::typed_data::Obj;
use magnus::{Error, RHash, RString, Ruby, Value};

use super::Application;
use super::call::Call;
use super::fixed::{Fixed, Repeated};
use super::input::Input;
use crate::gvl::GvlCell;

/// Header names that are remembered; a peer that invents names fills this once and costs a little more from then on.
const REMEMBERED_NAMES: usize = 512;

/// Builds the environment, and the input object when there is a body.
///
/// # Errors
/// Only when Ruby is out of memory.
pub(super) fn build(
    ruby: &Ruby,
    handle: &Handle,
    exchange: &mut Exchange,
    application: &Application,
) -> Result<(RHash, Obj<Call>, Option<Input>), Error> {
    let keys = Keys::of(ruby);
    let env = duplicate(ruby, application.env.value(ruby));
    let call = ruby.obj_wrap(Call::new(handle, exchange, env));
    let mut environment = Environment::new(ruby, env);

    let head = &exchange.head;
    let version = keys.versions[usize::from(head.version() == Version::Http11)].value(ruby);
    environment.set(keys.request_method, method_of(ruby, head.method()));
    environment.set(keys.path_info, ruby.str_from_slice(head.path()).as_value());
    if !head.query().is_empty() {
        environment.set(keys.query_string, ruby.str_from_slice(head.query()).as_value());
    }
    environment.set(keys.server_protocol, version);
    environment.set(keys.http_version, version);
    environment.set(keys.hijack, call.as_value());
    environment.set(keys.response_finished, ruby.ary_new().as_value());

    let seen = push_fields(ruby, keys, exchange, &mut environment)?;
    let head = &exchange.head;
    if head.version() == Version::Http11 && !seen.proxied {
        environment.set(keys.early_hints, call.as_value());
    }
    if let Some(scheme) = seen.scheme {
        environment.set(keys.url_scheme, scheme.value(ruby));
    }
    if head.port().is_none_or(<[u8]>::is_empty) && !head.host().is_empty() {
        environment.set(keys.server_port, keys.default_port(ruby, env, seen.scheme));
    }
    let input = Input::of(ruby, &mut exchange.body);
    if let Some(input) = &input {
        environment.set(keys.input, input.value(ruby));
        if exchange.head.field("content-length").is_none() {
            // A chunked body has been received in full: its length is known now.
            environment.set(keys.content_length, ruby.str_new(&input.len().to_string()).as_value());
        }
    }
    Ok((env, call, input))
}

/// What the header fields say beyond themselves.
#[derive(Default)]
struct Seen {
    /// `http` or `https`, from a proxy in front.
    scheme: Option<Fixed>,
    /// A proxy is in front. Some of them take an interim response for the final one, so they get none.
    proxied: bool,
}

/// The header fields, and what else the peer repeats from request to request.
fn push_fields(ruby: &Ruby, keys: &Keys, exchange: &Exchange, env: &mut Environment<'_>) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let mut forwarded_proto = None;
    let mut remembered = REMEMBERED.get(ruby);
    let Remembered { names, values } = &mut *remembered;
    let head = &exchange.head;
    if let Some(peer) = &exchange.peer {
        env.set(keys.remote_addr, values.get(ruby, peer.as_bytes()));
    }
    // Without Host (HTTP/1.0) the listener's own name and port stay, which are in the template.
    if !head.host().is_empty() {
        env.set(keys.server_name, values.get(ruby, head.host()));
    }
    if let Some(port) = head.port().filter(|port| !port.is_empty()) {
        env.set(keys.server_port, values.get(ruby, port));
    }
    for (name, value) in head.fields() {
        let Some(name) = names.find(ruby, name) else { continue };
        let key = name.key;
        if keys.x_forwarded_proto.is(key) {
            forwarded_proto = keys.scheme_of(value);
            seen.proxied = true;
        } else if keys.forwarded.is(key) {
            seen.scheme = proto_of_forwarded(value).and_then(|proto| keys.scheme_of(proto));
            seen.proxied = true;
        } else if keys.x_forwarded_for.is(key) || keys.via.is(key) {
            seen.proxied = true;
        }
        // An absolute target says which host is meant, whatever the field says (RFC 9112, 3.2.2).
        let value = if keys.host.is(key) && !head.host().is_empty() { head.authority() } else { value };
        if env.has_field(key) {
            let separator: &[u8] = if keys.cookie.is(key) { b"; " } else { b", " };
            env.join_field(key, value, separator)?;
        } else if name.repeats {
            env.set_field(key, values.get(ruby, value));
        } else {
            env.set_field(key, ruby.str_from_slice(value).as_value());
        }
    }
    seen.scheme = forwarded_proto.or(seen.scheme);
    Ok(seen)
}

/// `proto=` of the first element of `Forwarded` (RFC 7239, 5.4).
fn proto_of_forwarded(value: &[u8]) -> Option<&[u8]> {
    let first = value.split(|&byte| byte == b',').next()?;
    first.split(|&byte| byte == b';').find_map(|parameter| {
        let parameter = parameter.trim_ascii();
        let (name, proto) = parameter.split_at_checked(6)?;
        name.eq_ignore_ascii_case(b"proto=").then(|| proto.trim_ascii_start().trim_ascii())
    })
}

/// The environment while it is filled.
struct Environment<'ruby> {
    ruby: &'ruby Ruby,
    hash: RHash,
    /// Keys of header fields so far, to find those that come again.
    fields: [rb_sys::VALUE; NOTED_FIELDS],
    field_count: usize,
}

/// Fields beyond these are looked up in the Hash.
const NOTED_FIELDS: usize = 32;

impl<'ruby> Environment<'ruby> {
    fn new(ruby: &'ruby Ruby, hash: RHash) -> Self {
        Self { ruby, hash, fields: [0; NOTED_FIELDS], field_count: 0 }
    }

    fn set(&self, key: Fixed, value: Value) {
        store(self.ruby, self.hash, key.value(self.ruby), value);
    }

    fn set_field(&mut self, key: Value, value: Value) {
        if let Some(slot) = self.fields.get_mut(self.field_count) {
            *slot = key.as_raw();
        }
        self.field_count += 1;
        store(self.ruby, self.hash, key, value);
    }

    /// Whether the request has given a value for this field. Keys are interned: equal means identical.
    fn has_field(&self, key: Value) -> bool {
        let noted = &self.fields[..self.field_count.min(NOTED_FIELDS)];
        noted.contains(&key.as_raw()) || self.field_count > NOTED_FIELDS && self.hash.get(key).is_some()
    }

    /// The values of a repeated field are joined (RFC 9110, 5.3).
    fn join_field(&self, key: Value, value: &[u8], separator: &[u8]) -> Result<(), Error> {
        let former: RString = self.hash.fetch(key)?;
        let joined = self.ruby.str_buf_new(former.len() + separator.len() + value.len());
        joined.buf_append(former)?;
        joined.cat(separator);
        joined.cat(value);
        store(self.ruby, self.hash, key, joined.as_value());
        Ok(())
    }
}

/// `Hash#[]=`. A bulk insertion would be slower: it makes room for every key, and most are in the template already.
fn store(_ruby: &Ruby, hash: RHash, key: Value, value: Value) {
    // SAFETY: the `Ruby` token proves that the lock is held. This cannot raise and jump: the Hash is ours, not frozen
    // and not iterated over, and the key is a frozen String.
    unsafe { rb_sys::rb_hash_aset(hash.as_raw(), key.as_raw(), value.as_raw()) };
}

/// The Hash, shallowly copied: no `initialize_copy`, no block.
fn duplicate(ruby: &Ruby, template: Value) -> RHash {
    // SAFETY: the template is a Hash (see `Application::new`), and the `Ruby` token proves that the lock is held.
    let copy = unsafe { Value::from_raw(rb_sys::rb_hash_dup(template.as_raw())) };
    RHash::from_value(copy).unwrap_or_else(|| ruby.hash_new())
}

/// Environment keys and frequent values, frozen and kept for ever.
struct Keys {
    request_method: Fixed,
    path_info: Fixed,
    query_string: Fixed,
    server_protocol: Fixed,
    http_version: Fixed,
    remote_addr: Fixed,
    server_name: Fixed,
    server_port: Fixed,
    content_length: Fixed,
    url_scheme: Fixed,
    input: Fixed,
    hijack: Fixed,
    early_hints: Fixed,
    response_finished: Fixed,
    host: Fixed,
    cookie: Fixed,
    via: Fixed,
    forwarded: Fixed,
    x_forwarded_for: Fixed,
    x_forwarded_proto: Fixed,
    http: Fixed,
    https: Fixed,
    port_80: Fixed,
    port_443: Fixed,
    versions: [Fixed; 2],
}

static KEYS: OnceLock<Keys> = OnceLock::new();

impl Keys {
    fn of(ruby: &Ruby) -> &'static Self {
        KEYS.get_or_init(|| Self::new(ruby))
    }

    fn new(ruby: &Ruby) -> Self {
        let fixed = |text: &str| Fixed::new(ruby, text.as_bytes());
        Self {
            request_method: fixed("REQUEST_METHOD"),
            path_info: fixed("PATH_INFO"),
            query_string: fixed("QUERY_STRING"),
            server_protocol: fixed("SERVER_PROTOCOL"),
            http_version: fixed("HTTP_VERSION"),
            remote_addr: fixed("REMOTE_ADDR"),
            server_name: fixed("SERVER_NAME"),
            server_port: fixed("SERVER_PORT"),
            content_length: fixed("CONTENT_LENGTH"),
            url_scheme: fixed("rack.url_scheme"),
            input: fixed("rack.input"),
            hijack: fixed("rack.hijack"),
            early_hints: fixed("rack.early_hints"),
            response_finished: fixed("rack.response_finished"),
            host: fixed("HTTP_HOST"),
            cookie: fixed("HTTP_COOKIE"),
            via: fixed("HTTP_VIA"),
            forwarded: fixed("HTTP_FORWARDED"),
            x_forwarded_for: fixed("HTTP_X_FORWARDED_FOR"),
            x_forwarded_proto: fixed("HTTP_X_FORWARDED_PROTO"),
            http: fixed("http"),
            https: fixed("https"),
            port_80: fixed("80"),
            port_443: fixed("443"),
            versions: [fixed("HTTP/1.0"), fixed("HTTP/1.1")],
        }
    }

    /// `http` or `https`; anything else a peer may claim counts for nothing.
    fn scheme_of(&self, proto: &[u8]) -> Option<Fixed> {
        let first = proto.split(|&byte| byte == b',').next()?.trim_ascii();
        if first.eq_ignore_ascii_case(b"https") || first.eq_ignore_ascii_case(b"wss") {
            Some(self.https)
        } else if first.eq_ignore_ascii_case(b"http") || first.eq_ignore_ascii_case(b"ws") {
            Some(self.http)
        } else {
            None
        }
    }

    /// The port that a scheme implies: the one a proxy says, or the template's.
    fn default_port(&self, ruby: &Ruby, env: RHash, scheme: Option<Fixed>) -> Value {
        let https = match scheme {
            Some(scheme) => scheme == self.https,
            None => env.get(self.url_scheme.value(ruby)).is_some_and(|scheme| self.https.is(scheme)),
        };
        if https { self.port_443 } else { self.port_80 }.value(ruby)
    }
}

fn method_of(ruby: &Ruby, method: &[u8]) -> Value {
    static METHODS: OnceLock<[(&[u8], Fixed); 7]> = OnceLock::new();
    let known = METHODS.get_or_init(|| {
        [&b"GET"[..], b"POST", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"]
            .map(|name| (name, Fixed::new(ruby, name)))
    });
    match known.iter().find(|(name, _)| *name == method) {
        Some((_, string)) => string.value(ruby),
        None => ruby.str_from_slice(method).as_value(),
    }
}

static REMEMBERED: LazyLock<GvlCell<Remembered>> = LazyLock::new(|| GvlCell::new(Remembered::default()));

/// What requests have in common.
#[derive(Default)]
struct Remembered {
    names: Names,
    values: Repeated,
}

/// Environment keys by the header names that peers send.
#[derive(Default)]
struct Names(HashMap<Box<[u8]>, (Fixed, bool), RandomState>);

/// A header name in the environment.
#[derive(Clone, Copy)]
struct Name {
    key: Value,
    /// Most requests have one of a few values.
    repeats: bool,
}

impl Names {
    /// `None`: the name has a `_`, and could pass for another one with a `-`.
    fn find(&mut self, ruby: &Ruby, name: &[u8]) -> Option<Name> {
        if let Some(&(key, repeats)) = self.0.get(name) {
            return Some(Name { key: key.value(ruby), repeats });
        }
        let text = key_text(name)?;
        if self.0.len() < REMEMBERED_NAMES {
            let key = Fixed::new(ruby, &text);
            let repeats = value_repeats(&text);
            self.0.insert(name.into(), (key, repeats));
            return Some(Name { key: key.value(ruby), repeats });
        }
        Some(Name { key: ruby.str_from_slice(&text).to_interned_str().as_value(), repeats: false })
    }
}

/// Fields that say what the peer is and can, rather than what it wants now.
fn value_repeats(key: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] = [
        b"HTTP_HOST",
        b"HTTP_USER_AGENT",
        b"HTTP_CONNECTION",
        b"HTTP_CACHE_CONTROL",
        b"HTTP_PRAGMA",
        b"HTTP_DNT",
        b"HTTP_TE",
        b"HTTP_UPGRADE_INSECURE_REQUESTS",
        b"HTTP_X_FORWARDED_PROTO",
    ];
    FIELDS.contains(&key)
        || key.starts_with(b"HTTP_ACCEPT")
        || key.starts_with(b"HTTP_SEC_CH_")
        || key.starts_with(b"HTTP_SEC_FETCH_")
}

fn key_text(name: &[u8]) -> Option<Vec<u8>> {
    if name.contains(&b'_') {
        return None;
    }
    let upper: Vec<u8> = name.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() }).collect();
    Some(match upper.as_slice() {
        b"CONTENT_LENGTH" | b"CONTENT_TYPE" => upper,
        _ => [b"HTTP_", upper.as_slice()].concat(),
    })
}

pub(super) fn init(ruby: &Ruby) -> Result<(), Error> {
    Keys::of(ruby);
    method_of(ruby, b"GET");
    Ok(())
}
