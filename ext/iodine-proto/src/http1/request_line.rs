//! The request line, read as it comes in.

use super::span::Span;
use super::syntax::{is_token_byte, is_visible};
use super::target::Target;
use super::{Refusal, Version};

/// A complete request line (RFC 9112 section 3). Its spans count from its first byte, which is also the head's first.
#[derive(Clone, Copy, Default)]
pub(super) struct RequestLine {
    pub(super) method: Span,
    pub(super) target: Target,
    pub(super) version: Version,
    /// Bytes of the line without its line end.
    pub(super) length: usize,
}

/// Reads a request line across packets, and refuses it at the first byte that rules it out: a TLS handshake or an
/// HTTP/2 preface on this port should not have to wait for a deadline.
#[derive(Default)]
pub(super) struct RequestLineReader {
    line: RequestLine,
    part: Part,
    /// Where the current part begins.
    begin: usize,
    /// Bytes before this one were looked at.
    seen: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    #[default]
    Method,
    Target,
    Version,
    Complete,
}

impl RequestLineReader {
    /// Looks at what is new in `line`: the whole request line as far as it is known, without its line end.
    pub(super) fn advance(&mut self, line: &[u8]) -> Result<(), Refusal> {
        while self.seen < line.len() {
            match self.part {
                Part::Method => self.method(line)?,
                Part::Target => self.target(line)?,
                Part::Version => self.version(line)?,
                Part::Complete => return Err(Refusal::RequestLine),
            }
        }
        Ok(())
    }

    /// The request line, once its line end was seen.
    pub(super) fn finish(&self) -> Result<RequestLine, Refusal> {
        if self.part == Part::Complete { Ok(self.line) } else { Err(Refusal::RequestLine) }
    }

    fn method(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let Some(length) = line[self.seen..].iter().position(|byte| !is_token_byte(*byte)) else {
            self.seen = line.len();
            return Ok(());
        };
        let end = self.seen + length;
        match &line[..end] {
            [] => return Err(Refusal::Method),
            _ if line[end] != b' ' => return Err(Refusal::Method),
            b"CONNECT" => return Err(Refusal::Connect),
            // The method of the HTTP/2 preface, reserved for it (RFC 9113 section 11.6).
            b"PRI" => return Err(Refusal::Version),
            _ => self.line.method = Span::from(0..end),
        }
        self.turn_to(Part::Target, end + 1);
        Ok(())
    }

    fn target(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let end = memchr::memchr(b' ', &line[self.seen..]).map(|length| self.seen + length);
        let known = end.unwrap_or(line.len());
        if !Target::may_begin_with(line[self.begin]) || !is_visible(&line[self.seen..known]) {
            return Err(Refusal::Target);
        }
        self.seen = known;
        if let Some(end) = end {
            self.line.target = Target::parse(&line[self.begin..end], self.line.method.of(line), line)?;
            self.turn_to(Part::Version, end + 1);
        }
        Ok(())
    }

    fn version(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let known = line.len().min(self.begin + VERSION_FORM.len());
        let version = &line[self.begin..known];
        let fits = |(byte, form): (&u8, &u8)| byte == form || *form == b'0' && byte.is_ascii_digit();
        if !version.iter().zip(VERSION_FORM).all(fits) {
            return Err(Refusal::RequestLine);
        }
        self.seen = known;
        if version.len() == VERSION_FORM.len() {
            self.line.version = match version {
                b"HTTP/1.1" => Version::Http11,
                b"HTTP/1.0" => Version::Http10,
                _ => return Err(Refusal::Version),
            };
            self.line.length = known;
            self.turn_to(Part::Complete, known);
        }
        Ok(())
    }

    fn turn_to(&mut self, part: Part, begin: usize) {
        self.part = part;
        self.begin = begin;
        self.seen = begin;
    }
}

/// A version, with `0` for any digit (RFC 9112 section 2.3).
const VERSION_FORM: &[u8; 8] = b"HTTP/0.0";

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader says after the whole line at once, with its line end.
    fn whole(line: &str) -> Result<(), Refusal> {
        let mut reader = RequestLineReader::default();
        reader.advance(line.as_bytes())?;
        reader.finish().map(drop)
    }

    #[test]
    fn accepts() {
        let table = [
            "GET / HTTP/1.1",
            "get / HTTP/1.0",
            "M-SEARCH /a?b HTTP/1.1",
            "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET http://a/ HTTP/1.1",
            "POST Http://a HTTP/1.1",
        ];
        for line in table {
            assert_eq!(whole(line), Ok(()), "{line:?}");
        }
    }

    #[test]
    fn refuses_at_the_first_byte_that_rules_it_out() {
        // The line up to its last byte could still become a request line; with that byte it cannot.
        let table: &[(&[u8], Refusal)] = &[
            (b"\x16", Refusal::Method), // a TLS handshake
            (b"\x80", Refusal::Method),
            (b" ", Refusal::Method),
            (b"GET(", Refusal::Method),
            (b"GE\t", Refusal::Method),
            (b"GET\0", Refusal::Method),
            (b"CONNECT ", Refusal::Connect),
            (b"PRI ", Refusal::Version), // an HTTP/2 preface
            (b"GET  ", Refusal::Target),
            (b"GET e", Refusal::Target),
            (b"GET \t", Refusal::Target),
            (b"GET /\t", Refusal::Target),
            (b"GET /\0", Refusal::Target),
            (b"GET /\x7f", Refusal::Target),
            (b"GET /%4 ", Refusal::Target),
            (b"GET /# ", Refusal::Target),
            (b"GET * ", Refusal::Target),
            (b"GET http://a@b ", Refusal::Host),
            (b"GET /  ", Refusal::RequestLine),
            (b"GET / h", Refusal::RequestLine),
            (b"GET / HTTP/a", Refusal::RequestLine),
            (b"GET / HTTP/1a", Refusal::RequestLine),
            (b"GET / HTTP/10", Refusal::RequestLine),
            (b"GET / HTTP/1.1 ", Refusal::RequestLine),
            (b"GET / HTTP/1.11", Refusal::RequestLine),
            (b"GET / HTTP/1.2", Refusal::Version),
            (b"GET / HTTP/2.0", Refusal::Version),
            (b"GET / HTTP/0.9", Refusal::Version),
        ];
        for (line, refusal) in table {
            let mut reader = RequestLineReader::default();
            for known in 0..line.len() {
                assert_eq!(reader.advance(&line[..known]), Ok(()), "{}", line[..known].escape_ascii());
            }
            assert_eq!(reader.advance(line), Err(*refusal), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn refuses_a_line_that_ends_early() {
        for line in ["G", "GET", "GET ", "GET /", "GET / ", "GET / HTTP/1."] {
            assert_eq!(whole(line), Err(Refusal::RequestLine), "{line:?}");
        }
    }
}
