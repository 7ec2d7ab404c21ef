//! The Rack environment of a request.
//!
//! A copy of the listener's template, and what the request brings put in at once: building the Hash key by key costs
//! several times that.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use iodine_core::exchange::Exchange;
use iodine_proto::http1::{Head, Version};
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{Error, RHash, RString, Ruby, Value};

use super::Application;
use super::call::Call;
use super::early_hints::EarlyHints;
use super::fixed::Fixed;
use super::hijack::Hijack;
use super::input::Input;
use crate::gvl::GvlCell;

/// Pairs put into the Hash at a time. More fields than this are put in in several goes.
const BATCH: usize = 48;
/// Header names that are remembered; a peer that invents names fills this once and costs a little more from then on.
const REMEMBERED_NAMES: usize = 512;

/// Builds the environment, and the input object when there is a body.
///
/// # Errors
/// Only when Ruby is out of memory.
pub(super) fn build(
    ruby: &Ruby,
    call: &Arc<Call>,
    exchange: &mut Exchange,
    application: &Application,
) -> Result<(RHash, Option<Input>), Error> {
    let keys = Keys::of(ruby);
    let env = duplicate(ruby, application.env.value(ruby));
    let mut pairs = Pairs::new(ruby, env);

    let head = &exchange.head;
    pairs.push_value(keys.request_method, method_of(ruby, head.method()))?;
    pairs.push(keys.path_info, ruby.str_from_slice(head.path()))?;
    pairs.push(keys.query_string, ruby.str_from_slice(head.query()))?;
    let version = keys.versions[usize::from(head.version() == Version::Http11)];
    pairs.push_fixed(keys.server_protocol, version)?;
    pairs.push_fixed(keys.http_version, version)?;
    if let Some(peer) = &exchange.peer {
        pairs.push(keys.remote_addr, ruby.str_new(peer))?;
    }
    if !head.host().is_empty() {
        pairs.push(keys.server_name, ruby.str_from_slice(head.host()))?;
    }
    let seen = push_fields(ruby, keys, head, &mut pairs)?;
    pairs.push_value(keys.hijack, Hijack::new(ruby, call, env))?;
    if head.version() == Version::Http11 && !seen.proxied {
        pairs.push_value(keys.early_hints, EarlyHints::new(ruby, call))?;
    }
    pairs.push_value(keys.response_finished, ruby.ary_new().as_value())?;
    if let Some(scheme) = seen.scheme {
        pairs.push_fixed(keys.url_scheme, scheme)?;
    }
    push_port(ruby, keys, head, seen.scheme.is_some_and(|scheme| scheme == keys.https), &mut pairs)?;

    let input = Input::of(ruby, &mut exchange.body);
    if let Some(input) = &input {
        pairs.push_value(keys.input, input.value(ruby))?;
        if head.field("content-length").is_none() {
            // A chunked body has been received in full: its length is known now.
            pairs.push(keys.content_length, ruby.str_new(&input.len().to_string()))?;
        }
    }
    pairs.flush()?;
    Ok((env, input))
}

/// What the header fields say beyond themselves.
#[derive(Default)]
struct Seen {
    /// `http` or `https`, from a proxy in front.
    scheme: Option<Fixed>,
    /// A proxy is in front. Some of them take an interim response for the final one, so they get none.
    proxied: bool,
}

fn push_fields(ruby: &Ruby, keys: &Keys, head: &Head, pairs: &mut Pairs<'_>) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let mut forwarded_proto = None;
    let mut names = NAMES.get(ruby);
    for (name, value) in head.fields() {
        let Some(key) = names.key_of(ruby, name) else { continue };
        if keys.x_forwarded_proto.is(key) {
            forwarded_proto = keys.scheme_of(value);
            seen.proxied = true;
        } else if keys.forwarded.is(key) {
            seen.scheme = proto_of_forwarded(value).and_then(|proto| keys.scheme_of(proto));
            seen.proxied = true;
        } else if keys.x_forwarded_for.is(key) || keys.via.is(key) {
            seen.proxied = true;
        }
        let separator: &[u8] = if keys.cookie.is(key) { b"; " } else { b", " };
        pairs.push_field(key, value, separator)?;
    }
    seen.scheme = forwarded_proto.or(seen.scheme);
    Ok(seen)
}

/// The port of the request, or what the scheme implies when the template has no port of its own to say.
fn push_port(ruby: &Ruby, keys: &Keys, head: &Head, https: bool, pairs: &mut Pairs<'_>) -> Result<(), Error> {
    match head.port() {
        Some(port) if !port.is_empty() => pairs.push(keys.server_port, ruby.str_from_slice(port)),
        _ if https => pairs.push_fixed(keys.server_port, keys.port_443),
        _ if !head.host().is_empty() => pairs.push_fixed(keys.server_port, keys.default_port(ruby, pairs.env)),
        // Without Host (HTTP/1.0) the listener's own name and port stand in the template.
        _ => Ok(()),
    }
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

/// Keys and values on their way into the Hash. They are on the machine stack meanwhile, where the collector sees them.
struct Pairs<'ruby> {
    ruby: &'ruby Ruby,
    env: RHash,
    entries: [Value; 2 * BATCH],
    len: usize,
    /// Keys of the request's fields so far, to find those that come twice.
    fields: [Value; MAX_FIELDS],
    field_count: usize,
}

/// `HeadLimits::fields`' upper end; more fields than this are looked up in the Hash.
const MAX_FIELDS: usize = 128;

impl<'ruby> Pairs<'ruby> {
    fn new(ruby: &'ruby Ruby, env: RHash) -> Self {
        let nil = ruby.qnil().as_value();
        Self { ruby, env, entries: [nil; 2 * BATCH], len: 0, fields: [nil; MAX_FIELDS], field_count: 0 }
    }

    fn push(&mut self, key: Fixed, value: RString) -> Result<(), Error> {
        self.push_value(key, value.as_value())
    }

    fn push_fixed(&mut self, key: Fixed, value: Fixed) -> Result<(), Error> {
        self.push_value(key, value.value(self.ruby))
    }

    fn push_value(&mut self, key: Fixed, value: Value) -> Result<(), Error> {
        self.push_pair(key.value(self.ruby), value)
    }

    fn push_pair(&mut self, key: Value, value: Value) -> Result<(), Error> {
        if self.len == self.entries.len() {
            self.flush()?;
        }
        self.entries[self.len] = key;
        self.entries[self.len + 1] = value;
        self.len += 2;
        Ok(())
    }

    /// A header field; the values of a repeated one are joined (RFC 9110, 5.3).
    fn push_field(&mut self, key: Value, value: &[u8], separator: &[u8]) -> Result<(), Error> {
        // Interned: equal means identical.
        if self.fields[..self.field_count].iter().any(|seen| seen.as_raw() == key.as_raw()) {
            self.flush()?;
            let first: RString = self.env.fetch(key)?;
            first.cat(separator);
            first.cat(value);
            return Ok(());
        }
        if let Some(slot) = self.fields.get_mut(self.field_count) {
            *slot = key;
            self.field_count += 1;
        }
        let value = self.ruby.str_from_slice(value).as_value();
        self.push_pair(key, value)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let entries = &self.entries[..self.len];
        self.len = 0;
        self.env.bulk_insert(entries)
    }
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

    /// The port that the template's scheme implies.
    fn default_port(&self, ruby: &Ruby, env: RHash) -> Fixed {
        let https = env.get(self.url_scheme.value(ruby)).is_some_and(|scheme| self.https.is(scheme));
        if https { self.port_443 } else { self.port_80 }
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

static NAMES: GvlCell<Names> = GvlCell::new(Names(None));

/// Environment keys by the header names that peers send.
struct Names(Option<HashMap<Box<[u8]>, Fixed, RandomState>>);

impl Names {
    /// The key of a field. `None`: its name has a `_`, and could pass for another one with a `-`.
    fn key_of(&mut self, ruby: &Ruby, name: &[u8]) -> Option<Value> {
        let names = self.0.get_or_insert_with(HashMap::default);
        if let Some(key) = names.get(name) {
            return Some(key.value(ruby));
        }
        let text = key_text(name)?;
        if names.len() < REMEMBERED_NAMES {
            let key = Fixed::new(ruby, &text);
            names.insert(name.into(), key);
            return Some(key.value(ruby));
        }
        Some(ruby.str_from_slice(&text).to_interned_str().as_value())
    }
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
