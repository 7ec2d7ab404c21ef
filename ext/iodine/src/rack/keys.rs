//! The names of the environment: its fixed keys, and those of the header fields that peers send.

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use magnus::prelude::*;
use magnus::{RHash, Ruby, Value};

use super::fixed::Fixed;

/// Header names that are remembered; a peer that invents names fills this once and costs a little more from then on.
const REMEMBERED_NAMES: usize = 512;

/// Environment keys and frequent values, frozen and kept for ever.
pub(super) struct Keys {
    pub(super) request_method: Fixed,
    pub(super) path_info: Fixed,
    pub(super) query_string: Fixed,
    pub(super) server_protocol: Fixed,
    pub(super) http_version: Fixed,
    pub(super) remote_addr: Fixed,
    pub(super) server_name: Fixed,
    pub(super) server_port: Fixed,
    pub(super) content_length: Fixed,
    pub(super) url_scheme: Fixed,
    pub(super) input: Fixed,
    pub(super) hijack: Fixed,
    pub(super) early_hints: Fixed,
    pub(super) response_finished: Fixed,
    pub(super) upgrade: Fixed,
    /// Where the application puts its handler.
    pub(super) upgrade_to: Fixed,
    pub(super) upgrade_to_raw: Fixed,
    pub(super) client_subject: Fixed,
    pub(super) client_fingerprint: Fixed,
    pub(super) client_certificate: Fixed,
    pub(super) accept: Fixed,
    pub(super) host: Fixed,
    pub(super) cookie: Fixed,
    pub(super) via: Fixed,
    pub(super) forwarded: Fixed,
    pub(super) x_forwarded_for: Fixed,
    pub(super) x_forwarded_proto: Fixed,
    pub(super) http: Fixed,
    pub(super) https: Fixed,
    pub(super) port_80: Fixed,
    pub(super) port_443: Fixed,
    /// `HTTP/1.0`; the template says 1.1.
    pub(super) old_version: Fixed,
}

static KEYS: OnceLock<Keys> = OnceLock::new();

impl Keys {
    pub(super) fn of(ruby: &Ruby) -> &'static Self {
        KEYS.get_or_init(|| Self::new(ruby))
    }

    fn new(ruby: &Ruby) -> Self {
        let key = |text: &str| Fixed::key(ruby, text);
        let value = |text: &str| Fixed::new(ruby, text.as_bytes());
        Self {
            request_method: key("REQUEST_METHOD"),
            path_info: key("PATH_INFO"),
            query_string: key("QUERY_STRING"),
            server_protocol: key("SERVER_PROTOCOL"),
            http_version: key("HTTP_VERSION"),
            remote_addr: key("REMOTE_ADDR"),
            server_name: key("SERVER_NAME"),
            server_port: key("SERVER_PORT"),
            content_length: key("CONTENT_LENGTH"),
            url_scheme: key("rack.url_scheme"),
            input: key("rack.input"),
            hijack: key("rack.hijack"),
            early_hints: key("rack.early_hints"),
            response_finished: key("rack.response_finished"),
            upgrade: key("rack.upgrade?"),
            upgrade_to: key("rack.upgrade"),
            upgrade_to_raw: key("upgrade.tcp"),
            client_subject: key("SSL_CLIENT_S_DN"),
            client_fingerprint: key("SSL_CLIENT_FINGERPRINT"),
            client_certificate: key("SSL_CLIENT_CERT"),
            accept: key("HTTP_ACCEPT"),
            host: key("HTTP_HOST"),
            cookie: key("HTTP_COOKIE"),
            via: key("HTTP_VIA"),
            forwarded: key("HTTP_FORWARDED"),
            x_forwarded_for: key("HTTP_X_FORWARDED_FOR"),
            x_forwarded_proto: key("HTTP_X_FORWARDED_PROTO"),
            http: value("http"),
            https: value("https"),
            port_80: value("80"),
            port_443: value("443"),
            old_version: value("HTTP/1.0"),
        }
    }

    /// `http` or `https`; anything else a peer may claim counts for nothing.
    pub(super) fn scheme_of(&self, proto: &[u8]) -> Option<Fixed> {
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
    pub(super) fn default_port(&self, ruby: &Ruby, env: RHash, scheme: Option<Fixed>) -> Value {
        let https = match scheme {
            Some(scheme) => scheme == self.https,
            None => env.lookup(self.url_scheme.value(ruby)).is_ok_and(|scheme: String| scheme == "https"),
        };
        if https { self.port_443 } else { self.port_80 }.value(ruby)
    }
}

pub(super) fn method_of(ruby: &Ruby, method: &[u8]) -> Value {
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

/// Environment keys by the header names that peers send.
#[derive(Default)]
pub(super) struct Names(HashMap<Box<[u8]>, (Fixed, bool), RandomState>);

/// A header name in the environment.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) key: Value,
    /// The key, unless there are too many to remember this one.
    pub(super) fixed: Option<Fixed>,
    /// Most requests have one of a few values.
    pub(super) repeats: bool,
}

impl Names {
    /// `None`: the name has a `_`, and could pass for another one with a `-`.
    pub(super) fn find(&mut self, ruby: &Ruby, name: &[u8]) -> Option<Name> {
        if let Some(&(key, repeats)) = self.0.get(name) {
            return Some(Name { key: key.value(ruby), fixed: Some(key), repeats });
        }
        let text = key_text(name)?;
        if self.0.len() < REMEMBERED_NAMES {
            let key = Fixed::key(ruby, &text);
            let repeats = value_repeats(&text);
            self.0.insert(name.into(), (key, repeats));
            return Some(Name { key: key.value(ruby), fixed: Some(key), repeats });
        }
        let key = ruby.str_new(&text).to_interned_str().as_value();
        Some(Name { key, fixed: None, repeats: false })
    }
}

/// Fields that say what the peer is and can, rather than what it wants now.
fn value_repeats(key: &str) -> bool {
    const FIELDS: [&str; 9] = [
        "HTTP_HOST",
        "HTTP_USER_AGENT",
        "HTTP_CONNECTION",
        "HTTP_CACHE_CONTROL",
        "HTTP_PRAGMA",
        "HTTP_DNT",
        "HTTP_TE",
        "HTTP_UPGRADE_INSECURE_REQUESTS",
        "HTTP_X_FORWARDED_PROTO",
    ];
    FIELDS.contains(&key)
        || key.starts_with("HTTP_ACCEPT")
        || key.starts_with("HTTP_SEC_CH_")
        || key.starts_with("HTTP_SEC_FETCH_")
}

/// A name is a token, and so in ASCII.
fn key_text(name: &[u8]) -> Option<String> {
    if name.contains(&b'_') {
        return None;
    }
    let upper = |byte: &u8| if *byte == b'-' { '_' } else { char::from(byte.to_ascii_uppercase()) };
    let upper: String = name.iter().map(upper).collect();
    Some(match upper.as_str() {
        "CONTENT_LENGTH" | "CONTENT_TYPE" => upper,
        _ => format!("HTTP_{upper}"),
    })
}
