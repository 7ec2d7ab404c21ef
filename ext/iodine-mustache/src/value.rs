//! Plain data, for programs that have no object model of their own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{self, Write};
use std::sync::Arc;

use crate::data::{Data, Expansion, Name, Shape, Written};
use crate::output::Output;

/// A value of a kind that JSON knows, or a lambda. `&Value` is [`Data`].
#[derive(Clone)]
pub enum Value {
    /// Falsy, prints nothing.
    Null,
    /// Prints `true` or `false`.
    Bool(bool),
    /// Truthy, 0 included.
    Integer(i64),
    /// Truthy; prints the shortest digits that mean the number.
    Float(f64),
    /// Truthy, also if empty.
    Text(Vec<u8>),
    /// Falsy if empty; prints nothing.
    List(Vec<Value>),
    /// Truthy, also if empty; prints nothing.
    Map(BTreeMap<Vec<u8>, Value>),
    /// A function from a section's text (`None` for a variable).
    Lambda(Arc<Lambda>),
}

/// The function of [`Value::Lambda`].
pub type Lambda = dyn Fn(Option<&[u8]>) -> Expansion + Send + Sync;

impl Value {
    /// A map of these entries.
    pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
        Value::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// A lambda that calls this function.
    pub fn lambda(function: impl Fn(Option<&[u8]>) -> Expansion + Send + Sync + 'static) -> Value {
        Value::Lambda(Arc::new(function))
    }
}

impl Data for &Value {
    type Key = ();
    type Value = Self;
    type Error = Infallible;

    fn root(&self) -> Self {
        self
    }

    fn lookup(&self, context: Self, name: &Name<()>) -> Result<Option<Self>, Infallible> {
        match context {
            Value::Map(entries) => Ok(entries.get(name.text())),
            _ => Ok(None),
        }
    }

    fn shape(&self, value: Self) -> Result<Shape, Infallible> {
        Ok(match value {
            Value::Null | Value::Bool(false) => Shape::Falsy,
            Value::List(elements) => Shape::List(elements.len()),
            Value::Lambda(_) => Shape::Lambda,
            _ => Shape::Truthy,
        })
    }

    fn element(&self, list: Self, index: usize) -> Result<Option<Self>, Infallible> {
        match list {
            Value::List(elements) => Ok(elements.get(index)),
            _ => Ok(None),
        }
    }

    fn write(&self, value: Self, output: &mut Output<'_>) -> Result<Written, Infallible> {
        let formatted = match value {
            Value::Bool(value) => write!(output, "{value}"),
            Value::Integer(value) => {
                output.push_integer(*value);
                Ok(())
            }
            Value::Float(value) => write!(output, "{value}"),
            Value::Text(text) => {
                output.push(text);
                Ok(())
            }
            Value::Null | Value::List(_) | Value::Map(_) => Ok(()),
            Value::Lambda(_) => return Ok(Written::Lambda),
        };
        debug_assert!(formatted.is_ok(), "an Output takes everything");
        Ok(Written::Text)
    }

    fn call(&self, lambda: Self, section: Option<&[u8]>) -> Result<Expansion, Infallible> {
        match lambda {
            Value::Lambda(function) => Ok(function(section)),
            _ => Ok(Expansion::Text(Vec::new())),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("Null"),
            Value::Bool(value) => value.fmt(f),
            Value::Integer(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Text(text) => String::from_utf8_lossy(text).fmt(f),
            Value::List(elements) => elements.fmt(f),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(name, value)| (String::from_utf8_lossy(name), value));
                f.debug_map().entries(entries).finish()
            }
            Value::Lambda(_) => f.write_str("Lambda"),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(elements: Vec<Value>) -> Value {
        Value::List(elements)
    }
}
