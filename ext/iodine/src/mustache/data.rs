//! Ruby objects as what templates ask for.

use iodine_mustache::{Data, Expansion, Name, Output, Shape, Written};
use magnus::prelude::*;
use magnus::rb_sys::{AsRawValue, protect};
use magnus::value::LazyId;
use magnus::{Error, Fixnum, RArray, RHash, RString, Value};

use super::key::Key;
use super::rendering::{Failed, Failure, Rendering};

static CALL: LazyId = LazyId::new("call");

/// What most data are, Hashes, Arrays, Strings and small numbers, is handled without a call of a Ruby method.
impl Data for &Rendering<'_> {
    type Key = Key;
    type Value = Value;
    type Error = Failed;

    fn root(&self) -> Value {
        self.root
    }

    #[inline(always)]
    fn lookup(&self, context: Value, name: &Name<Key>) -> Result<Option<Value>, Failed> {
        match RHash::from_value(context).and_then(|hash| name.key().quick_entry(hash)) {
            Some(value) => Ok(Some(value)),
            None => self.look_further(context, name),
        }
    }

    /// A String, number, Symbol or true is the `.` of its section, but its methods are not looked at: in
    /// `{{#title}}<b class="{{class}}">{{.}}</b>{{/title}}` nobody means the class String.
    #[inline(always)]
    fn shape(&self, value: Value) -> Result<Shape, Failed> {
        Ok(match Kind::of(value) {
            Kind::Nothing => Shape::Falsy,
            Kind::List(array) => Shape::List(array.len()),
            Kind::Plain => Shape::Nameless,
            Kind::Map => Shape::Truthy,
            Kind::Object if self.is_lambda(value)? => Shape::Lambda,
            Kind::Object => Shape::Truthy,
        })
    }

    fn element(&self, list: Value, index: usize) -> Result<Option<Value>, Failed> {
        match RArray::from_value(list) {
            Some(array) if index < array.len() => {
                array.entry(index as isize).map(Some).map_err(|error| self.fail(Failure::Raised(error)))
            }
            _ => Ok(None),
        }
    }

    #[inline(always)]
    fn write(&self, value: Value, output: &mut Output<'_>) -> Result<Written, Failed> {
        if let Some(number) = Fixnum::from_value(value) {
            output.push_integer(number.to_i64());
        } else if let Some(text) = RString::from_value(value).filter(|text| self.is_printable(*text)) {
            // SAFETY: no Ruby code runs while the bytes are copied.
            output.push(unsafe { text.as_slice() });
        } else {
            return self.write_other(value, output);
        }
        Ok(Written::Text)
    }

    fn call(&self, lambda: Value, section: Option<&[u8]>) -> Result<Expansion, Failed> {
        let returned: Result<Value, Error> = match section {
            Some(text) => lambda.funcall(*CALL, (self.ruby.enc_str_new(text, self.ruby.utf8_encoding()),)),
            None => lambda.funcall(*CALL, ()),
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

    fn hold(&self, value: Value) {
        self.keep(value);
    }

    fn release(&self) {
        self.let_go();
    }

    /// Other threads run, and what waits for this one is raised: `Timeout`, `Thread#kill`, signals. Plain data call no
    /// method, so nothing else would look.
    fn pause(&self) -> Result<(), Failed> {
        // SAFETY: the lock is held; what is raised is caught.
        let checked = protect(|| unsafe {
            rb_sys::rb_thread_check_ints();
            rb_sys::Qnil as rb_sys::VALUE
        });
        checked.map(drop).map_err(|error| self.fail(Failure::Raised(error)))
    }
}

impl Rendering<'_> {
    #[inline(never)]
    fn look_further(&self, context: Value, name: &Name<Key>) -> Result<Option<Value>, Failed> {
        let entry = RHash::from_value(context).map_or(Ok(None), |hash| name.key().other_entry(hash));
        let found = match entry {
            Ok(None) => name.key().call(context),
            other => other,
        };
        let place = || format!("Iodine::Mustache: {}", String::from_utf8_lossy(name.text()));
        // What failed is known, and nothing.
        Ok(self.or_nothing(found, place)?.unwrap_or_else(|| Some(self.ruby.qnil().as_value())))
    }

    #[inline(never)]
    fn write_other(&self, value: Value, output: &mut Output<'_>) -> Result<Written, Failed> {
        if matches!(Kind::of(value), Kind::Object) && self.is_lambda(value)? {
            return Ok(Written::Lambda);
        }
        if let Some(text) = self.or_nothing(self.text(value), || "Iodine::Mustache: to_s".into())?.flatten() {
            // SAFETY: no Ruby code runs while the bytes are copied.
            output.push(unsafe { text.as_slice() });
        }
        Ok(Written::Text)
    }

    #[inline(never)]
    fn is_lambda(&self, object: Value) -> Result<bool, Failed> {
        let responds = object.respond_to(*CALL, false);
        Ok(self.or_nothing(responds, || "Iodine::Mustache: respond_to?".into())?.unwrap_or(false))
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

impl Kind {
    #[inline(always)]
    fn of(value: Value) -> Kind {
        use rb_sys::ruby_value_type as Type;
        // SAFETY: a live value.
        match unsafe { rb_sys::RB_TYPE(value.as_raw()) } {
            Type::RUBY_T_NIL | Type::RUBY_T_FALSE => Kind::Nothing,
            Type::RUBY_T_ARRAY => RArray::from_value(value).map_or(Kind::Object, Kind::List),
            Type::RUBY_T_HASH => Kind::Map,
            Type::RUBY_T_STRING | Type::RUBY_T_SYMBOL | Type::RUBY_T_TRUE => Kind::Plain,
            Type::RUBY_T_FIXNUM | Type::RUBY_T_BIGNUM | Type::RUBY_T_FLOAT => Kind::Plain,
            Type::RUBY_T_RATIONAL | Type::RUBY_T_COMPLEX => Kind::Plain,
            _ => Kind::Object,
        }
    }
}
