//! Templates that must be refused, and limits: each below, at and above.

use std::convert::Infallible;

use iodine_mustache::{DEPTH_LIMIT, ErrorKind, Expansion, NESTING_LIMIT, RenderError, SIZE_LIMIT, Template, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Partials, partials, render};

fn compile(source: impl Into<Vec<u8>>) -> Result<Template, iodine_mustache::Error> {
    Template::compile(source, Some("page"))
}

#[test]
fn malformed_templates() {
    let unclosed = |name: &str| ErrorKind::UnclosedSection(name.into());
    let unopened = |name: &str| ErrorKind::UnopenedSection(name.into());
    let mismatched = |open: &str, close: &str| ErrorKind::MismatchedSection { open: open.into(), close: close.into() };
    let table = [
        ("text {{", ErrorKind::UnclosedTag, (1, 6)),
        ("a\nb {{c", ErrorKind::UnclosedTag, (2, 3)),
        ("{{a}\n{{b}}", ErrorKind::UnclosedTag, (1, 1)),
        ("{{!", ErrorKind::UnclosedTag, (1, 1)),
        ("{{=| |=}} |a", ErrorKind::UnclosedTag, (1, 11)),
        ("x{{}}", ErrorKind::EmptyTag, (1, 2)),
        ("{{>}}", ErrorKind::EmptyTag, (1, 1)),
        ("{{>*}}", ErrorKind::EmptyTag, (1, 1)),
        ("{{<* }}{{/*}}", ErrorKind::EmptyTag, (1, 1)),
        ("{{/}}", ErrorKind::EmptyTag, (1, 1)),
        ("{{$}}", ErrorKind::EmptyTag, (1, 1)),
        ("{{a..b}}", ErrorKind::EmptyPart("a..b".into()), (1, 1)),
        ("{{#a.}}{{/a.}}", ErrorKind::EmptyPart("a.".into()), (1, 1)),
        ("{{>*a..b}}", ErrorKind::EmptyPart("a..b".into()), (1, 1)),
        ("\n{{==}}", ErrorKind::BadDelimiters, (2, 1)),
        ("{{= =}}", ErrorKind::BadDelimiters, (1, 1)),
        ("{{=|=}}", ErrorKind::BadDelimiters, (1, 1)),
        ("{{=a b c=}}", ErrorKind::BadDelimiters, (1, 1)),
        ("{{=<%= %>=}}", ErrorKind::BadDelimiters, (1, 1)),
        ("{{=| |}}", ErrorKind::BadDelimiters, (1, 1)),
        ("{{=<% %>=}} <%= | | %>", ErrorKind::BadDelimiters, (1, 13)),
        ("a\n{{#b}}", unclosed("b"), (2, 1)),
        ("{{#a}}{{^b}}{{/b}}", unclosed("a"), (1, 1)),
        ("{{<a}}{{$b}}{{/b}}", unclosed("a"), (1, 1)),
        ("{{<a}}{{$b}}", unclosed("b"), (1, 7)),
        ("{{/a}}", unopened("a"), (1, 1)),
        ("{{#a}}{{/a}}{{/a}}", unopened("a"), (1, 13)),
        ("{{#a}}{{/b}}", mismatched("a", "b"), (1, 7)),
        ("{{#a}}{{#b}}{{/a}}{{/b}}", mismatched("b", "a"), (1, 13)),
        ("{{#a}}{{/A}}", mismatched("a", "A"), (1, 7)),
        ("{{#a}}{{=| |=}}{{/a}}", unclosed("a"), (1, 1)),
        ("{{<*a}}{{/b}}", mismatched("a", "b"), (1, 8)),
    ];
    for (source, kind, place) in table {
        let error = compile(source).unwrap_err();
        let at = error.location();
        assert_eq!((error.kind(), (at.line, at.column)), (&kind, place), "{source:?}");
        assert_eq!(at.template.as_deref(), Some("page"));
    }
}

#[test]
fn messages_say_where_what_and_what_to_do() {
    let error = compile("a\n  {{#b}}{{/c}}").unwrap_err();
    assert_eq!(error.to_string(), "page:2:9: \"b\" is closed by \"c\"; close the innermost open tag first");
    let error = Template::<()>::compile("{{#b}}", None).unwrap_err();
    assert_eq!(error.to_string(), "template:1:1: \"b\" is opened here and never closed; add its closing tag {{/b}}");
}

#[test]
fn nesting_limit() {
    for (open, close) in [("{{#a}}", "{{/a}}"), ("{{^a}}", "{{/a}}"), ("{{<a}}", "{{/a}}"), ("{{$a}}", "{{/a}}")] {
        let nested = |depth| compile(open.repeat(depth) + &close.repeat(depth));
        assert!(nested(NESTING_LIMIT - 1).is_ok());
        assert!(nested(NESTING_LIMIT).is_ok());
        assert_eq!(nested(NESTING_LIMIT + 1).unwrap_err().kind(), &ErrorKind::TooDeep);
    }
}

#[test]
fn size_limit() {
    for length in [SIZE_LIMIT - 1, SIZE_LIMIT] {
        assert!(compile(vec![b' '; length]).is_ok());
    }
    assert_eq!(compile(vec![b' '; SIZE_LIMIT + 1]).unwrap_err().kind(), &ErrorKind::TooLarge);
}

/// A chain of partials, each a tag that calls the next.
fn chain(length: usize) -> Partials {
    let link = |index: usize| (index.to_string(), format!("{{{{>{}}}}}", index + 1).into());
    let mut sources: serde_json::Map<String, serde_json::Value> = (1..length).map(link).collect();
    sources.insert(length.to_string(), "end".into());
    partials(&sources.into())
}

#[test]
fn depth_limit() {
    let template = compile("{{>1}}").unwrap();
    for length in [DEPTH_LIMIT - 1, DEPTH_LIMIT] {
        assert_eq!(render(&template, &Value::Null, &chain(length)).unwrap(), "end");
    }
    let error = render(&template, &Value::Null, &chain(DEPTH_LIMIT + 1)).unwrap_err();
    assert_eq!(endless(error), DEPTH_LIMIT);
}

#[test]
fn endless_recursion() {
    let own_text = Value::lambda(|text| Expansion::Template([b"{{#l}}", text.unwrap_or(b"-"), b"{{/l}}"].concat()));
    let own_name = Value::lambda(|_| Expansion::Template(b"{{v}}".to_vec()));
    let data = Value::map([("a", vec![Value::from(1)].into()), ("l", own_text), ("v", own_name), ("n", "p".into())]);
    let table = [
        ("{{>p}}", json!({ "p": "{{>p}}" })),
        ("{{>p}}", json!({ "p": "  {{>p}}\n  {{>p}}\n" })),
        ("{{>p}}", json!({ "p": "{{>q}}", "q": "{{>p}}" })),
        ("{{>p}}", json!({ "p": "{{#a}}{{>p}}{{/a}}" })),
        ("{{>*n}}", json!({ "p": "{{>*n}}" })),
        ("{{<p}}{{/p}}", json!({ "p": "{{<p}}{{$b}}{{/b}}{{/p}}" })),
        ("{{<p}}{{$b}}{{>p}}{{/b}}{{/p}}", json!({ "p": "{{$b}}{{>p}}{{/b}}" })),
        ("{{#l}}x{{/l}}", json!({})),
        ("{{v}}", json!({})),
        ("{{{v}}}", json!({})),
    ];
    for (source, sources) in table {
        let error = render(&compile(source).unwrap(), &data, &partials(&sources)).unwrap_err();
        assert_eq!(endless(error), DEPTH_LIMIT, "{source} with {sources}");
    }
}

fn endless(error: RenderError<Infallible>) -> usize {
    let RenderError::Template(error) = error;
    match error.kind() {
        ErrorKind::EndlessRecursion { limit } => *limit,
        kind => panic!("{kind}"),
    }
}

/// None of these may take more than a moment, either way.
#[test]
fn a_megabyte_of_one_thing() {
    let things = [
        "{",
        "}",
        "{{",
        "{{{",
        "}}",
        "{{!",
        "{{! }}",
        "{{=",
        "{{=| |=}}|={{ }}=|",
        "{{a}}",
        "{{a}}\n",
        "{{a.",
        "{{#a}}",
        "{{#a}}{{/a}}",
        "{{$a}}\n",
        "{{$a}}\n{{/a}}\n",
        "{{<a}}{{$b}}\n\n{{/b}}{{/a}}",
        "{{>a}}",
        " {{>a}}\n",
        "\0",
        "\n",
        " ",
    ];
    for thing in things {
        let source = thing.repeat((1 << 20) / thing.len());
        if let Ok(template) = compile(source) {
            render(&template, &Value::Null, &Partials::default()).unwrap();
        }
    }
}

/// Pieces of which templates consist, well-formed or not.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{{a}}",
        "{{b.c}}",
        "{{.}}",
        "{{{a}}}",
        "{{&l}}",
        "{{l}}",
        "{{#a}}",
        "{{#l}}",
        "{{#list}}",
        "{{^b}}",
        "{{/a}}",
        "{{/l}}",
        "{{/list}}",
        "{{/b}}",
        "{{>p}}",
        "{{>q}}",
        "{{>*n}}",
        "{{<p}}",
        "{{<q}}",
        "{{/p}}",
        "{{/q}}",
        "{{$x}}",
        "{{$y}}",
        "{{/x}}",
        "{{/y}}",
        "{{! c }}",
        "{{=| |=}}",
        "|={{ }}=|",
        "|a|",
        "|#a|",
        "|/a|",
        "{{",
        "}}",
        "{{{",
        "{{=",
        "=}}",
        "\n",
        "\r\n",
        " ",
        "  ",
        "\t",
        "text",
        "<&>",
        "\0",
        "{{a..b}}",
        "{{ }}",
    ];
    prop_oneof![
        20 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn source() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

/// Well-formed templates, which random pieces seldom are.
fn well_formed() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop::sample::select(vec![
        "{{a}}", "{{b.c}}", "{{l}}", "{{>p}}", "{{>q}}", "{{>*n}}", "\n", "  ", "text", "{{! c }}", "a\nb\n",
    ]);
    let tree = leaf.prop_map(|leaf| leaf.as_bytes().to_vec()).prop_recursive(4, 24, 6, |inner| {
        let tags = prop::sample::select(vec![
            ("#", "a"),
            ("#", "l"),
            ("#", "list"),
            ("^", "b"),
            ("<", "p"),
            ("<", "q"),
            ("$", "x"),
            ("$", "y"),
        ]);
        let blank = prop::sample::select(vec!["", "\n", "  ", "\n  "]);
        (tags, blank, prop::collection::vec(inner, 0..6)).prop_map(|((sigil, name), blank, content)| {
            let open = format!("{blank}{{{{{sigil}{name}}}}}{blank}").into_bytes();
            [open, content.concat(), format!("{blank}{{{{/{name}}}}}{blank}").into_bytes()].concat()
        })
    });
    prop::collection::vec(tree, 0..4).prop_map(|trees| trees.concat())
}

fn data() -> Value {
    let lambda = Value::lambda(|text| Expansion::Template([b"(", text.unwrap_or(b"{{a}}"), b")\n"].concat()));
    let list = Value::List(vec![Value::Null, "<text>".into(), Value::map([("a", Value::from(false))])]);
    Value::map([
        ("a", "&\n".into()),
        ("b", Value::map([("c", 1.into())])),
        ("l", lambda),
        ("list", list),
        ("n", "q".into()),
    ])
}

/// Compiles and renders; both may fail, neither may panic.
fn exercise(page: Vec<u8>, p: Vec<u8>, q: Vec<u8>) -> Option<Vec<u8>> {
    let named = |name: &str, source| Some((name.as_bytes().to_vec(), compile(source).ok()?.into()));
    let partials: Partials = [named("p", p), named("q", q)].into_iter().flatten().collect();
    let mut out = Vec::new();
    compile(page).ok()?.render(&data(), &partials, &mut out).ok()?;
    Some(out)
}

proptest! {
    #[test]
    fn any_bytes(page in prop::collection::vec(any::<u8>(), 0..64)) {
        exercise(page, Vec::new(), Vec::new());
    }

    #[test]
    fn any_pieces(page in source(), p in source(), q in source()) {
        exercise(page, p, q);
    }

    #[test]
    fn any_well_formed_template_compiles(page in well_formed(), p in well_formed(), q in well_formed()) {
        prop_assert!(compile(page.clone()).is_ok());
        exercise(page, p, q);
    }

    /// Whatever a variable holds, nothing of it is markup.
    #[test]
    fn escaped_text_has_no_markup(text in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut out = Vec::new();
        compile("{{a}}").unwrap().render(&Value::map([("a", Value::Text(text))]), &(), &mut out).unwrap();
        prop_assert!(!out.iter().any(|byte| b"<>\"'".contains(byte)));
    }
}
