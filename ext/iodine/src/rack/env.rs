//! The Rack environment of a request.
//!
//! Three layers: what all requests of a listener have in common (the template), what requests with the same header
//! fields have in common (a [`Shape`]), and what is this request's own. Each begins as a copy of the one before, which
//! costs a fraction of putting the keys in one by one.

use std::sync::LazyLock;

use iodine_core::client::Protocol;
use iodine_core::exchange::Exchange;
use iodine_proto::http1::{Head, Version};
use iodine_proto::websocket;
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{Error, RArray, RHash, RString, Ruby, Value};

use super::Application;
use super::call::{Call, Desk};
use super::fixed::{Fixed, Repeated};
use super::input::Input;
use super::keys::{Keys, Names, method_of};
use super::shape::{Seen, Shapes};
use crate::gvl::GvlCell;

/// An environment, and what the server has to know of its contents.
pub(super) struct Built {
    pub(super) env: RHash,
    /// `rack.hijack`
    pub(super) call: Call,
    /// `rack.response_finished`
    pub(super) callbacks: RArray,
    /// `rack.input`, when there is a body.
    pub(super) input: Option<Input>,
    /// `rack.upgrade?`
    pub(super) upgrade: Option<Protocol>,
}

/// Builds the environment of a request.
///
/// # Errors
/// Only when Ruby is out of memory.
pub(super) fn build(
    ruby: &Ruby,
    desk: &Desk,
    exchange: &mut Exchange,
    application: &Application,
) -> Result<Built, Error> {
    let keys = Keys::of(ruby);
    let Common { env, proxied, takes_events } = common_part(ruby, keys, exchange, application)?;
    let call = desk.begin(ruby, env, exchange.next.take());
    // Without room: hardly any request has callbacks, and the room is an allocation of its own.
    let callbacks = ruby.ary_new_capa(0);
    let set = |key: Fixed, value: Value| store(ruby, env, key.value(ruby), value);

    let head = &exchange.head;
    // The template says GET and HTTP/1.1.
    if head.method() != b"GET" {
        set(keys.request_method, method_of(ruby, head.method()));
    }
    set(keys.path_info, ruby.str_from_slice(head.path()).as_value());
    if !head.query().is_empty() {
        set(keys.query_string, ruby.str_from_slice(head.query()).as_value());
    }
    set(keys.hijack, call.value());
    set(keys.response_finished, callbacks.as_value());
    match head.version() {
        Version::Http11 if !proxied => set(keys.early_hints, call.value()),
        Version::Http11 => {}
        Version::Http10 => {
            set(keys.server_protocol, keys.old_version.value(ruby));
            set(keys.http_version, keys.old_version.value(ruby));
        }
    }
    if let Some(identity) = &exchange.identity {
        set(keys.client_subject, ruby.str_new(&identity.subject).as_value());
        set(keys.client_fingerprint, ruby.str_new(&identity.fingerprint).as_value());
        set(keys.client_certificate, ruby.str_new(&identity.certificate).as_value());
    }
    let input = Input::of(ruby, &mut exchange.body);
    if let Some(input) = &input {
        set(keys.input, input.value(ruby));
        if exchange.head.field("content-length").is_none() {
            // A chunked body has been received in full: its length is known now.
            set(keys.content_length, ruby.str_new(&input.len().to_string()).as_value());
        }
    }
    let upgrade = offered(&exchange.head, takes_events);
    if let Some(protocol) = upgrade {
        let name = if protocol == Protocol::WebSocket { "websocket" } else { "sse" };
        set(keys.upgrade, ruby.sym_new(name).as_value());
    }
    Ok(Built { env, call, callbacks, input, upgrade })
}

/// What the client would take instead of a response.
fn offered(head: &Head, takes_events: bool) -> Option<Protocol> {
    if websocket::is_upgrade(head) {
        Some(Protocol::WebSocket)
    } else {
        (takes_events && !head.is_head()).then_some(Protocol::Sse)
    }
}

/// The environment as far as peer and header fields determine it.
struct Common {
    env: RHash,
    /// A proxy is in front.
    proxied: bool,
    /// The client takes an event stream.
    takes_events: bool,
}

fn common_part(ruby: &Ruby, keys: &Keys, exchange: &Exchange, application: &Application) -> Result<Common, Error> {
    let remembered = &mut *REMEMBERED.get(ruby);
    let place = match remembered.shapes.find(exchange, application.serial) {
        Ok(shape) => {
            let env = duplicate(ruby, shape.env(ruby));
            shape.renew(ruby, exchange, |key, value| store(ruby, env, key.value(ruby), value));
            return Ok(Common { env, proxied: shape.is_proxied(), takes_events: shape.takes_events() });
        }
        Err(place) => place,
    };
    let env = duplicate(ruby, application.env.value(ruby));
    let seen = push_fields(ruby, keys, exchange, &mut Environment::new(ruby, env), remembered)?;
    if let Some(scheme) = seen.scheme {
        store(ruby, env, keys.url_scheme.value(ruby), scheme.value(ruby));
    }
    let head = &exchange.head;
    if head.port().is_none_or(<[u8]>::is_empty) && !head.host().is_empty() {
        store(ruby, env, keys.server_port.value(ruby), keys.default_port(ruby, env, seen.scheme));
    }
    let Seen { proxied, takes_events, .. } = seen;
    remembered.shapes.keep(place, exchange, seen, || duplicate(ruby, env.as_value()));
    Ok(Common { env, proxied, takes_events })
}

static REMEMBERED: LazyLock<GvlCell<Remembered>> = LazyLock::new(|| GvlCell::new(Remembered::default()));

/// What requests have in common.
#[derive(Default)]
struct Remembered {
    names: Names,
    values: Repeated,
    shapes: Shapes,
}

/// The header fields, and what else the peer repeats from request to request.
fn push_fields(
    ruby: &Ruby,
    keys: &Keys,
    exchange: &Exchange,
    env: &mut Environment<'_>,
    remembered: &mut Remembered,
) -> Result<Seen, Error> {
    let mut seen = Seen::new();
    let mut forwarded_proto = None;
    let Remembered { names, values, .. } = remembered;
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
        } else if keys.accept.is(key) {
            seen.takes_events |= accepts_events(value);
        }
        // An absolute target says which host is meant, whatever the field says (RFC 9112, 3.2.2).
        let value = if keys.host.is(key) && !head.host().is_empty() { head.authority() } else { value };
        if env.has_field(key) {
            let separator: &[u8] = if keys.cookie.is(key) { b"; " } else { b", " };
            env.join_field(key, value, separator)?;
            seen.is_plain = false;
        } else if name.repeats {
            env.set_field(key, values.get(ruby, value));
        } else {
            env.set_field(key, ruby.str_from_slice(value).as_value());
            seen.note_changing(name.fixed, value, exchange);
        }
    }
    seen.scheme = forwarded_proto.or(seen.scheme);
    Ok(seen)
}

/// Whether `Accept` names the type of event streams (RFC 9110, 12.5.1); a wildcard is not enough.
fn accepts_events(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|range| {
        let mut parts = range.split(|&byte| byte == b';');
        parts.next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
    })
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

pub(super) fn init(ruby: &Ruby) -> Result<(), Error> {
    Keys::of(ruby);
    method_of(ruby, b"GET");
    Ok(())
}
