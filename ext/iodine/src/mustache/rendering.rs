//! What one rendering shares: the values it holds, and why it failed.

use std::cell::RefCell;

use magnus::encoding::{EncodingCapable, Index};
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::typed_data::Obj;
use magnus::{DataTypeFunctions, Error, RModule, RString, Ruby, TypedData, Value, gc};

use crate::class;
use crate::roots::Root;
use crate::worker::report;

pub(super) struct Rendering<'r> {
    pub(super) ruby: &'r Ruby,
    held: Obj<Held>,
    _root: Root,
    /// Here and not in results: that keeps them small, and an exception on the stack, where the collector sees it.
    failure: RefCell<Option<Failure>>,
    /// Encodings of Strings that are printed as they are: UTF-8, US-ASCII, binary.
    printable: [Index; 3],
}

/// Why data or templates cannot be had.
pub(super) enum Failure {
    /// An exception that is not for us to handle, or the end of the thread.
    Raised(Error),
    /// There is no such template, or it cannot be read.
    Missing(String),
    /// A template does not compile.
    Template(iodine_mustache::Error),
}

/// There is a [`Failure`].
pub(super) struct Failed;

impl<'r> Rendering<'r> {
    pub(super) fn new(ruby: &'r Ruby) -> Self {
        let held = ruby.obj_wrap(Held::default());
        let printable = [ruby.utf8_encindex(), ruby.usascii_encindex(), ruby.ascii8bit_encindex()];
        Self { ruby, held, _root: Root::new(held.as_value()), failure: RefCell::default(), printable }
    }

    pub(super) fn fail(&self, failure: Failure) -> Failed {
        self.failure.replace(Some(failure));
        Failed
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    pub(super) fn hold(&self, value: Value) {
        self.held.0.borrow_mut().push(value.as_raw());
    }

    pub(super) fn release(&self) {
        self.held.0.borrow_mut().pop();
    }

    /// Data that raise count as nothing, and the log tells of it. What is no StandardError ends the rendering.
    #[inline]
    pub(super) fn or_nothing<T>(
        &self,
        result: Result<T, Error>,
        place: impl FnOnce() -> String,
    ) -> Result<Option<T>, Failed> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.ignore(error, place).map(|()| None),
        }
    }

    #[cold]
    fn ignore(&self, error: Error, place: impl FnOnce() -> String) -> Result<(), Failed> {
        if !error.is_kind_of(self.ruby.exception_standard_error()) {
            return Err(self.fail(Failure::Raised(error)));
        }
        report(self.ruby, &error, &place());
        Ok(())
    }

    /// What a value prints, in UTF-8 as far as it can be converted; None for nil and false.
    pub(super) fn text(&self, value: Value) -> Result<Option<RString>, Error> {
        if !value.to_bool() {
            return Ok(None);
        }
        let text = value.to_r_string()?;
        let is_printable = self.printable.contains(&text.enc_get());
        if is_printable { Ok(Some(text)) } else { text.conv_enc(self.ruby.utf8_encoding()).map(Some) }
    }
}

/// The values that the renderer keeps on the heap, where the collector does not look for them: marked, and not moved.
#[derive(Default, TypedData)]
#[magnus(class = "Iodine::Base::Held", mark, free_immediately)]
struct Held(RefCell<Vec<rb_sys::VALUE>>);

impl DataTypeFunctions for Held {
    fn mark(&self, marker: &gc::Marker) {
        for &value in self.0.borrow().iter() {
            // SAFETY: taken from a live value, and marked since.
            marker.mark(unsafe { Value::from_raw(value) });
        }
    }
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    class::define::<Held>(ruby, base, "Held")?.undef_default_alloc_func();
    Ok(())
}
