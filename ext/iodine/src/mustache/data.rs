//! Ruby objects as what templates ask for.

use iodine_mustache::{Context, Expansion, Name, Output, Shape};
use magnus::prelude::*;
use magnus::rb_sys::AsRawValue;
use magnus::value::LazyId;
use magnus::{Error, Fixnum, RArray, RHash, Value};

use super::key::Key;
use super::rendering::{Failed, Failure, Rendering};

static CALL: LazyId = LazyId::new("call");

/// An object, for one rendering.
///
/// Copied in every step of a rendering, so it has three full words and no padding.
#[derive(Clone, Copy)]
pub(super) struct Data<'r> {
    value: Value,
    role: Role,
    rendering: &'r Rendering<'r>,
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

impl<'r> Data<'r> {
    pub(super) fn new(value: Value, rendering: &'r Rendering<'r>) -> Self {
        Self { value, role: Role::Named, rendering }
    }

    fn with(self, value: Value) -> Self {
        Self::new(value, self.rendering)
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

    #[inline(never)]
    fn look_further(&self, name: &Name<Key>) -> Result<Option<Self>, Failed> {
        if self.role == Role::Nameless {
            return Ok(None);
        }
        let entry = RHash::from_value(self.value).map_or(Ok(None), |hash| name.key().entry(hash));
        let found = match entry {
            Ok(None) => name.key().call(self.value),
            other => other,
        };
        let place = || format!("Iodine::Mustache: {}", String::from_utf8_lossy(name.text()));
        Ok(match self.rendering.or_nothing(found, place)? {
            Some(value) => value.map(|value| self.with(value)),
            None => Some(self.with(self.rendering.ruby.qnil().as_value())),
        })
    }
}

impl Context for Data<'_> {
    type Key = Key;
    type Error = Failed;

    #[inline(always)]
    fn lookup(&self, name: &Name<Key>) -> Result<Option<Self>, Failed> {
        match RHash::from_value(self.value).and_then(|hash| name.key().quick_entry(hash)) {
            Some(value) => Ok(Some(self.with(value))),
            None => self.look_further(name),
        }
    }

    #[inline]
    fn shape(&self) -> Result<Shape, Failed> {
        Ok(match self.kind() {
            Kind::Nothing => Shape::Falsy,
            Kind::List(array) => Shape::List(array.len()),
            Kind::Plain if self.role == Role::Nameless => Shape::Truthy,
            // The one element is itself as a context, see `element`.
            Kind::Plain => Shape::List(1),
            Kind::Map => Shape::Truthy,
            Kind::Object => {
                let is_lambda = self.value.respond_to(*CALL, false);
                let is_lambda = self.rendering.or_nothing(is_lambda, || "Iodine::Mustache: respond_to?".into())?;
                if is_lambda == Some(true) { Shape::Lambda } else { Shape::Truthy }
            }
        })
    }

    fn element(&self, index: usize) -> Result<Option<Self>, Failed> {
        match RArray::from_value(self.value) {
            Some(array) if index < array.len() => array
                .entry(index as isize)
                .map(|value| Some(self.with(value)))
                .map_err(|error| self.rendering.fail(Failure::Raised(error))),
            Some(_) => Ok(None),
            None => Ok(Some(Self { role: Role::Nameless, ..*self })),
        }
    }

    #[inline]
    fn write(&self, output: &mut Output<'_>) -> Result<(), Failed> {
        if let Some(number) = Fixnum::from_value(self.value) {
            output.push_integer(number.to_i64());
            return Ok(());
        }
        let text =
            self.rendering.or_nothing(self.rendering.text(self.value), || "Iodine::Mustache: to_s".into())?.flatten();
        if let Some(text) = text {
            // SAFETY: no Ruby code runs while the bytes are copied.
            output.push(unsafe { text.as_slice() });
        }
        Ok(())
    }

    fn call(&self, section: Option<&[u8]>) -> Result<Expansion, Failed> {
        let returned: Result<Value, Error> = match section {
            Some(text) => {
                self.value.funcall(*CALL, (self.rendering.ruby.enc_str_new(text, self.rendering.ruby.utf8_encoding()),))
            }
            None => self.value.funcall(*CALL, ()),
        };
        let text = self
            .rendering
            .or_nothing(returned.and_then(|value| self.rendering.text(value)), || "Iodine::Mustache: a lambda".into());
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
        self.rendering.hold(self.value);
    }

    fn release(&self) {
        self.rendering.release();
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
