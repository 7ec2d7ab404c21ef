//! Ruby objects as what templates ask for.

use std::cell::RefCell;
use std::fmt::Write;

use iodine_mustache::{Context, Expansion, Name, Output, Shape};
use magnus::encoding::EncodingCapable;
use magnus::prelude::*;
use magnus::rb_sys::AsRawValue;
use magnus::value::LazyId;
use magnus::{Error, Fixnum, RArray, RHash, RString, Ruby, Value};

use super::key::Key;
use crate::roots::Root;
use crate::worker::report;

static CALL: LazyId = LazyId::new("call");

/// An object, for one rendering.
///
/// Copied in every step of a rendering, so it has three full words and no padding.
#[derive(Clone, Copy)]
pub(super) struct Data<'r> {
    value: Value,
    role: Role,
    held: &'r Held<'r>,
}

#[derive(Clone, Copy, PartialEq)]
#[repr(usize)]
enum Role {
    /// Its methods have the names that templates use.
    Named,
    /// A String, number, Symbol or true as the context of a section: `.` means it, but its methods are not looked at.
    /// In `{{#title}}<b class="{{class}}">{{.}}</b>{{/title}}` nobody means the class String.
    Nameless,
}

/// The values that the renderer keeps on the heap, where the collector does not look for them.
pub(super) struct Held<'r> {
    ruby: &'r Ruby,
    roots: RefCell<Vec<Root>>,
}

/// Why data or templates cannot be had.
pub(super) enum Failure {
    /// An exception that is not for us to handle, or the end of the thread.
    Raised(Error),
    /// There is no such template, or it cannot be read.
    Missing(String),
    /// A partial does not compile.
    Template(iodine_mustache::Error),
}

impl<'r> Held<'r> {
    pub(super) fn new(ruby: &'r Ruby) -> Self {
        Self { ruby, roots: RefCell::default() }
    }
}

impl<'r> Data<'r> {
    pub(super) fn new(value: Value, held: &'r Held<'r>) -> Self {
        Self { value, role: Role::Named, held }
    }

    fn with(self, value: Value) -> Self {
        Self::new(value, self.held)
    }

    fn kind(&self) -> Kind {
        use rb_sys::ruby_value_type as Type;
        // SAFETY: a live value.
        match unsafe { rb_sys::RB_TYPE(self.value.as_raw()) } {
            Type::RUBY_T_NIL | Type::RUBY_T_FALSE => Kind::Nothing,
            Type::RUBY_T_ARRAY => RArray::from_value(self.value).map_or(Kind::Object, Kind::List),
            Type::RUBY_T_HASH => Kind::Map,
            Type::RUBY_T_STRING | Type::RUBY_T_SYMBOL | Type::RUBY_T_TRUE => Kind::Plain,
            Type::RUBY_T_FIXNUM | Type::RUBY_T_BIGNUM | Type::RUBY_T_FLOAT => Kind::Plain,
            Type::RUBY_T_RATIONAL | Type::RUBY_T_COMPLEX => Kind::Plain,
            _ => Kind::Object,
        }
    }

    /// What a value prints, in UTF-8 as far as it can be converted; None for nil and false.
    fn text(&self, value: Value) -> Result<Option<RString>, Error> {
        if !value.to_bool() {
            return Ok(None);
        }
        let text = value.to_r_string()?;
        let (ruby, encoding) = (self.held.ruby, text.enc_get());
        let fits = [ruby.utf8_encindex(), ruby.usascii_encindex(), ruby.ascii8bit_encindex()].contains(&encoding);
        if fits { Ok(Some(text)) } else { text.conv_enc(ruby.utf8_encoding()).map(Some) }
    }

    /// Data that raise count as nothing, and the log tells of it. What is no StandardError ends the rendering.
    fn or_nothing<T>(&self, result: Result<T, Error>, place: impl FnOnce() -> String) -> Result<Option<T>, Failure> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_kind_of(self.held.ruby.exception_standard_error()) => {
                report(self.held.ruby, &error, &place());
                Ok(None)
            }
            Err(error) => Err(Failure::Raised(error)),
        }
    }
}

impl Context for Data<'_> {
    type Key = Key;
    type Error = Failure;

    fn lookup(&self, name: &Name<Key>) -> Result<Option<Self>, Failure> {
        if self.role == Role::Nameless {
            return Ok(None);
        }
        let entry = RHash::from_value(self.value).map_or(Ok(None), |hash| name.key().entry(hash));
        let found = match entry {
            Ok(None) => name.key().call(self.value),
            other => other,
        };
        let found = self.or_nothing(found, || format!("Iodine::Mustache: {}", String::from_utf8_lossy(name.text())))?;
        Ok(match found {
            Some(value) => value.map(|value| self.with(value)),
            None => Some(self.with(self.held.ruby.qnil().as_value())),
        })
    }

    fn shape(&self) -> Result<Shape, Failure> {
        Ok(match self.kind() {
            Kind::Nothing => Shape::Falsy,
            Kind::List(array) => Shape::List(array.len()),
            Kind::Plain if self.role == Role::Nameless => Shape::Truthy,
            // The one element is itself as a context, see `element`.
            Kind::Plain => Shape::List(1),
            Kind::Map => Shape::Truthy,
            Kind::Object => {
                let is_lambda = self.value.respond_to(*CALL, false);
                let is_lambda = self.or_nothing(is_lambda, || "Iodine::Mustache: respond_to?".into())?;
                if is_lambda == Some(true) { Shape::Lambda } else { Shape::Truthy }
            }
        })
    }

    fn element(&self, index: usize) -> Result<Option<Self>, Failure> {
        match RArray::from_value(self.value) {
            Some(array) if index < array.len() => {
                array.entry(index as isize).map(|value| Some(self.with(value))).map_err(Failure::Raised)
            }
            Some(_) => Ok(None),
            None => Ok(Some(Self { role: Role::Nameless, ..*self })),
        }
    }

    fn write(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        if let Some(number) = Fixnum::from_value(self.value) {
            let written = write!(output, "{}", number.to_i64());
            debug_assert!(written.is_ok(), "an Output takes everything");
            return Ok(());
        }
        let text = self.or_nothing(self.text(self.value), || "Iodine::Mustache: to_s".into())?.flatten();
        if let Some(text) = text {
            // SAFETY: no Ruby code runs while the bytes are copied.
            output.push(unsafe { text.as_slice() });
        }
        Ok(())
    }

    fn call(&self, section: Option<&[u8]>) -> Result<Expansion, Failure> {
        let returned: Result<Value, Error> = match section {
            Some(text) => {
                self.value.funcall(*CALL, (self.held.ruby.enc_str_new(text, self.held.ruby.utf8_encoding()),))
            }
            None => self.value.funcall(*CALL, ()),
        };
        let text = self.or_nothing(returned.and_then(|value| self.text(value)), || "Iodine::Mustache: a lambda".into());
        let Some(text) = text?.flatten() else {
            return Ok(Expansion::Text(Vec::new()));
        };
        // SAFETY: no Ruby code runs while the bytes are copied.
        let text = unsafe { text.as_slice() }.to_vec();
        // A variable has the default delimiters. Without one of them there is nothing to render.
        let is_text = section.is_none() && !text.windows(2).any(|pair| pair == b"{{");
        Ok(if is_text { Expansion::Text(text) } else { Expansion::Template(text) })
    }

    fn hold(&self) {
        self.held.roots.borrow_mut().push(Root::new(self.value));
    }

    fn release(&self) {
        self.held.roots.borrow_mut().pop();
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Raised(error)
    }
}

/// What a section makes of a value.
enum Kind {
    Nothing,
    Map,
    List(RArray),
    Plain,
    Object,
}
