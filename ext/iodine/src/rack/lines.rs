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

/// Names are kept in sets of those whose addresses have the same hash. In a place for each hash two of the twenty names
/// that are usual would meet more often than not, by the chance of where they lie in memory.
const SETS: usize = 32;
const SIZE: usize = 4;
/// Longer names and values are not kept, which bounds the memory of all of them to some 64 KiB.
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 256;

static NAMES: GvlCell<[Set; SETS]> = GvlCell::new([const { Set::new() }; SETS]);

struct Set {
    known: [Option<Known>; SIZE],
    /// The last names that were not found here. What comes once is not kept.
    missed: [rb_sys::VALUE; SIZE],
    /// Which of the missed ones is the oldest.
    oldest: usize,
}

struct Known {
    name: Root,
    /// It has come since another name wanted its place.
    used: bool,
    field: FieldName,
    /// The line of a value that has come twice in a row.
    line: Option<(Root, FieldLine)>,
    /// The last value, if it had no line.
    missed: rb_sys::VALUE,
}

/// Writes a field line if the name is known. False: nothing was written, and it has to be looked at as any other.
pub(super) fn write(ruby: &Ruby, writer: &mut ResponseWriter<'_>, name: Value, value: Value) -> bool {
    let set = &mut NAMES.get(ruby)[index(name.as_raw())];
    if let Some(known) = set.known.iter_mut().flatten().find(|known| known.name.is(name)) {
        known.used = true;
        return known.write(writer, value);
    }
    if set.came_before(name) {
        set.keep(name);
    }
    false
}

/// Objects lie some 40 bytes apart.
fn index(name: rb_sys::VALUE) -> usize {
    (name as usize >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - SETS.ilog2())
}

impl Set {
    const fn new() -> Self {
        Self { known: [const { None }; SIZE], missed: [0; SIZE], oldest: 0 }
    }

    /// Whether a name that is not here was looked for before; from now on it was.
    fn came_before(&mut self, name: Value) -> bool {
        if self.missed.contains(&name.as_raw()) {
            return true;
        }
        self.missed[self.oldest] = name.as_raw();
        self.oldest = (self.oldest + 1) % SIZE;
        false
    }

    /// Keeps a name in the place of one that has not come since it was last asked to leave. Five names that all
    /// come in each response do not drive each other out: the fifth stays outside.
    fn keep(&mut self, name: Value) {
        let Some(newcomer) = Known::new(name) else { return };
        let is_free = |known: &Option<Known>| known.as_ref().is_none_or(|known| !known.used);
        match self.known.iter().position(is_free) {
            Some(free) => self.known[free] = Some(newcomer),
            None => self.known.iter_mut().flatten().for_each(|known| known.used = false),
        }
    }
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
        Some(Self { name: Root::new(name), used: true, field, line: None, missed: 0 })
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
