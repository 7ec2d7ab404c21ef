//! Parsing: the values of unfinished arrays and objects lie on one stack, which the collector sees; an end takes its
//! values off and puts the Array or Hash there. Nesting uses no machine stack.

use std::cell::RefCell;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};
use magnus::encoding::EncodingCapable;
use magnus::prelude::*;
use magnus::typed_data::Obj;
use magnus::{DataTypeFunctions, Error, IntoValue, RModule, RString, Ruby, TypedData, Value, function, gc, method};

use super::names::Names;
use crate::class;

/// What parsing keeps from one document to the next.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::JSON::Parser", mark, free_immediately)]
struct Parser {
    strings: Names,
    symbols: Names,
}

/// How one document is read.
struct Reading<'a> {
    ruby: &'a Ruby,
    /// Arrays and objects within each other; above is an error.
    max_nesting: usize,
    names: &'a Names,
    stack: &'a Stack,
}

/// Values that no Ruby object holds yet.
#[derive(TypedData)]
#[magnus(class = "Iodine::Base::JSON::Stack", mark, free_immediately)]
struct Stack(RefCell<Vec<Value>>);

// SAFETY: Ruby objects are reached under Ruby's lock only, on one thread at a time.
unsafe impl Send for Stack {}

/// An array or object whose end has not come; its values begin at `base` of the stack.
enum Open {
    Array { base: usize },
    Object { base: usize },
}

enum Failure {
    Malformed(JiterError),
    TooDeep(usize),
    Ruby(Error),
}

impl Parser {
    fn new() -> Self {
        Self { strings: Names::strings(), symbols: Names::symbols() }
    }

    /// The value of a document. `max_nesting` is any when it is nil; `allow_nan` takes `NaN` and the infinities for
    /// numbers.
    fn parse(
        ruby: &Ruby,
        this: Obj<Self>,
        source: RString,
        max_nesting: Option<usize>,
        allow_nan: bool,
        symbolize_names: bool,
    ) -> Result<Value, Error> {
        let stack = ruby.obj_wrap(Stack(RefCell::default()));
        // Nobody can change a frozen copy, which shares the content, and on the stack it stays alive.
        let source = RString::new_frozen(utf8(ruby, source)?);
        stack.push(source.as_value());
        // SAFETY: see above.
        let text = unsafe { source.as_slice() };
        let json = &mut if allow_nan { Jiter::new(text).with_allow_inf_nan() } else { Jiter::new(text) };
        let names = if symbolize_names { &this.symbols } else { &this.strings };
        let reading = Reading { ruby, max_nesting: max_nesting.unwrap_or(usize::MAX), names, stack: &stack };
        let result = reading.document(json).map_err(|failure| failure.raise(ruby, json));
        // Now rather than when the collector finds it. The stack must be in its reach up to here.
        std::hint::black_box(stack).0.take();
        result
    }
}

impl DataTypeFunctions for Parser {
    fn mark(&self, marker: &gc::Marker) {
        self.strings.mark(marker);
        self.symbols.mark(marker);
    }
}

impl Reading<'_> {
    fn document(&self, json: &mut Jiter) -> Result<Value, Failure> {
        let mut open = Vec::new();
        let mut next = json.peek()?;
        loop {
            let mut value = match next {
                Peek::Array => {
                    self.check_nesting(&open)?;
                    if let Some(element) = json.known_array()? {
                        open.push(Open::Array { base: self.stack.len() });
                        next = element;
                        continue;
                    }
                    self.ruby.ary_new().as_value()
                }
                Peek::Object => {
                    self.check_nesting(&open)?;
                    if let Some(name) = json.known_object()? {
                        open.push(Open::Object { base: self.stack.len() });
                        self.name(name);
                        next = json.peek()?;
                        continue;
                    }
                    self.ruby.hash_new().as_value()
                }
                _ => scalar(self.ruby, json, next)?,
            };
            // The value may be the last one of several arrays and objects.
            next = loop {
                match open.last() {
                    None => {
                        json.finish()?;
                        return Ok(value);
                    }
                    Some(Open::Array { base }) => {
                        self.stack.push(value);
                        if let Some(element) = json.array_step()? {
                            break element;
                        }
                        value = self.stack.array(self.ruby, *base);
                    }
                    Some(Open::Object { base }) => {
                        self.stack.push(value);
                        if let Some(name) = json.next_key()? {
                            self.name(name);
                            break json.peek()?;
                        }
                        value = self.stack.object(self.ruby, *base)?;
                    }
                }
                open.pop();
            };
        }
    }

    fn name(&self, name: &str) {
        self.stack.push(self.names.get(self.ruby, name));
    }

    fn check_nesting(&self, open: &[Open]) -> Result<(), Failure> {
        if open.len() < self.max_nesting { Ok(()) } else { Err(Failure::TooDeep(open.len() + 1)) }
    }
}

/// No borrow lasts across a call into Ruby but shared ones, so `mark` can always borrow.
impl Stack {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn push(&self, value: Value) {
        self.0.borrow_mut().push(value);
    }

    fn array(&self, ruby: &Ruby, base: usize) -> Value {
        let array = ruby.ary_new_from_values(&self.0.borrow()[base..]);
        self.0.borrow_mut().truncate(base);
        array.as_value()
    }

    /// Of members that have the same name the last one counts.
    fn object(&self, ruby: &Ruby, base: usize) -> Result<Value, Error> {
        let hash = ruby.hash_new();
        hash.bulk_insert(&self.0.borrow()[base..])?;
        self.0.borrow_mut().truncate(base);
        Ok(hash.as_value())
    }
}

impl DataTypeFunctions for Stack {
    fn mark(&self, marker: &gc::Marker) {
        marker.mark_slice(&self.0.borrow());
    }
}

impl Failure {
    fn raise(self, ruby: &Ruby, json: &Jiter) -> Error {
        let encoding_error = |message| Error::new(ruby.exception_encoding_error(), message);
        match self {
            Self::Malformed(error) => encoding_error(format!("Malformed JSON format. {}", error.description(json))),
            Self::TooDeep(depth) => encoding_error(format!("nesting of {depth} is too deep; see max_nesting")),
            Self::Ruby(error) => error,
        }
    }
}

impl From<JiterError> for Failure {
    fn from(error: JiterError) -> Self {
        Self::Malformed(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ruby(error)
    }
}

/// The bytes of a String are taken for UTF-8 when it says so, or says nothing about them.
fn utf8(ruby: &Ruby, source: RString) -> Result<RString, Error> {
    let encoding = source.enc_get();
    let known = [ruby.utf8_encindex(), ruby.usascii_encindex(), ruby.ascii8bit_encindex()];
    if known.contains(&encoding) { Ok(source) } else { source.funcall("encode", ("UTF-8",)) }
}

fn scalar(ruby: &Ruby, json: &mut Jiter, first: Peek) -> Result<Value, Failure> {
    Ok(match first {
        Peek::String => ruby.str_new(json.known_str()?).as_value(),
        Peek::True | Peek::False => json.known_bool(first)?.into_value_with(ruby),
        Peek::Null => {
            json.known_null()?;
            ruby.qnil().as_value()
        }
        _ => number(ruby, json, first)?,
    })
}

fn number(ruby: &Ruby, json: &mut Jiter, first: Peek) -> Result<Value, Failure> {
    match json.known_number(first) {
        Ok(NumberAny::Int(NumberInt::Int(number))) => Ok(ruby.integer_from_i64(number).as_value()),
        Ok(NumberAny::Float(number)) => Ok(ruby.float_from_f64(number).as_value()),
        Err(JiterError { error_type: JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange), .. }) => {
            Ok(ruby.str_from_slice(json.known_number_bytes(first)?).funcall("to_i", ())?)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn init(ruby: &Ruby, module: RModule) -> Result<(), Error> {
    let stack = class::define::<Stack>(ruby, module, "Stack")?;
    stack.undef_default_alloc_func();
    let parser = class::define::<Parser>(ruby, module, "Parser")?;
    parser.undef_default_alloc_func();
    parser.define_singleton_method("new", function!(Parser::new, 0))?;
    parser.define_method("parse", method!(Parser::parse, 4))
}
