//! Field lines that applications send with every response.
//!
//! The key of a Hash is a frozen String, and Ruby has one object for all keys of the same content. Many values are
//! frozen as well: literals, and the results of other caches. So what has to be found out about a name, and often the
//! whole line, is found by the place of the objects in memory, which are kept there.

use iodine_proto::http1::{FieldLine, FieldName, ResponseWriter};
use magnus::prelude::*;
use magnus::rb_sys::AsRawValue;
use magnus::{RString, Ruby, Value};

use super::fields::is_for_server;
use crate::gvl::GvlCell;
use crate::roots::Root;

/// Names that are kept at most.
const NAMES: usize = 128;
/// Longer names and values are not kept, which bounds the memory of all of them to some 64 KiB.
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 256;

/// A place for each hash of an address.
static PLACES: GvlCell<[Place; NAMES]> = GvlCell::new([const { Place { known: None, missed: 0 } }; NAMES]);

struct Place {
    known: Option<Known>,
    /// The last name, if it was not found here. What comes once is not kept, nor what takes turns with another one.
    missed: rb_sys::VALUE,
}

struct Known {
    name: Root,
    field: FieldName,
    /// The line of a value that has come twice in a row.
    line: Option<(Root, FieldLine)>,
    /// The last value, if it had no line.
    missed: rb_sys::VALUE,
}

/// Writes a field line if the name is known. False: nothing was written, and it has to be looked at as any other.
pub(super) fn write(ruby: &Ruby, writer: &mut ResponseWriter<'_>, name: Value, value: Value) -> bool {
    let place = &mut PLACES.get(ruby)[index(name.as_raw())];
    match &mut place.known {
        Some(known) if known.name.is(name) => {
            place.missed = 0;
            known.write(writer, value)
        }
        _ => {
            if std::mem::replace(&mut place.missed, name.as_raw()) == name.as_raw() {
                place.known = Known::new(name);
            }
            false
        }
    }
}

/// Objects lie some 40 bytes apart.
fn index(name: rb_sys::VALUE) -> usize {
    (name as usize >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - NAMES.ilog2())
}

impl Known {
    /// `None`: it must not be kept.
    fn new(name: Value) -> Option<Self> {
        let string = RString::from_value(name).filter(|string| string.is_frozen())?;
        // SAFETY: no Ruby code runs while the slice is in use.
        let bytes = unsafe { string.as_slice() };
        if bytes.len() > LONGEST_NAME || is_for_server(bytes) {
            return None;
        }
        let field = FieldName::new(bytes)?;
        Some(Self { name: Root::new(name), field, line: None, missed: 0 })
    }

    fn write(&mut self, writer: &mut ResponseWriter<'_>, value: Value) -> bool {
        if let Some((known, line)) = &self.line
            && known.is(value)
        {
            self.missed = 0;
            return writer.known_line(line).is_ok();
        }
        let Some(string) = RString::from_value(value) else { return false };
        // SAFETY: no Ruby code runs while the slice is in use.
        let bytes = unsafe { string.as_slice() };
        let written = writer.known_field(&self.field, bytes).is_ok();
        if written && string.is_frozen() && bytes.len() <= LONGEST_VALUE {
            self.note(value, bytes);
        }
        written
    }

    /// A frozen value has come.
    fn note(&mut self, value: Value, bytes: &[u8]) {
        if std::mem::replace(&mut self.missed, value.as_raw()) == value.as_raw() {
            self.line = FieldLine::new(&self.field, bytes).ok().map(|line| (Root::new(value), line));
        }
    }
}
