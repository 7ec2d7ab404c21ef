//! The Sec-WebSocket-Extensions field (RFC 6455 section 9.1).

use crate::http1::syntax::{is_token, list, trim};

/// One extension of a list, with its parameters.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a [u8],
    pub(super) parameters: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// The extensions of all fields of a head, in their order. `None` if one is malformed, upon which the handshake fails.
pub(super) fn parse<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Extension<'a>>> {
    // A quoted value is a token too, so no comma or semicolon is within one.
    fields.flat_map(list).map(Extension::parse).collect()
}

impl<'a> Extension<'a> {
    fn parse(member: &'a [u8]) -> Option<Extension<'a>> {
        let mut parts = member.split(|byte| *byte == b';').map(trim);
        let name = parts.next().filter(|name| is_token(name))?;
        let parameters = parts.map(parameter).collect::<Option<_>>()?;
        Some(Extension { name, parameters })
    }
}

fn parameter(part: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut sides = part.splitn(2, |byte| *byte == b'=').map(trim);
    let name = sides.next().filter(|name| is_token(name))?;
    let value = match sides.next() {
        None => None,
        Some([b'"', value @ .., b'"'] | value) => Some(Some(value).filter(|value| is_token(value))?),
    };
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[&str]) -> Option<String> {
        let extensions = parse(fields.iter().map(|field| field.as_bytes()))?;
        let shown = extensions.iter().map(|extension| {
            let parameters = extension.parameters.iter().map(|(name, value)| {
                let value = value.map_or("-".to_owned(), |value| value.escape_ascii().to_string());
                format!(";{}={value}", name.escape_ascii())
            });
            format!("{}{}", extension.name.escape_ascii(), parameters.collect::<String>())
        });
        Some(shown.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn lists() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&[], Some("")),
            (&[""], Some("")),
            (&["a"], Some("a")),
            (&["a, b;c", "d; e=1"], Some("a,b;c=-,d;e=1")),
            (&[" a\t;\tb ; c = 2 ,, b"], Some("a;b=-;c=2,b")),
            (&["a; b=\"10\""], Some("a;b=10")),
            (&["a; b=\"\""], None),
            (&["a; b=\"1,2\""], None),
            (&["a; b=\"1"], None),
            (&["a; b="], None),
            (&["a; =b"], None),
            (&["a;"], None),
            (&[";a"], None),
            (&["a b"], None),
            (&["a", "b; c=d=e"], None),
        ];
        for (fields, expected) in table {
            assert_eq!(shown(fields).as_deref(), *expected, "{fields:?}");
        }
    }
}
