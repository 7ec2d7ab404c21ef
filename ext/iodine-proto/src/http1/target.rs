//! The request target.

use super::Refusal;
use super::authority::Authority;
use super::span::Span;
use super::syntax::is_percent_encoded;

/// A request target taken apart. The spans are those of the request line.
#[derive(Clone, Copy, Default)]
pub(super) struct Target {
    /// Begins with `/`, or is `*`.
    pub(super) path: Span,
    /// Without its `?`.
    pub(super) query: Span,
    /// Host and port, when the target names them.
    pub(super) authority: Option<(Span, Option<Span>)>,
}

impl Target {
    /// Takes a target of visible bytes, a part of `line`, apart (RFC 9112 section 3.2).
    ///
    /// The origin form and the absolute form of `http` and `https` serve any method, `*` serves OPTIONS alone, and the
    /// authority form does not occur, because CONNECT is refused. Bytes that a URI should encode but browsers do not
    /// (`"<>\^{|}` and those above 0x7f) are let through; a fragment and malformed percent-encoding are not.
    pub(super) fn parse(text: &[u8], method: &[u8], line: &[u8]) -> Result<Self, Refusal> {
        if memchr::memchr(b'#', text).is_some() {
            return Err(Refusal::Target);
        }
        match text {
            [b'/', ..] => Target::origin(text, line),
            b"*" if method == b"OPTIONS" => Ok(Target { path: Span::locate(text, line), ..Target::default() }),
            _ => Target::absolute(text, line),
        }
    }

    /// Whether a target may begin with this byte.
    pub(super) fn may_begin_with(byte: u8) -> bool {
        matches!(byte, b'/' | b'*' | b'h' | b'H')
    }

    fn origin(text: &[u8], line: &[u8]) -> Result<Self, Refusal> {
        if !is_percent_encoded(text) {
            return Err(Refusal::Target);
        }
        let (path, query) = text.split_at(memchr::memchr(b'?', text).unwrap_or(text.len()));
        let query = query.get(1..).unwrap_or(query);
        Ok(Target { path: Span::locate(path, line), query: Span::locate(query, line), authority: None })
    }

    fn absolute(text: &[u8], line: &[u8]) -> Result<Self, Refusal> {
        let scheme = SCHEMES.iter().find(|scheme| starts_with(text, scheme)).ok_or(Refusal::Target)?;
        let rest = &text[scheme.len()..];
        let (authority, rest) = rest.split_at(memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len()));
        let authority = Authority::parse(authority)?;
        let mut target = Target::origin(rest, line)?;
        if !rest.starts_with(b"/") {
            // An empty path means "/" (RFC 9110 section 4.2.3), and the scheme lends its last one.
            target.path = Span::locate(&text[scheme.len() - 1..scheme.len()], line);
        }
        let port = authority.port.map(|port| Span::locate(port, line));
        target.authority = Some((Span::locate(authority.host, line), port));
        Ok(target)
    }
}

fn starts_with(text: &[u8], scheme: &[u8]) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

const SCHEMES: [&[u8]; 2] = [b"http://", b"https://"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, query, host and port.
    type Parts = (&'static str, &'static str, Option<(&'static str, Option<&'static str>)>);

    fn assert_parts(method: &str, text: &str, (path, query, authority): Parts) {
        let bytes = text.as_bytes();
        let target = Target::parse(bytes, method.as_bytes(), bytes).unwrap();
        assert_eq!(target.path.of(bytes), path.as_bytes(), "path of {text:?}");
        assert_eq!(target.query.of(bytes), query.as_bytes(), "query of {text:?}");
        let found = target.authority.map(|(host, port)| (host.of(bytes), port.map(|port| port.of(bytes))));
        let expected = authority.map(|(host, port)| (host.as_bytes(), port.map(str::as_bytes)));
        assert_eq!(found, expected, "authority of {text:?}");
    }

    #[test]
    fn takes_apart() {
        let table: &[(&str, Parts)] = &[
            ("/", ("/", "", None)),
            ("/a/b?c=d&e", ("/a/b", "c=d&e", None)),
            ("/?", ("/", "", None)),
            ("/a??b?c", ("/a", "?b?c", None)),
            ("//double//slash", ("//double//slash", "", None)),
            ("/%41%2f?%20", ("/%41%2f", "%20", None)),
            ("/caf\u{e9}?a=[\"<>\\^`{|}]", ("/caf\u{e9}", "a=[\"<>\\^`{|}]", None)),
            ("/*", ("/*", "", None)),
            ("http://a", ("/", "", Some(("a", None)))),
            ("http://a/", ("/", "", Some(("a", None)))),
            ("http://a?b", ("/", "b", Some(("a", None)))),
            ("http://a?b/c", ("/", "b/c", Some(("a", None)))),
            ("HTTPS://a.b:8080/c?d=/e", ("/c", "d=/e", Some(("a.b", Some("8080"))))),
            ("http://[::1]:3000/x", ("/x", "", Some(("[::1]", Some("3000"))))),
        ];
        for (text, parts) in table {
            assert_parts("GET", text, *parts);
        }
        assert_parts("OPTIONS", "*", ("*", "", None));
    }

    #[test]
    fn refuses() {
        let table: &[(&str, &str, Refusal)] = &[
            ("GET", "*", Refusal::Target),
            ("options", "*", Refusal::Target),
            ("OPTIONS", "*/", Refusal::Target),
            ("OPTIONS", "*?a", Refusal::Target),
            ("GET", "a", Refusal::Target),
            ("GET", "?a", Refusal::Target),
            ("GET", "/#", Refusal::Target),
            ("GET", "/?#a", Refusal::Target),
            ("GET", "/%", Refusal::Target),
            ("GET", "/%4", Refusal::Target),
            ("GET", "/%zz", Refusal::Target),
            ("GET", "/?%", Refusal::Target),
            ("GET", "http://a/%", Refusal::Target),
            ("GET", "http:/a", Refusal::Target),
            ("GET", "http//a", Refusal::Target),
            ("GET", "http:a", Refusal::Target),
            ("GET", "hxxp://a/", Refusal::Target),
            ("GET", "example.com:80", Refusal::Target),
            ("GET", "http://", Refusal::Host),
            ("GET", "http:///a", Refusal::Host),
            ("GET", "http://?a", Refusal::Host),
            ("GET", "http://:80/", Refusal::Host),
            ("GET", "http://user@a/", Refusal::Host),
            ("GET", "http://user:pw@a/", Refusal::Host),
            ("GET", "http://a:b/", Refusal::Host),
        ];
        for (method, text, refusal) in table {
            let bytes = text.as_bytes();
            assert_eq!(Target::parse(bytes, method.as_bytes(), bytes).err(), Some(*refusal), "{method} {text}");
        }
    }
}
