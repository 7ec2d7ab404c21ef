//! The Hash of a response's header, line by line.

use std::ffi::c_int;
use std::ptr;

use iodine_core::settings::HttpSettings;
use iodine_proto::http1::ResponseWriter;
use magnus::prelude::*;
use magnus::r_hash::ForEach;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::{Error, RArray, RHash, RString, Ruby, Value};

use super::lines;
use super::named::Named;

/// Calls `take` with each field line of a Rack header Hash; it must not run Ruby code. Names that begin with `rack.` are
/// for the server: the value of `rack.hijack` is returned.
///
/// # Errors
/// Those of `take`; what `to_s` of a name or value raises.
pub(super) fn each_line(
    headers: RHash,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<Option<Value>, Error> {
    let mut hijacker = None;
    each_pair(headers, |name, value| take_lines(name, value, &mut hijacker, &mut take))?;
    Ok(hijacker)
}

/// Writes each field line of a response, but those that are for the server: the value of `rack.hijack`, and the file to
/// send instead of the body.
///
/// # Errors
/// `ArgumentError` for what cannot be sent; what `to_s` of a name or value raises.
pub(super) fn write_lines(
    ruby: &Ruby,
    headers: RHash,
    writer: &mut ResponseWriter<'_>,
    settings: &HttpSettings,
) -> Result<(Option<Value>, Option<Named>), Error> {
    let (mut hijacker, mut named) = (None, None);
    each_pair(headers, |name, value| {
        if lines::write(ruby, writer, name, value) {
            return Ok(());
        }
        take_lines(name, value, &mut hijacker, &mut |name, value| match Named::of(name, value, settings) {
            None => write_line(ruby, writer, name, value),
            Some(file) => {
                named = Some(file.after(named.take()));
                Ok(())
            }
        })
    })?;
    Ok((hijacker, named))
}

/// Whether a name may have a meaning for the server, beyond that of the protocol.
pub(super) fn is_for_server(name: &[u8]) -> bool {
    name.starts_with(FOR_SERVER) || Named::is_name(name)
}

const FOR_SERVER: &[u8] = b"rack.";

fn take_lines(
    name: Value,
    value: Value,
    hijacker: &mut Option<Value>,
    take: &mut impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    if name.is_nil() || value.is_nil() {
        return Ok(());
    }
    let name = string_of(name)?;
    // SAFETY: the bytes are compared before any Ruby code runs.
    let bytes = unsafe { name.as_slice() };
    if bytes.starts_with(FOR_SERVER) {
        if bytes == b"rack.hijack" {
            *hijacker = Some(value);
        }
        return Ok(());
    }
    match RArray::from_value(value) {
        Some(values) => (0..values.len()).try_for_each(|index| split_lines(name, values.entry(index as isize)?, take)),
        None => split_lines(name, value, take),
    }
}

/// Writes a field line.
///
/// # Errors
/// `ArgumentError` when it cannot be sent.
pub(super) fn write_line(ruby: &Ruby, writer: &mut ResponseWriter<'_>, name: &[u8], value: &[u8]) -> Result<(), Error> {
    writer.field(name, value).map_err(|error| {
        let message = format!("the response header {:?} cannot be sent: {error}", String::from_utf8_lossy(name));
        Error::new(ruby.exception_arg_error(), message)
    })
}

/// One field line for each line of the value: how Rack 2 gives several values to a name.
fn split_lines(
    name: RString,
    value: Value,
    take: &mut impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let value = string_of(value)?;
    // SAFETY: no Ruby code runs while the slices are in use.
    let (name, value) = unsafe { (name.as_slice(), value.as_slice()) };
    value.split(|&byte| byte == b'\n').try_for_each(|line| take(name, line))
}

fn string_of(value: Value) -> Result<RString, Error> {
    RString::from_value(value).map_or_else(|| value.to_r_string(), Ok)
}

/// Calls `take` with each name and value.
fn each_pair(headers: RHash, mut take: impl FnMut(Value, Value) -> Result<(), Error>) -> Result<(), Error> {
    if headers.len() > AT_ONCE {
        return headers.foreach(|name, value| take(name, value).map(|()| ForEach::Continue));
    }
    let mut pairs = Pairs { noted: [[0; 2]; AT_ONCE], count: 0 };
    pairs.fill(headers);
    pairs.noted[..pairs.count].iter().try_for_each(|pair| {
        // SAFETY: `Pairs::fill` took them from the Hash, and the collector finds them on the stack since.
        let [name, value] = pair.map(|value| unsafe { Value::from_raw(value) });
        take(name, value)
    })
}

/// Pairs that are noted before they are looked at: this iteration needs no protection from exceptions, which costs more
/// than to write a line.
const AT_ONCE: usize = 32;

/// What is in a Hash. To be kept on the stack, where the collector looks.
struct Pairs {
    noted: [[rb_sys::VALUE; 2]; AT_ONCE],
    count: usize,
}

impl Pairs {
    /// Notes the first pairs of a Hash. In its place, because a copy of this size would cost as much as to fill it.
    fn fill(&mut self, hash: RHash) {
        let argument = ptr::from_mut(self).expose_provenance() as rb_sys::VALUE;
        // SAFETY: `hash` is a Hash, and `note` gets the pairs that it casts its argument to. It runs no Ruby code, so
        // the Hash does not change meanwhile, which is the only thing that an iteration raises about.
        unsafe { rb_sys::rb_hash_foreach(hash.as_raw(), Some(note), argument) };
    }
}

unsafe extern "C" fn note(name: rb_sys::VALUE, value: rb_sys::VALUE, pairs: rb_sys::VALUE) -> c_int {
    // SAFETY: see `Pairs::fill`, which waits for us.
    let pairs = unsafe { &mut *ptr::with_exposed_provenance_mut::<Pairs>(pairs as usize) };
    let Some(room) = pairs.noted.get_mut(pairs.count) else { return rb_sys::st_retval::ST_STOP as c_int };
    *room = [name, value];
    pairs.count += 1;
    rb_sys::st_retval::ST_CONTINUE as c_int
}
