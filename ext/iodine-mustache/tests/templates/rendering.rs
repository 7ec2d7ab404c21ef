//! What the specification leaves open, and what iodine 0.7 got wrong.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use iodine_mustache::{
    Data, ErrorKind, Expansion, Key, Loaded, Name, Output, Partials, RenderError, Shape, Template, Value, Written,
};
use serde_json::json;

use crate::support::{partials, render, value};

fn page(source: &str, data: &serde_json::Value, sources: &serde_json::Value) -> String {
    let template: Template = Template::compile(source, Some("page")).unwrap();
    render(&template, &value(data, &|code| panic!("no lambda {code}")), &partials(sources)).unwrap()
}

fn check(table: &[(&str, serde_json::Value, &str)]) {
    for (source, data, expected) in table {
        assert_eq!(page(source, data, &json!({})), *expected, "{source:?}");
    }
}

fn check_partials(table: &[(&str, serde_json::Value, &str)]) {
    let data = json!({ "yes": true, "two": [1, 2], "text": "x\ny" });
    for (source, sources, expected) in table {
        assert_eq!(page(source, &data, sources), *expected, "{source:?} with {sources}");
    }
}

#[test]
fn values_as_text() {
    check(&[
        ("{{a}}", json!({ "a": true }), "true"),
        ("{{a}}", json!({ "a": "" }), ""),
        ("{{a}}", json!({ "a": -7 }), "-7"),
        ("{{a}}", json!({ "a": [1] }), ""),
        ("{{a}}", json!({ "a": "it's <b>" }), "it&#39;s &lt;b&gt;"),
        ("{{a}}", json!({ "a": "a=b/c `d` \u{e9}" }), "a=b/c `d` \u{e9}"),
        ("{{:a}}", json!({ "a": 1 }), "1"),
        ("{{first name}}", json!({ "first name": 1 }), "1"),
    ]);
}

#[test]
fn sections() {
    check(&[
        ("{{#a}}[{{.}}]{{/a}}", json!({ "a": "text" }), "[text]"),
        ("{{#a}}[{{.}}]{{/a}}", json!({ "a": "" }), "[]"),
        ("{{#a}}[{{.}}]{{/a}}", json!({ "a": 0 }), "[0]"),
        ("{{#a}}[{{b}}]{{/a}}", json!({ "a": {}, "b": 1 }), "[1]"),
        ("{{#a}}[{{.}}]{{/a}}", json!({ "a": [null, false] }), "[][false]"),
        ("{{#a}}{{^b}}-{{/b}}{{/a}}", json!({ "a": { "b": null }, "b": 1 }), "-"),
        ("{{#a}}{{#a}}{{a}}{{/a}}{{/a}}", json!({ "a": { "a": { "a": 1 } } }), "1"),
        ("{{#a.b}}{{c}}{{d}}{{/a.b}}", json!({ "a": { "b": { "c": 1 }, "d": 2 }, "d": 3 }), "13"),
        ("{{^.}}empty{{/.}}", json!([]), "empty"),
    ]);
}

/// The names and whitespace of tags that stand together on a line.
#[test]
fn standalone_lines() {
    check(&[
        ("{{#a}}{{/a}}\n.", json!({ "a": 1 }), "\n."),
        ("{{#a}}\n{{/a}} \t\r\n.", json!({ "a": 1 }), "."),
        ("{{#a}}\r{{/a}}", json!({ "a": 1 }), "\r"),
        ("a\n\n  {{! c }}\n\nb", json!({}), "a\n\n\nb"),
        ("{{! c }}", json!({}), ""),
        ("{{! c }}{{! d }}\n", json!({}), "\n"),
        ("{{=| |=}}\n|a|\n|={{ }}=|\n{{a}}", json!({ "a": 1 }), "1\n1"),
    ]);
}

#[test]
fn indentation_of_partials() {
    check_partials(&[
        ("  {{>p}}\n", json!({ "p": "a\n{{{text}}}\nb\n" }), "  a\n  x\ny\n  b\n"),
        ("  {{>p}}\n", json!({ "p": "a\n\nb\n" }), "  a\n  \n  b\n"),
        ("  {{>p}}\r\n.", json!({ "p": "a\r\nb\r\n" }), "  a\r\n  b\r\n."),
        (" {{>p}}\n", json!({ "p": "a\n {{>q}}\nb\n", "q": "c\nd\n" }), " a\n  c\n  d\n b\n"),
        (" {{>p}}\n", json!({ "p": "a {{>q}}\nb\n", "q": "c\nd" }), " a c\nd\n b\n"),
        (" {{>p}}\n", json!({ "p": "{{#two}}\n{{.}}\n{{/two}}\n" }), " 1\n 2\n"),
        (" {{>p}}\n", json!({ "p": "{{#two}}{{.}}{{/two}}\n" }), " 12\n"),
        (" {{>p}}\n", json!({ "p": "{{^yes}}a{{/yes}}b\n" }), " b\n"),
        (" {{>p}}\n", json!({ "p": "{{! c }}b\n" }), " b\n"),
        (" {{>p}}\n", json!({ "p": "{{<q}}{{/q}}\n.\n", "q": "a\nb\n" }), " a\n b\n .\n"),
        (" {{>p}}\n", json!({ "p": " {{<q}}{{/q}} b\n", "q": "a" }), "  a b\n"),
        (" {{>p}}\n", json!({ "p": "{{$a}}1{{/a}}\n2\n" }), " 1\n 2\n"),
        (" {{>missing}}\n.", json!({}), "."),
    ]);
}

#[test]
fn blocks_indent_what_overrides_them() {
    let layout = json!({ "p": "<body>\n  {{$main}}\n    default\n  {{/main}}\n</body>\n" });
    let inline = json!({ "p": "<body>\n  {{$main}}default{{/main}}\n</body>\n" });
    let within = json!({ "p": "<b>{{$main}}default{{/main}}</b>\n" });
    check_partials(&[
        ("{{>p}}", layout.clone(), "<body>\n    default\n</body>\n"),
        ("{{>p}}", inline.clone(), "<body>\n  default\n</body>\n"),
        (" {{>p}}\n", layout.clone(), " <body>\n     default\n </body>\n"),
        ("{{<p}}{{$main}}\n  a\n\n    b\n{{/main}}{{/p}}", layout.clone(), "<body>\n    a\n    \n      b\n</body>\n"),
        ("{{<p}}\n  {{$main}}\n  a\n  {{/main}}\n{{/p}}\n.", layout.clone(), "<body>\n    a\n</body>\n."),
        ("{{<p}}\n  {{$main}}\n  a\n  {{/main}}{{/p}}\n.", layout.clone(), "<body>\n    a\n</body>\n."),
        ("{{<p}}\n {{$main}}a\n b{{/main}}\n{{/p}}\n", inline.clone(), "<body>\n  a\n  b\n</body>\n"),
        ("{{<p}}{{$main}}{{#two}}{{.}}{{/two}}{{/main}}{{/p}}", inline.clone(), "<body>\n  12\n</body>\n"),
        ("{{<p}}{{$main}}{{/main}}{{/p}}", layout, "<body>\n</body>\n"),
        ("{{<p}}{{$main}}a\nb{{/main}}{{/p}}", within.clone(), "<b>a\nb</b>\n"),
        ("{{<p}}{{$main}}1{{/main}}{{$main}}2{{/main}}{{/p}}", within.clone(), "<b>2</b>\n"),
        ("{{<p}}{{$main}}{{$main}}1{{/main}}{{/main}}{{/p}}", within.clone(), "<b>1</b>\n"),
        ("{{<p}}{{#yes}}{{$main}}1{{/main}}{{/yes}}{{/p}}", within.clone(), "<b>default</b>\n"),
        ("{{<*text}}{{$main}}1{{/main}}{{/* text}}.", json!({ "x\ny": "{{$main}}{{/main}}" }), "1."),
        ("{{<missing}}{{$main}}1{{/main}}{{/missing}}.", within, "."),
    ]);
}

#[test]
fn blocks_and_what_is_around_them() {
    let table = [
        // The blanks before the last closing tags of a line are no content.
        ("{{<p}}{{$a}}\n1\n  {{/a}}{{/p}}", "[{{$a}}{{/a}}]", "[1\n]"),
        // Blanks within one line are.
        ("{{<p}}{{$a}} {{/a}}{{/p}}", "[{{$a}}{{/a}}]", "[ ]"),
        ("{{<p}}\n  {{$a}}  1\n   2{{/a}}\n{{/p}}", "[{{$a}}{{/a}}]", "[  1\n 2]"),
        // The indentation is written once, also if the block has no default and others begin where it does.
        (" {{<p}}{{$a}}1{{/a}}{{/p}}\n", "{{$a}}{{/a}}2\n", " 12\n"),
        (" {{<p}}{{$b}}1{{/b}}{{/p}}\n", "{{$a}}{{$b}}{{/b}}{{/a}}\n", " 1\n"),
        // A block without content indents like its tag.
        ("{{<p}}{{$a}}1\n2\n{{/a}}{{/p}}", "[\n  {{$a}}\n{{/a}}\n]", "[\n  1\n  2\n]"),
        // Lines after an argument keep their indentation, also those of an argument around it.
        ("{{<p}}{{$a}}\n  1{{/a}}{{/p}}\n  2", "{{$a}}{{/a}}", "1  2"),
        (
            "{{<p}}\n{{$a}}\n  {{<p}}\n    {{$a}}\n    1\n    {{/a}}\n  {{/p}}\n   2\n{{/a}}\n{{/p}}",
            "{{$a}}{{/a}}",
            "1\n 2\n",
        ),
        // What is inside an argument is indented as the argument is.
        ("{{<p}}{{$a}}\n  {{>q}}\n{{/a}}{{/p}}", "[\n {{$a}}\n {{/a}}\n]", "[\n q1\n q2\n]"),
        ("{{<p}}{{$a}}\n  {{<q}}{{/q}}\n{{/a}}{{/p}}", "[\n {{$a}}\n {{/a}}\n]", "[\n q1\n q2\n]"),
        ("{{<r}}{{$b}}1\n2{{/b}}{{/r}}", "[\n{{$a}}{{/a}}\n]", "[\n1\n2\n\n]"),
    ];
    for (source, parent, expected) in table {
        let sources = json!({ "p": parent, "q": "q1\nq2\n", "r": "{{<p}}{{$a}}\n  {{$b}}{{/b}}\n{{/a}}{{/p}}" });
        assert_eq!(page(source, &json!({}), &sources), expected, "{source:?} with {parent:?}");
    }
}

/// A block within an argument is a parameter of the template that has it, not of the parent that gets it.
#[test]
fn an_argument_sees_the_arguments_of_its_own_template() {
    let sources = json!({
        "outer": "{{<inner}}{{$a}}[{{$b}}b of outer{{/b}}]{{/a}}{{$b}}b for inner{{/b}}{{/inner}}",
        "inner": "{{$a}}{{/a}} {{$b}}{{/b}}",
    });
    check_partials(&[
        ("{{>outer}}", sources.clone(), "[b of outer] b for inner"),
        ("{{<outer}}{{$b}}B{{/b}}{{/outer}}", sources, "[B] B"),
    ]);
}

#[test]
fn recursion_ends_where_the_data_say_nil() {
    let tree = json!({ "node": { "name": "a", "node": { "name": "b", "node": null } } });
    let sources = json!({ "p": "{{#node}}{{name}}({{>p}}){{/node}}" });
    assert_eq!(page("{{>p}}", &tree, &sources), "a(b())");
}

#[test]
fn long_lines_and_long_templates_are_whole() {
    for length in [65_535, 65_536, 70_000, 10 << 20] {
        let text = "x".repeat(length);
        assert!(page(&text, &json!({}), &json!({})) == text, "{length} bytes");
    }
    let lines = "line {{a}}\n".repeat(2_000);
    let page = page(&format!("{lines}{{{{>p}}}}"), &json!({ "a": 1 }), &json!({ "p": "end" }));
    assert_eq!(page, "line 1\n".repeat(2_000) + "end");
}

#[test]
fn bytes_pass_as_they_are() {
    let template: Template = Template::compile(&b"\xff\0{{a\xfe}}\xc3{{b}}"[..], None).unwrap();
    let data = Value::Map([(b"a\xfe".to_vec(), Value::Text(b"<\0\xff>".to_vec()))].into());
    let mut out = b"before ".to_vec();
    template.render(&data, &(), &mut out).unwrap();
    assert_eq!(out, b"before \xff\0&lt;\0\xff&gt;\xc3");
}

#[test]
fn lambdas() {
    let echo = Value::lambda(|text| Expansion::Template(text.unwrap_or(b"{{b}} ").to_vec()));
    let verbatim = Value::lambda(|text| Expansion::Text([b"{{b}}<", text.unwrap_or_default()].concat()));
    let data = Value::map([("echo", echo), ("verbatim", verbatim), ("b", "&".into())]);
    let sources = partials(&json!({ "p": "{{#echo}}\na\n{{b}}\n{{/echo}}\n", "echoed": "{{echo}}" }));
    let table = [
        ("{{#echo}}\n{{b}}\n{{/echo}}\n.", "&amp;\n."),
        ("{{echo}}|{{{echo}}}|{{&echo}}", "&amp;amp; |&amp; |&amp; "),
        ("{{verbatim}}|{{{verbatim}}}", "{{b}}&lt;|{{b}}<"),
        ("{{#verbatim}}{{c}}{{/verbatim}}", "{{b}}<{{c}}"),
        ("{{#echo}}{{/echo}}", ""),
        (" {{>p}}\n.", " a\n &amp;\n."),
        ("{{#echo}}{{#echo}}{{>echoed}}{{/echo}}{{/echo}}", "&amp;amp; "),
        ("{{=<% %>=}}<%#echo%><%b%>{{b}}<%/echo%>", "&amp;{{b}}"),
        ("{{^echo}}no{{/echo}}", ""),
    ];
    for (source, expected) in table {
        let template: Template = Template::compile(source, None).unwrap();
        assert_eq!(render(&template, &data, &sources).unwrap(), expected, "{source}");
    }
}

#[test]
fn names_and_partials_are_listed() {
    let template: Template =
        Template::compile("{{a.b}}{{#b}}{{a}}{{.}}{{/b}}{{>p/q}}{{>*c}}{{<r}}{{$block}}{{/block}}{{/r}}", None)
            .unwrap();
    let names: Vec<&[u8]> = template.names().iter().map(Name::text).collect();
    assert_eq!(names, [b"a", b"b", b"c"]);
    assert_eq!(template.partials().collect::<Vec<_>>(), [&b"p/q"[..], b"r"]);
    assert_eq!(template.name(), None);
}

/// Data that fail where the template says so, and whose keys are numbers.
#[derive(Clone)]
struct Moody;

#[derive(Debug)]
struct Length(usize);

impl Key for Length {
    fn new(name: &[u8]) -> Self {
        Length(name.len())
    }
}

impl Data for Moody {
    type Key = Length;
    type Value = ();
    type Error = &'static str;

    fn root(&self) {}

    fn lookup(&self, _context: (), name: &Name<Length>) -> Result<Option<()>, &'static str> {
        assert_eq!(name.key().0, name.text().len());
        match name.text() {
            b"bad" => Err("no mood for this"),
            _ => Ok(Some(())),
        }
    }

    /// A list that has become shorter than it said.
    fn shape(&self, _value: ()) -> Result<Shape, &'static str> {
        Ok(Shape::List(3))
    }

    fn element(&self, _list: (), index: usize) -> Result<Option<()>, &'static str> {
        Ok((index < 2).then_some(()))
    }

    fn write(&self, _value: (), output: &mut Output<'_>) -> Result<Written, &'static str> {
        output.push(b"mood");
        Ok(Written::Text)
    }

    fn call(&self, _lambda: (), _section: Option<&[u8]>) -> Result<Expansion, &'static str> {
        Err("not a lambda")
    }
}

impl Partials<Moody> for Moody {
    fn load(&self, name: &[u8], from: Option<&str>) -> Result<Loaded<Length>, &'static str> {
        assert_eq!((name, from), (&b"absent"[..], Some("moody")));
        Err("no such template")
    }
}

#[test]
fn errors_of_data_and_partials_say_where() {
    let table = [
        ("{{a}}\n {{bad}}", "moody:2:2: no mood for this"),
        ("{{#a}}{{^a.bad}}{{/a.bad}}{{/a}}", "moody:1:7: no mood for this"),
        ("{{>absent}}", "moody:1:1: no such template"),
    ];
    for (source, expected) in table {
        let mut out = b"kept".to_vec();
        let error = Template::compile(source, Some("moody")).unwrap().render(Moody, &Moody, &mut out).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(out, b"kept", "what was written before the error is taken back");
    }
}

#[test]
fn a_list_may_shrink_while_it_is_walked() {
    let mut out = Vec::new();
    Template::compile("{{#a}}{{.}} {{/a}}", None).unwrap().render(Moody, &Moody, &mut out).unwrap();
    assert_eq!(out, b"mood mood ");
}

/// Remembers which values are held. A value is a number, even ones but 2 are single values, 2 has no names.
#[derive(Default)]
struct Keeper(RefCell<Vec<usize>>);

impl Data for &Keeper {
    type Key = ();
    type Value = usize;
    type Error = Infallible;

    fn root(&self) -> usize {
        0
    }

    fn lookup(&self, context: usize, name: &Name<()>) -> Result<Option<usize>, Infallible> {
        Ok(Some(context * 10 + name.text().len()))
    }

    fn shape(&self, value: usize) -> Result<Shape, Infallible> {
        Ok(match value {
            2 => Shape::Nameless,
            value if value % 2 == 1 => Shape::List(2),
            _ => Shape::Truthy,
        })
    }

    fn element(&self, list: usize, index: usize) -> Result<Option<usize>, Infallible> {
        Ok(Some(list * 10 + index))
    }

    fn write(&self, value: usize, output: &mut Output<'_>) -> Result<Written, Infallible> {
        output.push(format!("{value}{:?} ", self.0.borrow()).as_bytes());
        Ok(Written::Text)
    }

    fn call(&self, _lambda: usize, _section: Option<&[u8]>) -> Result<Expansion, Infallible> {
        Ok(Expansion::Text(Vec::new()))
    }

    fn hold(&self, value: usize) {
        self.0.borrow_mut().push(value);
    }

    fn release(&self) {
        assert!(self.0.borrow_mut().pop().is_some());
    }
}

#[test]
fn sections_hold_their_list_and_context() {
    let keeper = Keeper::default();
    let mut out = Vec::new();
    let template = Template::compile("{{.}}{{#a}}{{.}}{{#bb}}{{.}}{{/bb}}{{/a}}{{.}}", None).unwrap();
    template.render(&keeper, &(), &mut out).unwrap();
    let expected = "0[] 10[1, 10] 102[1, 10, 102, 102] 11[1, 11] 112[1, 11, 112, 112] 0[] ";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert!(keeper.0.borrow().is_empty());
}

/// Lists of 100 that end at the third pause.
#[derive(Default)]
struct Patience(Cell<u32>);

impl Data for &Patience {
    type Key = ();
    type Value = ();
    type Error = &'static str;

    fn root(&self) {}

    fn lookup(&self, _context: (), _name: &Name<()>) -> Result<Option<()>, &'static str> {
        Ok(Some(()))
    }

    fn shape(&self, _value: ()) -> Result<Shape, &'static str> {
        Ok(Shape::List(100))
    }

    fn element(&self, _list: (), _index: usize) -> Result<Option<()>, &'static str> {
        Ok(Some(()))
    }

    fn write(&self, _value: (), output: &mut Output<'_>) -> Result<Written, &'static str> {
        output.push(b"x");
        Ok(Written::Text)
    }

    fn call(&self, _lambda: (), _section: Option<&[u8]>) -> Result<Expansion, &'static str> {
        Err("not a lambda")
    }

    fn pause(&self) -> Result<(), &'static str> {
        self.0.set(self.0.get() + 1);
        if self.0.get() == 3 { Err("that is enough") } else { Ok(()) }
    }
}

#[test]
fn lists_pause_and_may_be_ended_there() {
    let table = [("{{#a}}{{#b}}{{.}}{{/b}}{{/a}}", None, 3), ("{{#a}}{{.}}{{/a}}", Some(100), 0)];
    for (source, length, pauses) in table {
        let (data, mut out) = (Patience::default(), Vec::new());
        let result = Template::compile(source, None).unwrap().render(&data, &(), &mut out);
        let error = "template:1:18: that is enough".to_owned();
        assert_eq!(result.map(|()| out.len()).map_err(|error| error.to_string()), length.ok_or(error));
        assert_eq!(data.0.get(), pauses);
    }
}

#[test]
fn a_nameless_context_is_itself_and_no_more() {
    let mut out = Vec::new();
    let template = Template::compile("{{#bb}}{{.}}{{ccc}} {{#.}}{{.}}{{ccc}}{{/.}}{{/bb}}", None).unwrap();
    template.render(&Keeper::default(), &(), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "2[2, 2] 3[2, 2]  2[2, 2, 2, 2] 3[2, 2, 2, 2] ");
}

#[test]
fn errors_in_the_text_of_a_lambda_say_so() {
    let data = Value::map([("l", Value::lambda(|_| Expansion::Template(b"\n {{".to_vec())))]);
    let template: Template = Template::compile("text {{l}}", Some("page")).unwrap();
    let error: RenderError<Infallible> = template.render(&data, &(), &mut Vec::new()).unwrap_err();
    let RenderError::Template(error) = error;
    assert_eq!(error.kind(), &ErrorKind::UnclosedTag);
    assert!(error.to_string().starts_with("page (in the text of a lambda):2:2: "), "{error}");
}
