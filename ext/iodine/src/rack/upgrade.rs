//! Requests that the application makes a WebSocket, an event stream or a raw connection of.

use std::time::Duration;

use iodine_core::client::{Client, Protocol};
use iodine_core::date;
use iodine_core::exchange::{Exchange, ResponseBody};
use iodine_proto::http1::{Framing, Persistence, ResponseWriter, bodyless};
use iodine_proto::websocket::{Handshake, Refusal};
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{Error, Integer, RArray, RHash, Ruby, Value};

use super::fields::{each_line, write_line};
use super::fixed::Fixed;
use super::keys::Keys;
use super::response::{Context, close};
use super::{Outcome, fail, finished};
use crate::connection::{self, Handler};

/// The handlers that an application has put into an environment.
#[derive(Clone, Copy, Default)]
pub(super) struct Handlers {
    /// `upgrade.tcp`
    raw: Option<Value>,
    /// `rack.upgrade`
    offered: Option<Value>,
}

impl Handlers {
    /// To be called under `protect`: an application may have put keys into the environment whose `eql?` is its own.
    pub(super) fn of(ruby: &Ruby, env: RHash) -> Self {
        let keys = Keys::of(ruby);
        let handler_in = |key: Fixed| {
            // SAFETY: the lock is held, `env` is a Hash, and the caller has put `protect` around this.
            let handler = unsafe {
                let nil = rb_sys::Qnil as rb_sys::VALUE;
                Value::from_raw(rb_sys::rb_hash_lookup2(env.as_raw(), key.value(ruby).as_raw(), nil))
            };
            (!handler.is_nil()).then_some(handler)
        };
        Self { raw: handler_in(keys.upgrade_to_raw), offered: handler_in(keys.upgrade_to) }
    }
}

/// What a request becomes: by `rack.upgrade` what it offers by `rack.upgrade?`, or a raw connection if it offers nothing,
/// and by `upgrade.tcp` a raw connection in any case.
pub(super) struct Upgrade {
    protocol: Protocol,
    handler: Value,
    status: i64,
    headers: RHash,
    body: Value,
}

impl Upgrade {
    /// The upgrade that the application has accepted: it has set a handler, and its status is below 300.
    pub(super) fn of(handlers: Handlers, offered: Option<Protocol>, returned: Value) -> Option<Self> {
        let (protocol, handler) = match handlers.raw {
            Some(handler) => (Protocol::Raw, handler),
            None => (offered.unwrap_or(Protocol::Raw), handlers.offered?),
        };
        let triple = RArray::from_value(returned).filter(|triple| triple.len() >= 3)?;
        let status = Integer::from_value(triple.entry(0).ok()?)?.to_i64().ok().filter(|status| *status < 300)?;
        let headers = RHash::from_value(triple.entry(1).ok()?)?;
        Some(Self { protocol, handler, status, headers, body: triple.entry(2).ok()? })
    }

    /// Sends the head, and gives the connection to the handler; or refuses the handshake.
    pub(super) fn send(self, context: &Context<'_>, exchange: Box<Exchange>) -> Ended {
        let closed = close(context.ruby, self.body);
        let (outcome, ended) = self.send_head(context, exchange);
        (outcome, closed.and(ended))
    }

    fn send_head(self, context: &Context<'_>, mut exchange: Box<Exchange>) -> Ended {
        let (ruby, settings) = (context.ruby, context.settings);
        let mut deflate = None;
        let head = match self.protocol {
            Protocol::WebSocket => match Handshake::accept(&exchange.head, settings.deflate.as_ref()) {
                Ok(handshake) => {
                    deflate = handshake.deflate();
                    write_switch(ruby, &handshake, self.headers, &mut exchange)
                }
                Err(refusal) => return self.refuse(context, exchange, refusal),
            },
            Protocol::Sse => write_stream_head(ruby, self.headers, &mut exchange),
            Protocol::Raw => write_raw_head(ruby, self.status, self.headers, &mut exchange),
        };
        match head.and_then(|()| Handler::new(self.handler)) {
            Ok(handler) => {
                let is_raw = self.protocol == Protocol::Raw;
                let (ping, env) = if is_raw { (Duration::ZERO, None) } else { (settings.ping, Some(context.env)) };
                let client = Client::new(context.handle.clone(), self.protocol, ping, deflate);
                connection::upgrade(ruby, context.handle, exchange, client, (handler, env));
                (Outcome::Taken, self.notify(context, None))
            }
            Err(error) => self.fail(context, exchange, error),
        }
    }

    /// Answers by the status of the refusal, and tells the handler that it will have no connection.
    fn refuse(self, context: &Context<'_>, mut exchange: Box<Exchange>, refusal: Refusal) -> Ended {
        log::debug!("refused a WebSocket: {refusal}");
        match Handler::new(self.handler) {
            Ok(handler) => {
                write_refusal(refusal, &mut exchange);
                let reason = refusal.to_string();
                let ended = self.notify(context, None).and(connection::refuse(
                    context.ruby,
                    handler,
                    Some(context.env),
                    reason,
                ));
                (Outcome::Answered(exchange), ended)
            }
            Err(error) => self.fail(context, exchange, error),
        }
    }

    fn fail(self, context: &Context<'_>, exchange: Box<Exchange>, error: Error) -> Ended {
        let (outcome, ended) = fail(context.ruby, exchange, error.clone());
        (outcome, ended.and(self.notify(context, Some(&error))))
    }

    fn notify(&self, context: &Context<'_>, error: Option<&Error>) -> Result<(), Error> {
        let status = context.ruby.integer_from_i64(self.status).as_value();
        let answer = Some((status, self.headers.as_value()));
        finished::notify(context.ruby, context.callbacks, context.env, answer, error)
    }
}

type Ended = (Outcome, Result<(), Error>);

/// Status 101 (RFC 6455 section 4.2.2).
fn write_switch(ruby: &Ruby, handshake: &Handshake, headers: RHash, exchange: &mut Exchange) -> Result<(), Error> {
    const OURS: &[&str] = &["connection", "upgrade", "sec-websocket-accept", "sec-websocket-extensions"];
    exchange.response.status = 101;
    let mut writer = ResponseWriter::new(&mut exchange.response.head, 101);
    for (name, value) in handshake.fields() {
        push(&mut writer, name, value);
    }
    write_others(ruby, headers, OURS, &mut writer)?;
    writer.finish(Framing::None, Persistence::Default, &date::now());
    Ok(())
}

/// The head of a response that goes on until the connection ends.
fn write_stream_head(ruby: &Ruby, headers: RHash, exchange: &mut Exchange) -> Result<(), Error> {
    const OURS: &[&str] = &["content-type", "content-length", "transfer-encoding", "cache-control"];
    exchange.response.status = 200;
    let mut writer = ResponseWriter::new(&mut exchange.response.head, 200);
    push(&mut writer, "content-type", "text/event-stream");
    push(&mut writer, "cache-control", "no-cache");
    write_others(ruby, headers, OURS, &mut writer)?;
    writer.finish(Framing::Close, Persistence::Close, &date::now());
    Ok(())
}

/// The application's status, behind which there is no body but whatever the two ends speak.
fn write_raw_head(ruby: &Ruby, status: i64, headers: RHash, exchange: &mut Exchange) -> Result<(), Error> {
    const OURS: &[&str] = &["content-length", "transfer-encoding"];
    // Other informational ones would have the client wait for the final one.
    let status = u16::try_from(status).ok().filter(|status| matches!(status, 101 | 200..=299)).unwrap_or(200);
    exchange.response.status = status;
    let mut writer = ResponseWriter::new(&mut exchange.response.head, status);
    write_others(ruby, headers, OURS, &mut writer)?;
    let framing = if bodyless(status) { Framing::None } else { Framing::Length(0) };
    writer.finish(framing, Persistence::Default, &date::now());
    Ok(())
}

fn write_refusal(refusal: Refusal, exchange: &mut Exchange) {
    let body = format!("{refusal}\n");
    let response = &mut exchange.response;
    response.status = refusal.status();
    response.length = body.len() as u64;
    response.body = ResponseBody::Sent;
    response.close = true;
    let mut writer = ResponseWriter::new(&mut response.head, refusal.status());
    push(&mut writer, "content-type", "text/plain");
    for (name, value) in refusal.fields().iter().filter(|(name, _)| *name != "connection") {
        push(&mut writer, name, value);
    }
    writer.finish(Framing::Length(body.len() as u64), Persistence::Close, &date::now());
    response.head.extend_from_slice(body.as_bytes());
}

/// A field of our own, which is always valid.
fn push(writer: &mut ResponseWriter<'_>, name: &str, value: &str) {
    let _ = writer.field(name.as_bytes(), value.as_bytes());
}

/// The fields of the application but those of these names.
fn write_others(ruby: &Ruby, headers: RHash, ours: &[&str], writer: &mut ResponseWriter<'_>) -> Result<(), Error> {
    let written = each_line(headers, |name, value| {
        let is_ours = ours.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()));
        if is_ours { Ok(()) } else { write_line(ruby, writer, name, value) }
    });
    written.map(drop)
}
