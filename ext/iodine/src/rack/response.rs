//! What the application returned, on its way to the peer.

use std::path::PathBuf;

use iodine_core::date;
use iodine_core::exchange::{Exchange, ResponseBody};
use iodine_core::files::{Given, Reply, Representation, sendfile};
use iodine_core::handle::Handle;
use iodine_core::settings::HttpSettings;
use iodine_proto::http1::{Framing, Persistence, ResponseWriter, Version, bodyless};
use magnus::prelude::*;
use magnus::rb_sys::AsRawValue;
use magnus::{Error, Integer, RArray, RHash, RString, Ruby, Value};
use rb_sys::{StableApiDefinition, stable_api};

use super::body::{Produced, Writer, wait_for_room};
use super::each::each;
use super::fields::{each_line, write_line, write_lines};
use super::hijack::{io_of, take_socket};
use super::input::Input;
use super::named::Named;
use super::stream::BodyStream;
use super::{Outcome, fail, finished};
use crate::roots::{SHARED_FROM, shared_bytes};
use crate::worker::{conclude, is_jump};

/// Where an answer goes.
pub(super) struct Context<'a> {
    pub(super) ruby: &'a Ruby,
    pub(super) handle: &'a Handle,
    pub(super) settings: &'a HttpSettings,
    pub(super) env: RHash,
    pub(super) callbacks: RArray,
    pub(super) input: Option<Input>,
}

type Ended = (Outcome, Result<(), Error>);

/// Sends what the application returned, or 500 when that is no Rack response.
pub(super) fn send(context: Context<'_>, mut exchange: Box<Exchange>, returned: Value) -> Ended {
    let answer = match Answer::of(context.ruby, returned) {
        Ok(answer) => answer,
        Err(error) => return refuse(&context, exchange, None, error),
    };
    match answer.write_head(&context, &mut exchange) {
        Ok(Plan::Complete) => {
            let closed = close(context.ruby, answer.body);
            (Outcome::Answered(exchange), closed.and(context.notify(Some(&answer), None)))
        }
        Ok(Plan::Each(produced)) => send_each(&context, exchange, &answer, produced),
        Ok(Plan::Call(produced)) => send_call(context, exchange, &answer, produced),
        Ok(Plan::Hijack(callable)) => give_socket(&context, exchange, &answer, callable),
        Err(error) => {
            let closed = close(context.ruby, answer.body);
            let (outcome, ended) = refuse(&context, exchange, Some(&answer), error);
            (outcome, closed.and(ended))
        }
    }
}

/// Makes `exchange.response` a plain 500, or the page that there is for it.
pub(super) fn server_error(exchange: &mut Exchange) {
    answer_error(exchange, 500);
}

fn answer_error(exchange: &mut Exchange, status: u16) {
    let response = &mut exchange.response;
    response.head.clear();
    response.body = ResponseBody::Sent;
    response.close |= !exchange.head.keep_alive();
    response.status = status;
    response.error = Some(status);
}

/// What the application answered.
struct Answer {
    status: u16,
    headers: RHash,
    body: Value,
    /// Status and headers as they were given, for `rack.response_finished`.
    given: (Value, Value),
}

/// How the body is sent, once the head is written.
enum Plan {
    /// All of it is in `Exchange::response`.
    Complete,
    /// By `each`.
    Each(Produced),
    /// By `call` with a stream.
    Call(Produced),
    /// Not by us: the socket goes to this callable.
    Hijack(Value),
}

/// The kinds of body.
enum Shape {
    Known(Known),
    File(Box<Representation>),
    Each,
    Call,
}

/// A body that is there in full.
enum Known {
    Nothing,
    One(RString),
    Many(RArray),
}

impl Answer {
    fn of(ruby: &Ruby, returned: Value) -> Result<Self, Error> {
        let triple = RArray::from_value(returned)
            .filter(|triple| triple.len() >= 3)
            .ok_or_else(|| bad_answer(ruby, "the application must return [status, headers, body]", returned))?;
        // SAFETY: copied at once, before the application can change the Array.
        let [status, headers, body] = unsafe { [0, 1, 2].map(|index| triple.as_slice()[index]) };
        let checked = status_of(ruby, status).and_then(|status| Ok((status, header_hash(ruby, headers)?)));
        let given = (status, headers);
        match checked {
            Ok((status, headers)) => Ok(Self { status, headers, body, given }),
            Err(error) => close(ruby, body).and(Err(error)),
        }
    }

    /// Writes the head, and with it as much of the body as is known.
    fn write_head(&self, context: &Context<'_>, exchange: &mut Exchange) -> Result<Plan, Error> {
        let ruby = context.ruby;
        exchange.response.status = self.status;
        let head_only = exchange.head.is_head();
        let old_version = exchange.head.version() == Version::Http10;
        let mut close = !exchange.head.keep_alive() || context.handle.is_draining();
        let mut bytes = std::mem::take(&mut exchange.response.head);
        // The buffer of a streamed response was given away with it.
        bytes.reserve(USUAL_HEAD);
        let mut writer = ResponseWriter::new(&mut bytes, self.status);
        let (hijacker, named) = write_lines(ruby, self.headers, &mut writer, context.settings)?;
        close |= writer.closes();

        if let Some(callable) = hijacker {
            let persistence = if self.status == 101 { Persistence::Default } else { Persistence::Close };
            writer.finish(Framing::None, persistence, &date::now());
            exchange.response.head = bytes;
            return Ok(Plan::Hijack(callable));
        }
        let content_length = writer.content_length();
        if bodyless(self.status) {
            let framing = if self.status == 304 { Framing::Head(content_length) } else { Framing::None };
            // After an interim status the peer waits for the final one, which will not come.
            close |= self.status < 200;
            writer.finish(framing, persistence(exchange, close), &date::now());
            exchange.response.head = bytes;
            exchange.response.close = close;
            return Ok(Plan::Complete);
        }
        if self.status == RESET_CONTENT {
            writer.finish(Framing::Length(0), persistence(exchange, close), &date::now());
            exchange.response.head = bytes;
            exchange.response.close = close;
            return Ok(Plan::Complete);
        }
        if let Some(named) = named
            && context.settings.sendfile.is_some()
        {
            exchange.response.head = bytes;
            return self.send_named(context, exchange, &named);
        }
        let shape = self.shape(context, content_length)?;
        if let Shape::File(file) = &shape {
            exchange.response.head = bytes;
            return self.send_file(context, exchange, file, &self.given()?);
        }
        let length = shape.length()?;
        let (framing, produced) = match (length, content_length) {
            _ if head_only => (Framing::Head(content_length.or(length)), Produced::Plain),
            _ if writer.has_transfer_encoding() => (Framing::Given, Produced::Plain),
            (Some(length), _) => (Framing::Length(length), Produced::Plain),
            (_, Some(length)) => (Framing::Length(length), Produced::Counted(length)),
            _ if old_version => (Framing::Close, Produced::Plain),
            _ => (Framing::Chunked, Produced::Chunked),
        };
        close |= framing == Framing::Close;
        writer.finish(framing, persistence(exchange, close), &date::now());
        exchange.response.head = bytes;
        exchange.response.close = close;
        if head_only {
            return Ok(Plan::Complete);
        }
        match shape {
            Shape::Known(known) => {
                exchange.response.length = length.unwrap_or(0);
                known.put_into(exchange)?;
            }
            // Sent above.
            Shape::File(_) => {}
            Shape::Each => return Ok(Plan::Each(produced)),
            Shape::Call => return Ok(Plan::Call(produced)),
        }
        Ok(Plan::Complete)
    }

    /// The answer is the file that a header names.
    fn send_named(&self, context: &Context<'_>, exchange: &mut Exchange, named: &Named) -> Result<Plan, Error> {
        let given = self.given()?;
        let Some(sendfile) = &context.settings.sendfile else { return Ok(Plan::Complete) };
        match named.find(sendfile, &exchange.head, &given) {
            Ok(Some(file)) => return self.send_file(context, exchange, &file, &given),
            Ok(None) => {
                log::error!("{}: {named} is no file that can be sent", place_of(exchange));
                answer_error(exchange, 404);
            }
            Err(error) => {
                log::error!("{}: {named} could not be opened: {error}", place_of(exchange));
                answer_error(exchange, 500);
            }
        }
        Ok(Plan::Complete)
    }

    fn send_file(
        &self,
        context: &Context<'_>,
        exchange: &mut Exchange,
        file: &Representation,
        given: &Given,
    ) -> Result<Plan, Error> {
        let reply = Reply::new(file, &exchange.head, self.status, given);
        let mut bytes = std::mem::take(&mut exchange.response.head);
        bytes.clear();
        let mut writer = ResponseWriter::new(&mut bytes, reply.status);
        each_line(self.headers, |name, value| {
            if reply.keeps(name) && Named::of(name, value, context.settings).is_none() {
                write_line(context.ruby, &mut writer, name, value)?;
            }
            Ok(())
        })?;
        reply.write_fields(&mut writer);
        let close = !exchange.head.keep_alive() || context.handle.is_draining() || writer.closes();
        writer.finish(reply.framing, persistence(exchange, close), &date::now());
        let response = &mut exchange.response;
        response.head = bytes;
        response.status = reply.status;
        response.length = reply.length();
        response.body = reply.body;
        response.close = close;
        Ok(Plan::Complete)
    }

    /// The fields that concern a file.
    fn given(&self) -> Result<Given, Error> {
        let mut given = Given::default();
        each_line(self.headers, |name, value| {
            given.note(name, value);
            Ok(())
        })?;
        Ok(given)
    }

    fn shape(&self, context: &Context<'_>, content_length: Option<u64>) -> Result<Shape, Error> {
        let ruby = context.ruby;
        let body = self.body;
        if body.is_nil() {
            return Ok(Shape::Known(Known::Nothing));
        }
        if let Some(parts) = RArray::from_value(body) {
            return Known::of(ruby, parts).map(Shape::Known);
        }
        if let Some(string) = RString::from_value(body) {
            return Ok(Shape::Known(Known::One(string)));
        }
        if let Some(file) = self.file(context)?
            && content_length.is_none_or(|announced| announced == file.length())
        {
            return Ok(Shape::File(Box::new(file)));
        }
        if body.respond_to("each", false)? {
            Ok(Shape::Each)
        } else if body.respond_to("call", false)? {
            Ok(Shape::Call)
        } else if body.respond_to("to_ary", false)? {
            Known::of(ruby, body.funcall("to_ary", ())?).map(Shape::Known)
        } else {
            Err(bad_answer(ruby, "a body must respond to each or call", body))
        }
    }

    /// The file behind a body that has a path. A body that stands for a part of it says so by its status or length,
    /// and sends it by `each`.
    fn file(&self, context: &Context<'_>) -> Result<Option<Representation>, Error> {
        if self.status != 200 || !self.body.respond_to("to_path", false)? {
            return Ok(None);
        }
        let path: PathBuf = self.body.funcall("to_path", ())?;
        Ok(sendfile::body(&path, &context.settings.mime_types).unwrap_or_else(|error| {
            log::error!("{} could not be opened: {error}", path.display());
            None
        }))
    }
}

impl Shape {
    fn length(&self) -> Result<Option<u64>, Error> {
        match self {
            Self::Known(known) => known.length().map(Some),
            Self::File(file) => Ok(Some(file.length())),
            Self::Each | Self::Call => Ok(None),
        }
    }
}

impl Known {
    fn of(ruby: &Ruby, parts: RArray) -> Result<Self, Error> {
        // SAFETY: no Ruby code runs while the slice is in use, but to tell of a mistake, when it is in use no longer.
        let all = unsafe { parts.as_slice() };
        if let [part] = all
            && let Some(string) = RString::from_value(*part)
        {
            return Ok(Self::One(string));
        }
        match all.iter().find(|part| RString::from_value(**part).is_none()) {
            Some(&part) => Err(bad_answer(ruby, "the parts of a body must be Strings", part)),
            None if all.is_empty() => Ok(Self::Nothing),
            None => Ok(Self::Many(parts)),
        }
    }

    fn length(&self) -> Result<u64, Error> {
        match self {
            Self::Nothing => Ok(0),
            Self::One(string) => Ok(string.len() as u64),
            Self::Many(parts) => {
                let mut length = 0;
                for index in 0..parts.len() {
                    length += parts.entry::<RString>(index as isize)?.len() as u64;
                }
                Ok(length)
            }
        }
    }

    fn put_into(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let response = &mut exchange.response;
        match self {
            Self::Nothing => {}
            Self::One(string) if string.len() > COPIED_UP_TO => {
                response.body = ResponseBody::Shared(shared_bytes(*string));
            }
            // SAFETY: no Ruby code runs while the content is copied.
            Self::One(string) => response.head.extend_from_slice(unsafe { string.as_slice() }),
            Self::Many(parts) => {
                for index in 0..parts.len() {
                    let part: RString = parts.entry(index as isize)?;
                    // SAFETY: no Ruby code runs while the content is copied.
                    response.head.extend_from_slice(unsafe { part.as_slice() });
                }
            }
        }
        Ok(())
    }
}

/// Heads are seldom larger, so that a new buffer need not grow by steps.
const USUAL_HEAD: usize = 256;

/// Has no content, and says so by a length of 0 (RFC 9110, 15.3.6).
const RESET_CONTENT: u16 = 205;

/// Bodies up to this size are copied behind their head: one buffer, one write.
const COPIED_UP_TO: usize = SHARED_FROM;

impl Context<'_> {
    /// The application's part is over.
    fn notify(&self, answer: Option<&Answer>, error: Option<&Error>) -> Result<(), Error> {
        finished::notify(self.ruby, self.callbacks, self.env, answer.map(|answer| answer.given), error)
    }
}

fn send_each(context: &Context<'_>, mut exchange: Box<Exchange>, answer: &Answer, produced: Produced) -> Ended {
    let ruby = context.ruby;
    let head = std::mem::take(&mut exchange.response.head);
    let mut writer = Writer::new(context.handle.stream(exchange.connection, head), produced);
    let mut gone = false;
    let iterated = each(ruby, answer.body, &mut |ruby, chunk| {
        let chunk = RString::from_value(chunk).ok_or_else(|| bad_answer(ruby, "a body must yield Strings", chunk))?;
        if writer.write(chunk) && wait_for_room(ruby, writer.stream())? {
            return Ok(());
        }
        gone = true;
        Err(Error::new(ruby.exception_io_error(), "the peer has closed the connection"))
    });
    let ended = produced_by(context, answer, iterated.as_ref().err(), gone, || place_of(&exchange));
    if iterated.is_ok()
        && let Some(end) = writer.end()
    {
        exchange.response.head.extend_from_slice(end);
        exchange.response.length = writer.written();
        return (Outcome::Answered(exchange), ended);
    }
    break_off(context.handle, exchange);
    (Outcome::Taken, ended)
}

/// A body was produced, up to `error` if there is one. That the peer has `gone` is no news.
fn produced_by(
    context: &Context<'_>,
    answer: &Answer,
    error: Option<&Error>,
    gone: bool,
    place: impl FnOnce() -> String,
) -> Result<(), Error> {
    let ended = match error {
        Some(error) if !gone || is_jump(error) => {
            conclude(context.ruby, error.clone(), &format!("{}: the body raised", place()))
        }
        _ => Ok(()),
    };
    ended.and(close(context.ruby, answer.body)).and(context.notify(Some(answer), error))
}

/// Ends a response that cannot be completed.
pub(super) fn break_off(handle: &Handle, mut exchange: Box<Exchange>) {
    server_error(&mut exchange);
    handle.fail(exchange);
}

fn send_call(mut context: Context<'_>, mut exchange: Box<Exchange>, answer: &Answer, produced: Produced) -> Ended {
    let ruby = context.ruby;
    let head = std::mem::take(&mut exchange.response.head);
    let place = place_of(&exchange);
    let writer = Writer::new(context.handle.stream(exchange.connection, head), produced);
    let stream = BodyStream::new(writer, exchange, context.handle.clone(), context.input.take());
    let stream = ruby.obj_wrap(stream);
    let called = answer.body.funcall::<_, _, Value>("call", (stream,));
    let error = called.err();
    let gone = error.is_some() && stream.is_gone();
    if error.is_some() {
        stream.abort();
    }
    (Outcome::Taken, produced_by(&context, answer, error.as_ref(), gone, || place))
}

/// Partial hijack: our head, and the socket for the application.
fn give_socket(context: &Context<'_>, mut exchange: Box<Exchange>, answer: &Answer, callable: Value) -> Ended {
    let ruby = context.ruby;
    context.handle.interim(exchange.connection, std::mem::take(&mut exchange.response.head));
    let given = take_socket(ruby, context.handle, exchange.connection, exchange.next.take())
        .and_then(|hijacked| io_of(ruby, hijacked))
        .and_then(|io| callable.funcall::<_, _, Value>("call", (io,)));
    let error = given.err();
    let ended =
        error.clone().map_or(Ok(()), |error| conclude(ruby, error, &format!("{}: rack.hijack", place_of(&exchange))));
    let ended = ended.and(close(ruby, answer.body)).and(context.notify(Some(answer), error.as_ref()));
    (Outcome::Taken, ended)
}

/// What the application returned cannot be sent.
fn refuse(context: &Context<'_>, exchange: Box<Exchange>, answer: Option<&Answer>, error: Error) -> Ended {
    let (outcome, ended) = fail(context.ruby, exchange, error.clone());
    (outcome, ended.and(context.notify(answer, Some(&error))))
}

/// Calls `close`, which every body is owed once.
///
/// # Errors
/// When it has ended the thread.
pub(super) fn close(ruby: &Ruby, body: Value) -> Result<(), Error> {
    if is_plain_array(ruby, body) {
        return Ok(());
    }
    let closed = match body.respond_to("close", false) {
        Ok(true) => body.funcall::<_, _, Value>("close", ()).map(drop),
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    closed.or_else(|error| conclude(ruby, error, "the close method of a response body raised"))
}

/// Whether it is an Array with no methods of its own, and so without `close`.
fn is_plain_array(ruby: &Ruby, value: Value) -> bool {
    // SAFETY: an Array is an object with a class: its own one, if it has methods of its own.
    let class_of = |array: RArray| unsafe { stable_api::get_default().rbasic_class(array.as_raw()) };
    let class = RArray::from_value(value).and_then(class_of);
    class.is_some_and(|class| class.as_ptr().addr() == ruby.class_array().as_raw() as usize)
}

fn persistence(exchange: &Exchange, close: bool) -> Persistence {
    match (close, exchange.head.version()) {
        (true, _) => Persistence::Close,
        (false, Version::Http10) => Persistence::KeepAlive,
        (false, Version::Http11) => Persistence::Default,
    }
}

fn status_of(ruby: &Ruby, status: Value) -> Result<u16, Error> {
    let number = match (Integer::from_value(status), RString::from_value(status)) {
        (Some(integer), _) => integer.to_i64().ok(),
        (None, Some(string)) => string.to_string()?.trim().parse().ok(),
        (None, None) => None,
    };
    number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|status| (100..=999).contains(status))
        .ok_or_else(|| bad_answer(ruby, "the status must be an Integer from 100 to 999", status))
}

fn header_hash(ruby: &Ruby, headers: Value) -> Result<RHash, Error> {
    match RHash::from_value(headers) {
        Some(hash) => Ok(hash),
        None if headers.respond_to("to_h", false)? => headers.funcall("to_h", ()),
        None => Err(bad_answer(ruby, "the headers must be a Hash", headers)),
    }
}

fn bad_answer(ruby: &Ruby, rule: &str, given: Value) -> Error {
    // SAFETY: the name is copied at once.
    let class = unsafe { given.classname() }.into_owned();
    Error::new(ruby.exception_type_error(), format!("{rule}; got {} ({class})", inspect(given)))
}

/// The start of `inspect`: a body may be large.
fn inspect(value: Value) -> String {
    value.inspect().chars().take(80).collect()
}

pub(super) fn place_of(exchange: &Exchange) -> String {
    format!(
        "{} {}",
        String::from_utf8_lossy(exchange.head.method()).escape_debug(),
        String::from_utf8_lossy(exchange.head.path()).escape_debug()
    )
}
