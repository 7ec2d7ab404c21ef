//! A page with a table of 1,000 rows: compiled, and rendered with and without partials.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iodine_mustache::{Template, Value};

const ROWS: i64 = 1_000;

const PAGE: &str = "<!doctype html>
<html>
  <head><title>{{title}}</title></head>
  <body>
    <h1>{{title}}</h1>
    <table>
      {{#rows}}
      <tr class=\"{{class}}\">
        <td>{{number}}</td>
        <td><a href=\"/people/{{person.id}}\">{{person.name}}</a></td>
        <td>{{#active}}yes{{/active}}{{^active}}no{{/active}}</td>
        <td>{{note}}</td>
        <td>{{currency}}</td>
      </tr>
      {{/rows}}
      {{^rows}}
      <tr><td>nothing to see</td></tr>
      {{/rows}}
    </table>
    {{! the footer }}
    <footer>{{{footer}}}</footer>
  </body>
</html>
";

const ROW_OUTSIDE: &str = "<table>
  {{#rows}}
  {{>row}}
  {{/rows}}
</table>
";

const ROW: &str = "<tr class=\"{{class}}\">
  <td>{{number}}</td>
  <td>{{person.name}}</td>
</tr>
";

fn data() -> Value {
    let row = |number: i64| {
        Value::map([
            ("class", if number % 2 == 0 { "even" } else { "odd" }.into()),
            ("number", number.into()),
            ("person", Value::map([("id", (number * 7).into()), ("name", format!("Ada & Grace <{number}>").into())])),
            ("active", (number % 3 == 0).into()),
            ("note", "a longer note without anything that HTML would take for markup, as most text is".into()),
        ])
    };
    Value::map([
        ("title", "People & places".into()),
        ("currency", "EUR".into()),
        ("footer", "<b>the end</b>".into()),
        ("rows", Value::List((0..ROWS).map(row).collect())),
    ])
}

fn template(source: &str) -> Template {
    Template::compile(source, None).unwrap_or_else(|error| panic!("{error}"))
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    let large = PAGE.repeat(100);
    for (name, source) in [("page", PAGE), ("100 pages", &large)] {
        group.throughput(Throughput::Bytes(source.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| template(black_box(source))));
    }
}

fn render(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    let partials: HashMap<Vec<u8>, Arc<Template>> = [(b"row".to_vec(), Arc::new(template(ROW)))].into();
    let data = data();
    for (name, source) in [("1000 rows", PAGE), ("1000 rows by a partial", ROW_OUTSIDE)] {
        let template = template(source);
        let mut out = Vec::new();
        let mut render = || {
            out.clear();
            template.render(&data, &partials, &mut out).unwrap_or_else(|error| panic!("{error}"));
            out.len()
        };
        group.throughput(Throughput::Bytes(render() as u64));
        group.bench_function(name, |bencher| bencher.iter(&mut render));
    }
}

fn escape(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("escape 64 KiB");
    let template = template("{{text}}");
    for (name, text) in [
        ("clean", "plain text "),
        ("markup", "<a href=\"x\">it's</a> & "),
        ("one in 64", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde&"),
    ] {
        let text = text.repeat((64 << 10) / text.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        let data = Value::map([("text", text.into())]);
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                template.render(&data, &(), &mut out).unwrap_or_else(|error| panic!("{error}"));
            })
        });
    }
}

criterion_group!(benches, compile, render, escape);
criterion_main!(benches);
