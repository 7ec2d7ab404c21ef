use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iodine_mustache::{Expansion, Template, Value};

use crate::input::Input;

/// Data, then a template, which is its own partial `a`, and its own parent.
pub(crate) fn renders_or_says_why(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let data = value(&mut input, 4);
    let source = input.rest();
    match Template::compile(source, Some("page")) {
        Err(error) => {
            let place = error.location();
            let lines = source.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&place.line) && place.column > 0, "{error}");
        }
        Ok(template) => {
            let template = Arc::new(template);
            // Each level may use the template twice or more: deep is long.
            let partials = Shallow(HashMap::from([(b"a".to_vec(), Arc::clone(&template))]));
            let mut out = Vec::new();
            // A template that uses itself for ever is told so.
            let _ = template.render(&data, &partials, &mut out);
        }
    }
}

struct Shallow(HashMap<Vec<u8>, Arc<Template<()>>>);

impl<'a> iodine_mustache::Partials<&'a Value> for Shallow {
    fn load(&self, name: &[u8], from: Option<&str>) -> Result<iodine_mustache::Loaded<()>, std::convert::Infallible> {
        iodine_mustache::Partials::<&'a Value>::load(&self.0, name, from)
    }

    fn depth_limit(&self) -> usize {
        3
    }
}

fn value(input: &mut Input<'_>, depth: usize) -> Value {
    match input.below(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(input.any()),
        2 => Value::Integer(input.any()),
        3 => Value::Float(input.any()),
        4 => Value::Text(input.bytes().to_vec()),
        5 => Value::List((0..input.below(4)).map(|_| value(input, depth - 1)).collect()),
        6 => {
            let text = input.bytes().to_vec();
            Value::lambda(move |_| Expansion::Template(text.clone()))
        }
        _ => {
            let names = [b"a", b"b", b"c"];
            let entry = |_| (names[input.below(3)].to_vec(), value(input, depth - 1));
            Value::Map((0..4).map(entry).collect::<BTreeMap<_, _>>())
        }
    }
}
