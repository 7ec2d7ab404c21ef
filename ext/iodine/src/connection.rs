//! `Iodine::Connection`: a WebSocket, an event stream or a raw connection as the application has it, and the callbacks
//! of its handler.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iodine_core::client::{Client, Event, Protocol};
use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_proto::websocket::{Close, CloseCode, Kind};
use magnus::encoding::EncodingCapable;
use magnus::prelude::*;
use magnus::rb_sys::AsRawValue;
use magnus::scan_args::{get_kwargs, scan_args};
use magnus::typed_data::Obj;
use magnus::value::{LazyId, Opaque};
use magnus::{DataTypeFunctions, Error, RHash, RModule, RString, Ruby, StaticSymbol, TypedData, Value, gc, method};

use crate::class;
use crate::pubsub;
use crate::rack::Applications;
use crate::roots::{Root, SHARED_FROM, shared_bytes};
use crate::worker::{is_jump, report};

/// One for each connection: all callbacks get the same object. One that an application makes itself is closed.
#[derive(Default, TypedData)]
#[magnus(class = "Iodine::Connection", mark, free_immediately)]
pub(crate) struct Connection {
    client: Option<Client>,
    state: Mutex<State>,
}

/// Never locked across a call into Ruby, so the collector, which takes it in `mark`, cannot meet its own thread here.
#[derive(Default)]
struct State {
    env: Option<Opaque<RHash>>,
    handler: Option<Handler>,
    /// What makes other handlers, by the names of ALPN, until the server has taken one.
    others: Option<Opaque<RHash>>,
    /// `on_open` was due: there is, or was, a connection.
    opened: bool,
    /// `on_close` of the handler before runs: the new one is not open yet.
    is_changing: bool,
    /// How the connection ended.
    close: Option<Close>,
}

/// The application's object, and the callbacks it had when it was set.
#[derive(Clone, Copy)]
pub(crate) struct Handler {
    object: Opaque<Value>,
    callbacks: [bool; CALLBACKS.len()],
}

#[derive(Clone, Copy)]
enum Callback {
    Open,
    Message,
    Drained,
    Ping,
    Shutdown,
    Close,
}

/// The names of the callbacks, by the numbers of [`Callback`].
const CALLBACKS: [&str; 6] = ["on_open", "on_message", "on_drained", "ping", "on_shutdown", "on_close"];
static CALLBACK_IDS: [LazyId; CALLBACKS.len()] = [
    LazyId::new(CALLBACKS[0]),
    LazyId::new(CALLBACKS[1]),
    LazyId::new(CALLBACKS[2]),
    LazyId::new(CALLBACKS[3]),
    LazyId::new(CALLBACKS[4]),
    LazyId::new(CALLBACKS[5]),
];

impl DataTypeFunctions for Connection {
    fn mark(&self, marker: &gc::Marker) {
        let state = self.state();
        if let Some(env) = state.env {
            marker.mark(env);
        }
        if let Some(others) = state.others {
            marker.mark(others);
        }
        if let Some(handler) = state.handler {
            marker.mark(handler.object);
        }
    }
}

/// Changes the protocol of a connection: `exchange` has the last answer of HTTP, and the client is the handler's. `env` is
/// what it finds in its `env`.
pub(crate) fn upgrade(
    ruby: &Ruby,
    handle: &Handle,
    exchange: Box<Exchange>,
    client: Client,
    (handler, env): (Handler, Option<RHash>),
) {
    introduce(ruby, &client, handler, env);
    handle.upgrade(exchange, client);
}

/// Gives a client to a handler. The handler is told nothing yet.
fn introduce(ruby: &Ruby, client: &Client, handler: Handler, env: Option<RHash>) -> Obj<Connection> {
    handler.note_wishes(client);
    let state = State { env: env.map(Opaque::from), handler: Some(handler), ..State::default() };
    let connection = ruby.obj_wrap(Connection { client: Some(client.clone()), state: Mutex::new(state) });
    living().insert(client.token(), Root::new(connection.as_value()));
    connection
}

/// Tells a handler that the WebSocket it was meant for did not come about, and why.
///
/// # Errors
/// Only when Ruby ends the thread.
pub(crate) fn refuse(ruby: &Ruby, handler: Handler, env: Option<RHash>, reason: String) -> Result<(), Error> {
    let close = Some(Close { code: CloseCode::ABNORMAL, reason });
    let state = State { env: env.map(Opaque::from), handler: Some(handler), close, ..State::default() };
    let connection = ruby.obj_wrap(Connection { client: None, state: Mutex::new(state) });
    let called = call(ruby, connection, Callback::Close, None);
    connection.bury();
    called
}

/// A client of a connection that the handler is to have, once there is one, unless its server takes one of the `others`.
pub(crate) fn expect(ruby: &Ruby, client: &Client, handler: Handler, others: RHash) {
    let connection = introduce(ruby, client, handler, None);
    connection.state().others = Some(others.into());
}

/// Makes the connection of a descriptor the handler's, which is told so at once.
///
/// # Errors
/// Only when Ruby ends the thread.
pub(crate) fn attach(ruby: &Ruby, client: &Client, handler: Handler, attach: impl FnOnce()) -> Result<(), Error> {
    let connection = introduce(ruby, client, handler, None);
    // The calling thread has the client's job, so nothing that comes meanwhile is told before `on_open` has returned.
    client.take_job();
    attach();
    let opened = open(ruby, connection);
    client.requeue();
    opened
}

/// In a process forked from the one that has the connections: forgets them.
pub(crate) fn forget_all() {
    living().clear();
}

/// Does a client's job: calls back for its events, at most so many that other clients have their turn.
///
/// # Errors
/// Only when Ruby ends the thread; what is left is for another one then.
pub(crate) fn deliver(ruby: &Ruby, applications: &Applications, client: &Client) -> Result<(), Error> {
    let known = living().get(&client.token()).map(|root| root.value(ruby));
    let mut connection = known.map(Obj::<Connection>::try_convert).transpose()?;
    for _ in 0..EVENTS_A_JOB {
        let Some(event) = client.next_event() else { return Ok(()) };
        let told = match (event, connection) {
            (Event::Accepted(listener), _) => {
                accept(ruby, applications, client, listener).map(|accepted| connection = accepted)
            }
            (event, Some(connection)) => tell(ruby, client, connection, event),
            // Nobody wanted the connection.
            (_, None) => Ok(()),
        };
        if told.is_err() {
            client.requeue();
            return told;
        }
    }
    client.requeue();
    Ok(())
}

/// Those whose `on_close` has not returned, by the tokens of their clients.
fn living() -> MutexGuard<'static, HashMap<u64, Root>> {
    static LIVING: LazyLock<Mutex<HashMap<u64, Root>>> = LazyLock::new(Mutex::default);
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the application of a listener for the handler of a connection. `None`: it has none, and the connection closes.
///
/// # Errors
/// Only when Ruby ends the thread.
fn accept(
    ruby: &Ruby,
    applications: &Applications,
    client: &Client,
    listener: usize,
) -> Result<Option<Obj<Connection>>, Error> {
    // A listener is added to `applications` before it accepts.
    let Some(application) = applications.find_raw(listener) else { return Ok(None) };
    let Some(handler) = ask(ruby, client, application.value(ruby), "the handler of a raw listener raised")? else {
        return Ok(None);
    };
    let connection = introduce(ruby, client, handler, None);
    open(ruby, connection)?;
    Ok(Some(connection))
}

/// The server has taken a name: the connection is for what its block returns.
///
/// # Errors
/// Only when Ruby ends the thread.
fn agree(ruby: &Ruby, client: &Client, connection: Obj<Connection>, name: &[u8]) -> Result<(), Error> {
    let others = connection.state().others.take().map(|others| ruby.get_inner(others));
    // A server may only take what it was offered, and that are the names in here.
    let Some(block) = others.and_then(|others| others.get(ruby.enc_str_new(name, ruby.utf8_encoding()))) else {
        return open(ruby, connection);
    };
    let Some(handler) = ask(ruby, client, block, "the block of Iodine::TLS#on_protocol raised")? else { return Ok(()) };
    connection.state().handler = Some(handler);
    handler.note_wishes(client);
    open(ruby, connection)
}

/// Asks the application for the handler of a connection. `None`: it has none, and the connection closes.
///
/// # Errors
/// Only when Ruby ends the thread.
fn ask(ruby: &Ruby, client: &Client, maker: Value, failure: &str) -> Result<Option<Handler>, Error> {
    static CALL: LazyId = LazyId::new("call");
    let object: Result<Value, Error> = maker.funcall(*CALL, ());
    match object.and_then(|object| if is_object(object) { Handler::new(object).map(Some) } else { Ok(None) }) {
        Ok(Some(handler)) => return Ok(Some(handler)),
        Ok(None) => {}
        Err(error) if is_jump(&error) => {
            client.close(nothing_said());
            return Err(error);
        }
        Err(error) => report(ruby, &error, failure),
    }
    client.close(nothing_said());
    Ok(None)
}

/// Whether something can be a handler at all.
fn is_object(value: Value) -> bool {
    value.to_bool() && !value.is_kind_of(Ruby::get_with(value).class_true_class())
}

fn tell(ruby: &Ruby, client: &Client, connection: Obj<Connection>, event: Event) -> Result<(), Error> {
    match event {
        Event::Open | Event::Accepted(_) => open(ruby, connection),
        Event::Agreed(name) => agree(ruby, client, connection, &name),
        Event::Ping => call(ruby, connection, Callback::Ping, None),
        Event::EndOfInput => {
            client.end(nothing_said());
            Ok(())
        }
        Event::Drained => call(ruby, connection, Callback::Drained, None),
        Event::Message(kind, data) => {
            let message = match kind {
                Kind::Text => ruby.enc_str_new(&data, ruby.utf8_encoding()),
                Kind::Binary => ruby.str_from_slice(&data),
            };
            drop(data);
            call(ruby, connection, Callback::Message, Some(message))
        }
        Event::Published(subscription, message) => pubsub::call(ruby, &subscription, &message),
        Event::Shutdown => {
            let called = call(ruby, connection, Callback::Shutdown, None);
            client.end(Close { code: CloseCode::GOING_AWAY, reason: String::new() });
            called
        }
        Event::Close(close) => {
            connection.state().close = Some(close);
            let called = tell_end(ruby, client, connection);
            connection.bury();
            living().remove(&client.token());
            called
        }
    }
}

fn open(ruby: &Ruby, connection: Obj<Connection>) -> Result<(), Error> {
    connection.state().opened = true;
    call(ruby, connection, Callback::Open, None)
}

/// Of a raw connection that did not come about there is nothing to be shown.
fn tell_end(ruby: &Ruby, client: &Client, connection: Obj<Connection>) -> Result<(), Error> {
    let (handler, opened) = {
        let state = connection.state();
        (state.handler, state.opened)
    };
    let shown = (opened || client.protocol() != Protocol::Raw).then_some(connection);
    call_handler(ruby, handler, shown, Callback::Close, None)
}

/// Calls a method of the connection's handler, if it has it. What it raises is logged.
fn call(ruby: &Ruby, connection: Obj<Connection>, callback: Callback, data: Option<RString>) -> Result<(), Error> {
    let handler = connection.state().handler;
    call_handler(ruby, handler, Some(connection), callback, data)
}

fn call_handler(
    ruby: &Ruby,
    handler: Option<Handler>,
    connection: Option<Obj<Connection>>,
    callback: Callback,
    data: Option<RString>,
) -> Result<(), Error> {
    let Some(handler) = handler.filter(|handler| handler.has(callback)) else { return Ok(()) };
    let (object, name) = (ruby.get_inner(handler.object), *CALLBACK_IDS[callback as usize]);
    let called: Result<Value, Error> = match data {
        Some(data) => object.funcall(name, (connection, data)),
        None => object.funcall(name, (connection,)),
    };
    match called {
        Err(error) if is_jump(&error) => Err(error),
        Err(error) => {
            report(ruby, &error, &format!("{} of a connection raised", CALLBACKS[callback as usize]));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

impl Handler {
    /// # Errors
    /// What `respond_to?` raises.
    pub(crate) fn new(object: Value) -> Result<Self, Error> {
        let mut callbacks = [false; CALLBACKS.len()];
        for (has, name) in callbacks.iter_mut().zip(&CALLBACK_IDS) {
            *has = object.respond_to(**name, false)?;
        }
        Ok(Self { object: object.into(), callbacks })
    }

    /// Lets the client know what to tell.
    fn note_wishes(&self, client: &Client) {
        client.want_drained(self.has(Callback::Drained));
        client.want_ping(self.has(Callback::Ping));
    }

    fn has(&self, callback: Callback) -> bool {
        self.callbacks[callback as usize]
    }
}

impl Connection {
    fn write(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<bool, Error> {
        let arguments = scan_args::<(Value,), (), (), (), RHash, ()>(arguments)?;
        let (data,) = arguments.required;
        let data = match RString::from_value(data) {
            Some(string) => string,
            None => {
                log::warn!("Iodine::Connection#write was given no String: what its to_s returns is sent");
                data.to_r_string()?
            }
        };
        let Some(client) = &this.client else { return Ok(false) };
        match client.protocol() {
            Protocol::WebSocket if arguments.keywords.is_empty() => Ok(write_message(ruby, client, data)),
            Protocol::Raw if arguments.keywords.is_empty() => Ok(write_bytes(client, data)),
            Protocol::WebSocket | Protocol::Raw => {
                Err(Error::new(ruby.exception_arg_error(), "event:, id: and retry: are for event streams"))
            }
            Protocol::Sse => write_event(ruby, client, data, arguments.keywords),
        }
    }

    fn close(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<(), Error> {
        let arguments = scan_args::<(), (Option<Option<i64>>, Option<Option<String>>), (), (), (), ()>(arguments)?;
        let (code, reason) = arguments.optional;
        let code = match code.flatten() {
            None => CloseCode::NO_STATUS,
            Some(number) => u16::try_from(number).ok().and_then(CloseCode::new).ok_or_else(|| {
                let message =
                    format!("{number} is no code to close with: use 1000 to 1003, 1007 to 1014, or 3000 to 4999");
                Error::new(ruby.exception_arg_error(), message)
            })?,
        };
        if let Some(client) = &this.client {
            client.close(Close { code, reason: reason.flatten().unwrap_or_default() });
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.open_client().is_some()
    }

    /// Writes that have not left; -1 when it is closed.
    fn pending(&self) -> i64 {
        self.open_client().map_or(-1, |client| client.pending() as i64)
    }

    fn protocol(ruby: &Ruby, this: &Self) -> Option<StaticSymbol> {
        let client = this.client.as_ref()?;
        this.state().handler?;
        Some(match client.protocol() {
            Protocol::WebSocket => ruby.sym_new("websocket"),
            Protocol::Sse => ruby.sym_new("sse"),
            Protocol::Raw => ruby.sym_new("raw"),
        })
    }

    fn timeout(&self) -> Option<u64> {
        self.open_client().map(|client| client.timeout().as_secs())
    }

    fn set_timeout(ruby: &Ruby, this: &Self, seconds: i64) -> Result<(), Error> {
        let seconds =
            u8::try_from(seconds).map_err(|_| Error::new(ruby.exception_range_error(), "timeout out of range."))?;
        if let Some(client) = this.open_client() {
            client.set_timeout(Duration::from_secs(seconds.into()));
        }
        Ok(())
    }

    fn env(ruby: &Ruby, this: &Self) -> Option<RHash> {
        this.state().env.map(|env| ruby.get_inner(env))
    }

    fn handler(ruby: &Ruby, this: &Self) -> Option<Value> {
        this.state().handler.map(|handler| ruby.get_inner(handler.object))
    }

    /// Gives the connection to another handler, after `on_close` of the one before. Without one, closes it.
    ///
    /// What that `on_close` sets takes the place of the new handler, which has not been told anything yet: if it were
    /// closed in its turn, two handlers that do not let go would replace each other for ever.
    fn set_handler(ruby: &Ruby, this: Obj<Self>, object: Value) -> Result<(), Error> {
        let Some(client) = this.open_client() else { return Ok(()) };
        if !object.to_bool() {
            return Self::close(ruby, &this, &[]);
        }
        if Self::handler(ruby, &this).is_some_and(|before| before.as_raw() == object.as_raw()) {
            return Ok(());
        }
        let handler = Handler::new(object)?;
        handler.note_wishes(client);
        let (before, is_nested) = {
            let mut state = this.state();
            (state.handler.replace(handler), std::mem::replace(&mut state.is_changing, true))
        };
        if is_nested {
            return Ok(());
        }
        let closed = call_handler(ruby, before, Some(this), Callback::Close, None);
        this.state().is_changing = false;
        closed?;
        call(ruby, this, Callback::Open, None)
    }

    fn close_code(&self) -> Option<u16> {
        // Without a client it is a WebSocket that did not come about.
        let is_socket = self.client.as_ref().is_none_or(|client| client.protocol() == Protocol::WebSocket);
        self.state().close.as_ref().filter(|_| is_socket).map(|close| close.code.get())
    }

    fn close_reason(&self) -> Option<String> {
        self.close_code().and_then(|_| self.state().close.as_ref().map(|close| close.reason.clone()))
    }

    /// The version of the pub/sub interface.
    fn pubsub(&self) -> i64 {
        0
    }

    pub(crate) fn open_client(&self) -> Option<&Client> {
        self.client.as_ref().filter(|client| client.is_open())
    }

    /// Nothing follows: what the application gave is let go.
    fn bury(&self) {
        let mut state = self.state();
        state.env = None;
        state.handler = None;
        state.others = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A String in UTF-8 is a text, if it is valid; everything else is binary.
fn write_message(ruby: &Ruby, client: &Client, data: RString) -> bool {
    let is_text = data.enc_get() == ruby.utf8_encindex();
    // SAFETY: no Ruby code runs while the content is copied.
    let payload = unsafe { data.as_slice() };
    let kind = if is_text { Kind::of(payload) } else { Kind::Binary };
    client.send_message(kind, payload)
}

/// A large String is not copied: the connection keeps it until it has left.
fn write_bytes(client: &Client, data: RString) -> bool {
    if data.len() >= SHARED_FROM {
        return client.is_open() && client.send_bytes(shared_bytes(data));
    }
    // SAFETY: no Ruby code runs while the content is copied.
    let bytes = Bytes::copy_from_slice(unsafe { data.as_slice() });
    client.send_bytes(bytes)
}

fn write_event(ruby: &Ruby, client: &Client, data: RString, keywords: RHash) -> Result<bool, Error> {
    type Optional = (Option<Option<RString>>, Option<Option<RString>>, Option<Option<u64>>);
    let keywords = get_kwargs::<_, (), Optional, ()>(keywords, &[], &["event", "id", "retry"])?;
    let (event, id, retry) = keywords.optional;
    let (event, id, retry) = (event.flatten(), id.flatten(), retry.flatten());
    if data.is_empty() && event.is_none() && id.is_none() && retry.is_none() {
        return Ok(client.is_open());
    }
    // SAFETY: no Ruby code runs while the contents are copied.
    let sent = unsafe {
        let (event, id) = (event.as_ref().map(|event| event.as_slice()), id.as_ref().map(|id| id.as_slice()));
        client.send_event(data.as_slice(), event, id, retry)
    };
    sent.map_err(|error| Error::new(ruby.exception_arg_error(), error.to_string()))
}

/// A close without a code.
fn nothing_said() -> Close {
    Close { code: CloseCode::NO_STATUS, reason: String::new() }
}

/// Events of one client that a thread takes before it looks at other jobs.
const EVENTS_A_JOB: usize = 32;

pub(crate) fn init(ruby: &Ruby, iodine: RModule) -> Result<(), Error> {
    let class = class::define::<Connection>(ruby, iodine, "Connection")?;
    class.define_alloc_func::<Connection>();
    class.define_method("write", method!(Connection::write, -1))?;
    class.define_method("close", method!(Connection::close, -1))?;
    class.define_method("open?", method!(Connection::is_open, 0))?;
    class.define_method("pending", method!(Connection::pending, 0))?;
    class.define_method("protocol", method!(Connection::protocol, 0))?;
    class.define_method("timeout", method!(Connection::timeout, 0))?;
    class.define_method("timeout=", method!(Connection::set_timeout, 1))?;
    class.define_method("env", method!(Connection::env, 0))?;
    class.define_method("handler", method!(Connection::handler, 0))?;
    class.define_method("handler=", method!(Connection::set_handler, 1))?;
    class.define_method("close_code", method!(Connection::close_code, 0))?;
    class.define_method("close_reason", method!(Connection::close_reason, 0))?;
    class.define_method("pubsub?", method!(Connection::pubsub, 0))
}
