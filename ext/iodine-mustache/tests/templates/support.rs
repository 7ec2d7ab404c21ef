//! Templates and data from JSON.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use iodine_mustache::{RenderError, Template, Value};

/// Partials by name.
pub(crate) type Partials = HashMap<Vec<u8>, Arc<Template>>;

/// Compiles an object of sources; nothing else has partials.
pub(crate) fn partials(sources: &serde_json::Value) -> Partials {
    let sources = sources.as_object().into_iter().flatten();
    let compile = |(name, source): (&String, &serde_json::Value)| {
        let template = Template::compile(source.as_str().unwrap(), Some(name)).unwrap();
        (name.clone().into_bytes(), Arc::new(template))
    };
    sources.map(compile).collect()
}

/// JSON as data. An object with a `ruby` entry is a lambda, made by `lambda` from that code.
pub(crate) fn value(json: &serde_json::Value, lambda: &dyn Fn(&str) -> Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Integer)
        }
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(elements) => {
            Value::List(elements.iter().map(|element| value(element, lambda)).collect())
        }
        serde_json::Value::Object(entries) => match entries.get("ruby") {
            Some(ruby) => lambda(ruby.as_str().unwrap()),
            None => Value::Map(
                entries.iter().map(|(name, entry)| (name.clone().into_bytes(), value(entry, lambda))).collect(),
            ),
        },
    }
}

/// The rendered text.
pub(crate) fn render(
    template: &Template,
    data: &Value,
    partials: &Partials,
) -> Result<String, RenderError<Infallible>> {
    let mut out = Vec::new();
    template.render(data, partials, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}
