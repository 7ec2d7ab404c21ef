//! The authority of a request: `host [":" port]`.

use core::net::Ipv6Addr;

use super::Refusal;
use super::number::parse_decimal;
use super::syntax::{alphanumeric_and, is_percent_encoded};

/// A host and perhaps a port, as in the Host field and in an absolute target (RFC 9110 section 7.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in its brackets. Never empty.
    pub(super) host: &'a [u8],
    /// Digits of a number up to 65535. None also for a colon with nothing after it.
    pub(super) port: Option<&'a [u8]>,
}

impl<'a> Authority<'a> {
    /// Splits and checks an authority. User information is refused (RFC 9110 section 4.2.4), and so is an empty host
    /// (section 4.2.1).
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Refusal> {
        let (host, rest) = text.split_at(host_length(text));
        let valid = match host {
            [b'[', address @ .., b']'] => is_ipv6(address),
            _ => is_name(host),
        };
        if !valid {
            return Err(Refusal::Host);
        }
        Ok(Authority { host, port: parse_port(rest)? })
    }
}

/// The bytes up to the colon of the port. Those inside brackets are no such colon.
fn host_length(text: &[u8]) -> usize {
    let brackets = if text.starts_with(b"[") { memchr::memchr(b']', text).unwrap_or(0) } else { 0 };
    memchr::memchr(b':', &text[brackets..]).map_or(text.len(), |colon| brackets + colon)
}

fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// A registered name (RFC 3986 section 3.2.2), which an IPv4 address is too. The comma, which that grammar allows, is
/// refused: it is the sign of two Host fields joined into one.
fn is_name(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| NAME[usize::from(*byte)]) && is_percent_encoded(host)
}

fn parse_port(rest: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    match rest {
        [] | [b':'] => Ok(None),
        [b':', digits @ ..] => match parse_decimal(digits) {
            Some(0..=65_535) => Ok(Some(digits)),
            _ => Err(Refusal::Host),
        },
        _ => Err(Refusal::Host),
    }
}

const NAME: [bool; 256] = alphanumeric_and(b"-._~%!$&'()*+;=");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_host_and_port() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("example.com", "example.com", None),
            ("example.com:80", "example.com", Some("80")),
            ("example.com:", "example.com", None),
            ("EXAMPLE.com:0", "EXAMPLE.com", Some("0")),
            ("example.com:65535", "example.com", Some("65535")),
            ("127.0.0.1:3000", "127.0.0.1", Some("3000")),
            ("my_app.test", "my_app.test", None),
            ("a%20b", "a%20b", None),
            ("[::1]", "[::1]", None),
            ("[::1]:3000", "[::1]", Some("3000")),
            ("[::ffff:127.0.0.1]:3000", "[::ffff:127.0.0.1]", Some("3000")),
        ];
        for (text, host, port) in table {
            let expected = Authority { host: host.as_bytes(), port: port.map(str::as_bytes) };
            assert_eq!(Authority::parse(text.as_bytes()), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn refuses() {
        let table = [
            "",
            ":",
            ":80",
            "a b",
            "a\tb",
            "user@host",
            "user:pw@host",
            "a,b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a:b",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:99999999999999999999",
            "a:80:80",
            "a: 80",
            "a%",
            "a%2",
            "a%zz",
            "::1",
            "[]",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]x:80",
            "[::1]:x",
            "[[::1]]",
            "[127.0.0.1]",
            "[::1%25eth0]",
            "[v1.a]",
            "caf\u{e9}",
            "<script>",
            "a\"b",
            "a\0b",
            "a]",
            "a]:80",
        ];
        for text in table {
            assert_eq!(Authority::parse(text.as_bytes()), Err(Refusal::Host), "{text:?}");
        }
    }
}
