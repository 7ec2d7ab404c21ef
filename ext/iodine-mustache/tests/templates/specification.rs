//! All cases of the Mustache specification, optional modules included.
//!
//! The cases are read from a folder beside the project and not part of it; without the folder the test says so.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use iodine_mustache::{Expansion, Template, Value};

use crate::support::{partials, render, value};

const CASES: usize = 194;

#[test]
fn specification() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mustache-spec");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: no Mustache specification in {}", folder.display());
        return;
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();

    let (mut cases, mut failures) = (0, Vec::new());
    for file in files {
        let module: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for case in module["tests"].as_array().unwrap() {
            cases += 1;
            if let Err(failure) = run(case) {
                failures.push(format!("{} / {}: {failure}", file.file_stem().unwrap().display(), case["name"]));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {cases} failed:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases, CASES);
}

fn run(case: &serde_json::Value) -> Result<(), String> {
    let source = case["template"].as_str().unwrap();
    let template: Template = Template::compile(source, Some("case")).map_err(|error| error.to_string())?;
    let partials = partials(&case["partials"]);
    let text = render(&template, &value(&case["data"], &lambda), &partials).map_err(|error| error.to_string())?;
    let expected = case["expected"].as_str().unwrap();
    if text == expected { Ok(()) } else { Err(format!("expected {expected:?}, got {text:?}")) }
}

/// The lambdas of the specification, by their Ruby code.
fn lambda(ruby: &str) -> Value {
    let template = |text: String| Expansion::Template(text.into_bytes());
    match ruby {
        r#"proc { "world" }"# => Value::lambda(move |_| template("world".into())),
        r#"proc { "{{planet}}" }"# => Value::lambda(move |_| template("{{planet}}".into())),
        r#"proc { "|planet| => {{planet}}" }"# => Value::lambda(move |_| template("|planet| => {{planet}}".into())),
        "proc { $calls ||= 0; $calls += 1 }" => {
            let calls = Arc::new(AtomicI64::new(0));
            Value::lambda(move |_| template((calls.fetch_add(1, Ordering::Relaxed) + 1).to_string()))
        }
        r#"proc { ">" }"# => Value::lambda(move |_| template(">".into())),
        r#"proc { |text| text == "{{x}}" ? "yes" : "no" }"# => {
            Value::lambda(move |text| template(if text == Some(b"{{x}}") { "yes" } else { "no" }.into()))
        }
        r##"proc { |text| "#{text}{{planet}}#{text}" }"## => between_twice("{{planet}}"),
        r##"proc { |text| "#{text}{{planet}} => |planet|#{text}" }"## => between_twice("{{planet}} => |planet|"),
        r##"proc { |text| "__#{text}__" }"## => {
            Value::lambda(move |text| template(format!("__{}__", String::from_utf8_lossy(text.unwrap_or_default()))))
        }
        "proc { |text| false }" => Value::lambda(move |_| template(String::new())),
        other => panic!("no equivalent of the lambda {other}"),
    }
}

fn between_twice(middle: &'static str) -> Value {
    Value::lambda(move |text| {
        let text = text.unwrap_or_default();
        Expansion::Template([text, middle.as_bytes(), text].concat())
    })
}
