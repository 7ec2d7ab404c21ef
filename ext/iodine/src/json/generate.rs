//! Generating: what Ruby objects look like as a document.

use std::io::Write;
use std::str;

use iodine_proto::http1::push_decimal;
use magnus::encoding::{Coderange, EncodingCapable};
use magnus::prelude::*;
use magnus::r_hash::ForEach;
use magnus::rb_sys::AsRawValue;
use magnus::value::{LazyId, Qfalse, Qtrue};
use magnus::{Error, Fixnum, Float, RArray, RClass, RHash, RModule, RString, Ruby, Symbol, Value, function, method};

use super::text::Escapes;
use crate::class;

/// How documents are written.
#[magnus::wrap(class = "Iodine::Base::JSON::Format", free_immediately)]
struct Format {
    /// Arrays and Hashes within each other; above is an error.
    max_nesting: usize,
    /// Whether `NaN`, `Infinity` and `-Infinity` are written; JSON has no such numbers.
    allow_nan: bool,
    escapes: Escapes,
    layout: Layout,
}

/// The white space around what is written.
struct Layout {
    indent: Vec<u8>,
    space: Vec<u8>,
    space_before: Vec<u8>,
    object_newline: Vec<u8>,
    array_newline: Vec<u8>,
}

/// One document in the making.
struct Document<'a> {
    ruby: &'a Ruby,
    format: &'a Format,
    /// Asked for the JSON of objects that JSON does not know.
    converter: Value,
    text: Vec<u8>,
    depth: usize,
}

impl Format {
    /// Reads the options of `Iodine::JSON.generate`. A missing or nil `max_nesting` is none.
    fn new(options: RHash) -> Result<Self, Error> {
        let ruby = Ruby::get_with(options);
        let is_set = |name| options.get(ruby.to_symbol(name)).is_some_and(Value::to_bool);
        let text = |name| -> Result<Vec<u8>, Error> {
            let text: Option<String> = options.lookup(ruby.to_symbol(name))?;
            Ok(text.unwrap_or_default().into_bytes())
        };
        Ok(Self {
            max_nesting: options.lookup::<_, Option<usize>>(ruby.to_symbol("max_nesting"))?.unwrap_or(usize::MAX),
            allow_nan: is_set("allow_nan"),
            escapes: Escapes { script_safe: is_set("script_safe"), ascii_only: is_set("ascii_only") },
            layout: Layout {
                indent: text("indent")?,
                space: text("space")?,
                space_before: text("space_before")?,
                object_newline: text("object_nl")?,
                array_newline: text("array_nl")?,
            },
        })
    }

    /// The document of an object. `converter.convert(object, depth)` returns the JSON of objects of other classes, or nil
    /// for those that have none of their own.
    fn generate(ruby: &Ruby, this: &Self, object: Value, converter: Value) -> Result<RString, Error> {
        let text = Vec::with_capacity(256);
        let mut document = Document { ruby, format: this, converter, text, depth: 0 };
        document.value(object)?;
        Ok(ruby.enc_str_new(&document.text, ruby.utf8_encindex()))
    }
}

impl Document<'_> {
    fn value(&mut self, value: Value) -> Result<(), Error> {
        if let Some(number) = Fixnum::from_value(value) {
            let number = number.to_i64();
            if number < 0 {
                self.text.push(b'-');
            }
            push_decimal(number.unsigned_abs(), &mut self.text);
            return Ok(());
        }
        match self.class(value) {
            Class::String(string) => self.string(string),
            Class::Symbol(symbol) => self.string(name(symbol)?),
            Class::Hash(hash) => self.object(hash),
            Class::Array(array) => self.array(array),
            Class::Float(float) => self.float(float),
            Class::Null => self.literal("null"),
            Class::True => self.literal("true"),
            Class::False => self.literal("false"),
            Class::Integer => self.fragment(value.funcall("to_s", ())?),
            Class::Other => self.other(value),
        }
    }

    /// What a value is, by its exact class: a subclass may bring its own `to_json`.
    fn class(&self, value: Value) -> Class {
        let class = value.class();
        let is = |known: RClass| class.as_raw() == known.as_raw();
        if let Some(string) = RString::from_value(value).filter(|_| is(self.ruby.class_string())) {
            Class::String(string)
        } else if let Some(symbol) = Symbol::from_value(value) {
            Class::Symbol(symbol)
        } else if let Some(hash) = RHash::from_value(value).filter(|_| is(self.ruby.class_hash())) {
            Class::Hash(hash)
        } else if let Some(array) = RArray::from_value(value).filter(|_| is(self.ruby.class_array())) {
            Class::Array(array)
        } else if let Some(float) = Float::from_value(value) {
            Class::Float(float)
        } else if value.is_nil() {
            Class::Null
        } else if Qtrue::from_value(value).is_some() {
            Class::True
        } else if Qfalse::from_value(value).is_some() {
            Class::False
        } else if is(self.ruby.class_integer()) {
            Class::Integer
        } else {
            Class::Other
        }
    }

    /// Objects of other classes: by their own `to_json`, by the class they descend from, or by `to_s`.
    fn other(&mut self, value: Value) -> Result<(), Error> {
        static CONVERT: LazyId = LazyId::new("convert");
        let json: Option<RString> = self.converter.funcall(*CONVERT, (value, self.depth))?;
        if let Some(json) = json {
            self.fragment(json)
        } else if let Some(string) = RString::from_value(value) {
            self.string(string)
        } else if let Some(hash) = RHash::from_value(value) {
            self.object(hash)
        } else if let Some(array) = RArray::from_value(value) {
            self.array(array)
        } else {
            self.string(text_of(value)?)
        }
    }

    fn object(&mut self, hash: RHash) -> Result<(), Error> {
        let Layout { space, space_before, object_newline, .. } = &self.format.layout;
        self.open(b'{')?;
        let mut separator: &[u8] = b"";
        hash.foreach(|key: Value, value: Value| {
            self.text.extend_from_slice(separator);
            separator = b",";
            self.text.extend_from_slice(object_newline);
            self.indent();
            self.string(member_name(key)?)?;
            self.text.extend_from_slice(space_before);
            self.text.push(b':');
            self.text.extend_from_slice(space);
            self.value(value)?;
            Ok(ForEach::Continue)
        })?;
        self.close(b'}', object_newline, separator.is_empty());
        Ok(())
    }

    fn array(&mut self, array: RArray) -> Result<(), Error> {
        let newline = &self.format.layout.array_newline;
        self.open(b'[')?;
        let mut at = 0;
        // An element's `to_json` may change the Array.
        while at < array.len() {
            if at > 0 {
                self.text.push(b',');
            }
            self.text.extend_from_slice(newline);
            self.indent();
            self.value(array.entry(at as isize)?)?;
            at += 1;
        }
        self.close(b']', newline, at == 0);
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > self.format.max_nesting {
            return Err(self.error(format!("nesting of {} is too deep; see max_nesting", self.depth)));
        }
        if stack_is_low(self.ruby) {
            return Err(self.error(format!("nesting of {} is too deep for the stack of this thread", self.depth)));
        }
        self.text.push(bracket);
        Ok(())
    }

    fn close(&mut self, bracket: u8, newline: &[u8], empty: bool) {
        self.depth -= 1;
        if !empty && !newline.is_empty() {
            self.text.extend_from_slice(newline);
            self.indent();
        }
        self.text.push(bracket);
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.extend_from_slice(&self.format.layout.indent);
        }
    }

    fn float(&mut self, float: Float) -> Result<(), Error> {
        let number = float.to_f64();
        if number == 0.0 || SHORT.contains(&number.abs()) {
            // Memory takes any write.
            let _ = write!(self.text, "{number:?}");
            return Ok(());
        }
        if !number.is_finite() && !self.format.allow_nan {
            return Err(self.error(format!("{float} is not allowed in JSON; see allow_nan")));
        }
        self.fragment(float.funcall("to_s", ())?)
    }

    fn string(&mut self, string: RString) -> Result<(), Error> {
        let string = utf8(self.ruby, string)?;
        // SAFETY: `utf8` has checked the bytes, and nothing calls Ruby while they are read.
        let text = unsafe { str::from_utf8_unchecked(string.as_slice()) };
        self.format.escapes.write(text, &mut self.text);
        Ok(())
    }

    /// Text that is JSON already.
    fn fragment(&mut self, json: RString) -> Result<(), Error> {
        let json = utf8(self.ruby, json)?;
        // SAFETY: nothing calls Ruby while the bytes are read.
        self.text.extend_from_slice(unsafe { json.as_slice() });
        Ok(())
    }

    fn literal(&mut self, text: &str) -> Result<(), Error> {
        self.text.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn error(&self, message: String) -> Error {
        Error::new(self.ruby.exception_encoding_error(), message)
    }
}

enum Class {
    String(RString),
    Symbol(Symbol),
    Hash(RHash),
    Array(RArray),
    Float(Float),
    Null,
    True,
    False,
    Integer,
    Other,
}

fn member_name(key: Value) -> Result<RString, Error> {
    if let Some(string) = RString::from_value(key) {
        Ok(string)
    } else if let Some(symbol) = Symbol::from_value(key) {
        name(symbol)
    } else {
        text_of(key)
    }
}

fn name(symbol: Symbol) -> Result<RString, Error> {
    static NAME: LazyId = LazyId::new("name");
    symbol.funcall(*NAME, ())
}

fn text_of(value: Value) -> Result<RString, Error> {
    static TO_S: LazyId = LazyId::new("to_s");
    value.funcall(*TO_S, ())
}

/// The same text with valid UTF-8 for its bytes. A binary String is taken for what its bytes look like.
fn utf8(ruby: &Ruby, string: RString) -> Result<RString, Error> {
    let encoding = string.enc_get();
    let valid = match string.enc_coderange_scan() {
        Coderange::SevenBit => true,
        Coderange::Valid if encoding == ruby.utf8_encindex() => true,
        Coderange::Valid if encoding != ruby.ascii8bit_encindex() => {
            return string.funcall("encode", ("UTF-8",));
        }
        // SAFETY: nothing calls Ruby while the bytes are read.
        _ => str::from_utf8(unsafe { string.as_slice() }).is_ok(),
    };
    if valid {
        return Ok(string);
    }
    Err(Error::new(ruby.exception_encoding_error(), format!("{:?} is not valid UTF-8", string.as_value())))
}

/// Whether the machine stack of this thread is nearly used up.
fn stack_is_low(_ruby: &Ruby) -> bool {
    // SAFETY: compares the stack pointer with the bounds of the running Ruby thread's stack.
    unsafe { rb_sys::ruby_stack_check() != 0 }
}

/// Numbers that Rust and Ruby write alike: digits, point, digits.
const SHORT: std::ops::Range<f64> = 1e-4..1e14;

pub(super) fn init(ruby: &Ruby, module: RModule) -> Result<(), Error> {
    let class = class::define::<Format>(ruby, module, "Format")?;
    class.undef_default_alloc_func();
    class.define_singleton_method("new", function!(Format::new, 1))?;
    class.define_method("generate", method!(Format::generate, 2))
}
