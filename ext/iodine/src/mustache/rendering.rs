//! What one rendering shares: the values it holds, and why it failed.

use std::cell::RefCell;

use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, FromRawValue};
use magnus::typed_data::Obj;
use magnus::{DataTypeFunctions, Error, RModule, RString, Ruby, TypedData, Value, gc};

use crate::class;
use crate::roots::Root;
use crate::worker::report;

pub(super) struct Rendering<'r> {
    pub(super) ruby: &'r Ruby,
    /// Invariant: held as long as the rendering lasts.
    pub(super) root: Value,
    held: Obj<Held>,
    _root: Root,
    /// Here and not in results: that keeps them small, and an exception on the stack, where the collector sees it.
    failure: RefCell<Option<Failure>>,
    /// Encodings of Strings that are printed as they are, by their numbers: UTF-8, US-ASCII, binary.
    printable: [rb_sys::VALUE; 3],
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
    pub(super) fn new(ruby: &'r Ruby, root: Value) -> Self {
        let held = ruby.obj_wrap(Held::default());
        // SAFETY: these return numbers that Ruby gave at its start.
        let printable =
            unsafe { [rb_sys::rb_utf8_encindex(), rb_sys::rb_usascii_encindex(), rb_sys::rb_ascii8bit_encindex()] }
                .map(|index| index as rb_sys::VALUE);
        let rendering =
            Self { ruby, root, held, _root: Root::new(held.as_value()), failure: RefCell::default(), printable };
        rendering.keep(root);
        rendering
    }

    pub(super) fn fail(&self, failure: Failure) -> Failed {
        self.failure.replace(Some(failure));
        Failed
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    pub(super) fn keep(&self, value: Value) {
        self.held.0.borrow_mut().push(value.as_raw());
    }

    pub(super) fn let_go(&self) {
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
        if self.is_printable(text) { Ok(Some(text)) } else { text.conv_enc(self.ruby.utf8_encoding()).map(Some) }
    }

    /// Whether the String has one of the printable encodings. Its header has a number for the encoding; that of an
    /// encoding that does not fit in there is none of those.
    #[inline(always)]
    pub(super) fn is_printable(&self, text: RString) -> bool {
        use rb_sys::ruby_encoding_consts::{RUBY_ENCODING_MASK, RUBY_ENCODING_SHIFT};
        // SAFETY: a live String, which begins with a header as all objects do.
        let flags = unsafe { (*(text.as_raw() as *const rb_sys::RBasic)).flags };
        let encoding = (flags & RUBY_ENCODING_MASK as rb_sys::VALUE) >> (RUBY_ENCODING_SHIFT as rb_sys::VALUE);
        self.printable.contains(&encoding)
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
