//! The names of a template, as Ruby knows them.

use std::str;

use iodine_mustache as mustache;
use magnus::prelude::*;
use magnus::rb_sys::{AsRawId, AsRawValue, FromRawId, FromRawValue, protect};
use magnus::value::Id;
use magnus::{Error, RHash, Ruby, Value};

/// A name as a Symbol, interned when the template is compiled. None for bytes that are not UTF-8: such a name is found
/// nowhere.
#[derive(Clone, Copy)]
pub(super) struct Key(Option<Name>);

#[derive(Clone, Copy)]
struct Name {
    id: rb_sys::ID,
    /// Invariant: the Symbol of `id`. A Symbol that has an ID is neither collected nor moved.
    symbol: rb_sys::VALUE,
}

impl Name {
    fn is_static(&self) -> bool {
        rb_sys::STATIC_SYM_P(self.symbol)
    }
}

impl mustache::Key for Key {
    fn new(name: &[u8]) -> Self {
        // SAFETY: templates are compiled by methods that Ruby calls, so the lock is held.
        let ruby = unsafe { Ruby::get_unchecked() };
        Key(str::from_utf8(name).ok().map(|name| {
            let id = ruby.intern(name).as_raw();
            // SAFETY: the ID has just been interned.
            let symbol = unsafe { rb_sys::rb_id2sym(id) };
            Name { id, symbol }
        }))
    }
}

impl Key {
    /// The entry of a Hash by Symbol, as far as that takes no more than a look.
    #[inline]
    pub(super) fn quick_entry(self, hash: RHash) -> Option<Value> {
        let name = self.0.filter(|name| name.is_static())?;
        // SAFETY: a Hash, and a Symbol that is no heap object. Ruby hashes it by itself, compares it by identity and asks
        // no other key, so nothing can raise.
        let found = unsafe { look_up(hash, name.symbol) };
        // SAFETY: a value of the Hash, which the caller keeps.
        (found != NOTHING).then(|| unsafe { Value::from_raw(found) })
    }

    /// The entry of a Hash that [`Key::quick_entry`] did not find: by Symbol, if it did not look, or else by String.
    /// The Hash's defaults do not count.
    pub(super) fn other_entry(self, hash: RHash) -> Result<Option<Value>, Error> {
        let Some(name) = self.0 else {
            return Ok(None);
        };
        let found = protect(|| {
            // SAFETY: a Hash and a Symbol; an exception is caught.
            let by_symbol = if name.is_static() { NOTHING } else { unsafe { look_up(hash, name.symbol) } };
            // SAFETY: as above; the String of a Symbol lives as long as the Symbol.
            if by_symbol == NOTHING { unsafe { look_up(hash, rb_sys::rb_sym2str(name.symbol)) } } else { by_symbol }
        })?;
        // SAFETY: a value of the Hash, which the caller keeps.
        Ok((found != NOTHING).then(|| unsafe { Value::from_raw(found) }))
    }

    /// What the public method of this name returns. None if there is no such method, or if it needs arguments.
    pub(super) fn call(self, object: Value) -> Result<Option<Value>, Error> {
        let Some(name) = self.0 else {
            return Ok(None);
        };
        // SAFETY: an ID is valid for ever.
        let id = unsafe { Id::from_raw(name.id) };
        if !object.respond_to(id, false)? {
            return Ok(None);
        }
        // SAFETY: a live object. This reads the method table, runs no Ruby code, and says 0 when there is no method but
        // a `method_missing`.
        let arity = unsafe { rb_sys::rb_obj_method_arity(object.as_raw(), name.id) };
        if matches!(arity, 0 | -1) { object.funcall_public(id, ()).map(Some) } else { Ok(None) }
    }
}

/// The value of a key; [`NOTHING`] if the Hash does not have it.
///
/// # Safety
///
/// The key must be a live value. Raises what its `hash` and `eql?` raise.
unsafe fn look_up(hash: RHash, key: rb_sys::VALUE) -> rb_sys::VALUE {
    // SAFETY: the caller vouches for the key.
    unsafe { rb_sys::rb_hash_lookup2(hash.as_raw(), key, NOTHING) }
}

/// Undefined: no Hash has it as a value.
const NOTHING: rb_sys::VALUE = rb_sys::Qundef as rb_sys::VALUE;
