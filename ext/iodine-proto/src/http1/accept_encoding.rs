//! Which content coding a client prefers (RFC 9110 section 12.5.3).

use super::Head;
use super::syntax::{list, trim};

/// A content coding that files may come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// `br` (RFC 7932)
    Brotli,
    /// `zstd` (RFC 8878)
    Zstandard,
    /// `gzip` (RFC 1952)
    Gzip,
}

impl Coding {
    /// All of them, the one that makes files smallest first: what is taken when the client has no preference.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstandard, Coding::Gzip];

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstandard => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What the name of a file in this coding ends with, after the name of the plain file.
    pub fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstandard => ".zst",
            Coding::Gzip => ".gz",
        }
    }

    fn is_called(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
            || self == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
    }
}

/// The codings that this request would rather have than the plain bytes, the best first.
///
/// A coding must be named, or meant by `*`, with a quality that is neither 0 nor below that of `identity`. Members with a
/// malformed quality count as not given.
///
/// ```
/// use iodine_proto::http1::accept_encoding::{Coding, preferred};
/// use iodine_proto::http1::{Head, HeadLimits, HeadReader};
///
/// let mut head = Head::default();
/// let request = b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br;q=0.5, zstd;q=0\r\n\r\n";
/// HeadReader::new(HeadLimits::default()).read(request, &mut head)?;
/// assert!(preferred(&head).eq([Coding::Gzip, Coding::Brotli]));
/// # Ok::<(), iodine_proto::http1::Refusal>(())
/// ```
pub fn preferred(head: &Head) -> impl Iterator<Item = Coding> {
    let qualities = Qualities::of(head.field_values("accept-encoding"));
    let mut codings = Coding::ALL.map(|coding| (qualities.of_coding(coding), coding));
    // Stable: equals stay in the order of ALL.
    codings.sort_by_key(|(quality, _)| core::cmp::Reverse(*quality));
    let least = qualities.identity.unwrap_or(0).max(1);
    codings.into_iter().filter(move |(quality, _)| *quality >= least).map(|(_, coding)| coding)
}

/// In thousandths.
#[derive(Default)]
struct Qualities {
    codings: [Option<u16>; 3],
    identity: Option<u16>,
    others: Option<u16>,
}

impl Qualities {
    fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut qualities = Qualities::default();
        for member in lines.flat_map(list) {
            let mut parts = member.split(|byte| *byte == b';').map(trim);
            let name = parts.next().unwrap_or_default();
            let Some(quality) = parts.next().map_or(Some(1000), quality) else { continue };
            if let Some(index) = Coding::ALL.iter().position(|coding| coding.is_called(name)) {
                qualities.codings[index] = Some(quality);
            } else if name.eq_ignore_ascii_case(b"identity") {
                qualities.identity = Some(quality);
            } else if name == b"*" {
                qualities.others = Some(quality);
            }
        }
        qualities
    }

    fn of_coding(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.others).unwrap_or(0)
    }
}

/// A weight, `q=0.5`, in thousandths (RFC 9110 section 12.4.2).
fn quality(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', digits @ ..] = parameter else { return None };
    let (whole, fraction) = match digits {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = char::from(*fraction.get(place).unwrap_or(&b'0')).to_digit(10)?;
        thousandths = thousandths * 10 + digit as u16;
    }
    match (whole, thousandths) {
        (b'0', thousandths) => Some(thousandths),
        (b'1', 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lines: &[&str]) -> Vec<&'static str> {
        let mut head = Head::default();
        let fields: String = lines.iter().map(|line| format!("Accept-Encoding: {line}\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        crate::http1::HeadReader::new(Default::default()).read(request.as_bytes(), &mut head).unwrap();
        preferred(&head).map(Coding::name).collect()
    }

    #[test]
    fn orders_what_is_acceptable() {
        let table: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&[""], &[]),
            (&["identity"], &[]),
            (&["gzip"], &["gzip"]),
            (&["x-gzip"], &["gzip"]),
            (&["GZIP, deflate, Br"], &["br", "gzip"]),
            (&["gzip", "br"], &["br", "gzip"]),
            (&["zstd, br, gzip"], &["br", "zstd", "gzip"]),
            (&["br;q=0.1, gzip;q=0.9, zstd;q=0.5"], &["gzip", "zstd", "br"]),
            (&["gzip;q=0"], &[]),
            (&["gzip;q=0.000, br"], &["br"]),
            (&["gzip ; q=0.5"], &["gzip"]),
            (&["*"], &["br", "zstd", "gzip"]),
            (&["*;q=0.5, br;q=0"], &["zstd", "gzip"]),
            (&["*;q=0"], &[]),
            (&["gzip;q=0.5, identity"], &[]),
            (&["gzip;q=0.5, identity;q=0.5"], &["gzip"]),
            (&["gzip, identity;q=0"], &["gzip"]),
            (&["gzipped, xgzip"], &[]),
            (&["gzip;q=2, br;q=1.001, zstd;q=x"], &[]),
            (&["gzip;q=1., br;q=0.1234"], &["gzip"]),
            (&["gzip;level=9"], &[]),
        ];
        for (lines, expected) in table {
            assert_eq!(names(lines), *expected, "{lines:?}");
        }
    }
}
