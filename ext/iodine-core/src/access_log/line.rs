//! One line of the request log.

use std::time::Duration;

use iodine_proto::http1::{Head, push_decimal};

use super::{Entry, LogFormat};
use crate::date;

/// Appends the line of a response.
pub(super) fn write_line(format: LogFormat, entry: &Entry<'_>, out: &mut Vec<u8>) {
    match format {
        LogFormat::Iodine => write_iodine(entry, out),
        LogFormat::Common => write_common(entry, out),
        LogFormat::Combined => {
            write_common(entry, out);
            for name in ["referer", "user-agent"] {
                out.extend_from_slice(b" \"");
                push_escaped(entry.head.and_then(|head| head.field(name)).unwrap_or(b"-"), out);
                out.push(b'"');
            }
        }
        LogFormat::Json => return write_json(entry, out),
    }
    if format != LogFormat::Iodine {
        out.push(b' ');
        push_seconds(entry.duration, out);
    }
    out.push(b'\n');
}

fn write_iodine(entry: &Entry<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(entry.peer.as_bytes());
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(&date::now());
    out.extend_from_slice(b"] \"");
    push_request(entry.head, false, out);
    out.extend_from_slice(b"\" ");
    push_decimal(entry.status.into(), out);
    match entry.length {
        0 => out.extend_from_slice(b" -- "),
        length => {
            out.push(b' ');
            push_decimal(length, out);
            out.extend_from_slice(b"b ");
        }
    }
    push_decimal(entry.duration.as_millis() as u64, out);
    out.extend_from_slice(b"ms");
}

fn write_common(entry: &Entry<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(entry.peer.as_bytes());
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(&clf_date(&date::now()));
    out.extend_from_slice(b"] \"");
    push_request(entry.head, true, out);
    out.extend_from_slice(b"\" ");
    push_decimal(entry.status.into(), out);
    out.push(b' ');
    push_decimal(entry.length, out);
}

fn write_json(entry: &Entry<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    out.extend_from_slice(&iso_date(&date::now()));
    for (name, value) in [
        ("peer", Some(entry.peer.as_bytes())),
        ("method", entry.head.map(Head::method)),
        ("path", entry.head.map(Head::path)),
        ("query", entry.head.map(Head::query)),
        ("version", entry.head.map(|head| head.version().as_str().as_bytes())),
        ("host", entry.head.map(Head::authority)),
        ("referer", entry.head.and_then(|head| head.field("referer"))),
        ("user_agent", entry.head.and_then(|head| head.field("user-agent"))),
    ] {
        if let Some(value) = value {
            for part in ["\",\"", name, "\":\""] {
                out.extend_from_slice(part.as_bytes());
            }
            push_json(value, out);
        }
    }
    out.extend_from_slice(b"\",\"status\":");
    push_decimal(entry.status.into(), out);
    out.extend_from_slice(b",\"bytes\":");
    push_decimal(entry.length, out);
    out.extend_from_slice(b",\"seconds\":");
    push_seconds(entry.duration, out);
    out.extend_from_slice(b"}\n");
}

/// `METHOD PATH VERSION`; a request that was refused without a head is `-`.
fn push_request(head: Option<&Head>, with_query: bool, out: &mut Vec<u8>) {
    let Some(head) = head else { return out.push(b'-') };
    push_escaped(head.method(), out);
    out.push(b' ');
    push_escaped(head.path(), out);
    if with_query && !head.query().is_empty() {
        out.push(b'?');
        push_escaped(head.query(), out);
    }
    out.push(b' ');
    out.extend_from_slice(head.version().as_str().as_bytes());
}

/// `23/Nov/2026:07:25:04 +0000` of `Mon, 23 Nov 2026 07:25:04 GMT`.
fn clf_date(date: &[u8; 29]) -> [u8; 26] {
    let mut clf = *b"dd/Mmm/yyyy:hh:mm:ss +0000";
    clf[..2].copy_from_slice(&date[5..7]);
    clf[3..6].copy_from_slice(&date[8..11]);
    clf[7..11].copy_from_slice(&date[12..16]);
    clf[12..20].copy_from_slice(&date[17..25]);
    clf
}

/// `2026-11-23T07:25:04Z` of `Mon, 23 Nov 2026 07:25:04 GMT` (RFC 3339).
fn iso_date(date: &[u8; 29]) -> [u8; 20] {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.chunks(3).position(|name| name == &date[8..11]).map_or(0, |index| index as u8 + 1);
    let mut iso = *b"yyyy-mm-ddThh:mm:ssZ";
    iso[..4].copy_from_slice(&date[12..16]);
    iso[5..7].copy_from_slice(&[b'0' + month / 10, b'0' + month % 10]);
    iso[8..10].copy_from_slice(&date[5..7]);
    iso[11..19].copy_from_slice(&date[17..25]);
    iso
}

/// Seconds to six places: `0.001234`.
fn push_seconds(duration: Duration, out: &mut Vec<u8>) {
    push_decimal(duration.as_secs(), out);
    out.push(b'.');
    let micros = duration.subsec_micros();
    for unit in [100_000, 10_000, 1_000, 100, 10, 1] {
        out.push(b'0' + (micros / unit % 10) as u8);
    }
}

/// Peers choose these bytes: nothing of them may end the line, the field, or steer a terminal.
fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    push_plain(bytes, out, |byte, out| {
        out.extend_from_slice(b"\\x");
        push_hex(byte, UPPER, out);
    });
}

/// The same for JSON (RFC 8259, 7). Bytes that are no ASCII stand for the characters of their numbers.
fn push_json(bytes: &[u8], out: &mut Vec<u8>) {
    push_plain(bytes, out, |byte, out| {
        out.extend_from_slice(b"\\u00");
        push_hex(byte, LOWER, out);
    });
}

/// Appends printable ASCII as it is, in one piece when there is nothing else, quotes and backslashes behind a backslash,
/// and the rest by `escape`.
fn push_plain(bytes: &[u8], out: &mut Vec<u8>, escape: impl Fn(u8, &mut Vec<u8>)) {
    // Without a branch, so that the compiler looks at many bytes at once: nearly all there is passes.
    if bytes.iter().fold(true, |plain, &byte| plain & is_plain(byte)) {
        return out.extend_from_slice(bytes);
    }
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if is_plain(byte) => out.push(byte),
            _ => escape(byte, out),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

fn push_hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use iodine_proto::http1::{HeadLimits, HeadReader};

    fn head(request: &str) -> Head {
        let mut head = Head::default();
        HeadReader::new(HeadLimits::default()).read(request.as_bytes(), &mut head).unwrap().unwrap();
        head
    }

    fn line(format: LogFormat, head: Option<&Head>, length: u64) -> String {
        let mut out = Vec::new();
        let duration = Duration::from_micros(1234);
        write_line(format, &Entry { peer: "127.0.0.1", head, status: 200, length, duration }, &mut out);
        let date = String::from_utf8(date::now().to_vec()).unwrap();
        let clf = String::from_utf8(clf_date(&date::now()).to_vec()).unwrap();
        let iso = String::from_utf8(iso_date(&date::now()).to_vec()).unwrap();
        String::from_utf8(out).unwrap().replace(&date, "DATE").replace(&clf, "CLF").replace(&iso, "ISO")
    }

    #[test]
    fn each_format_has_its_line() {
        let head =
            head("GET /x?y=1 HTTP/1.1\r\nHost: example.com:80\r\nUser-Agent: a \"b\"\r\nReferer: http://r/\r\n\r\n");
        for (format, expected) in [
            (LogFormat::Iodine, "127.0.0.1 - - [DATE] \"GET /x HTTP/1.1\" 200 14b 1ms\n"),
            (LogFormat::Common, "127.0.0.1 - - [CLF] \"GET /x?y=1 HTTP/1.1\" 200 14 0.001234\n"),
            (
                LogFormat::Combined,
                "127.0.0.1 - - [CLF] \"GET /x?y=1 HTTP/1.1\" 200 14 \"http://r/\" \"a \\\"b\\\"\" 0.001234\n",
            ),
            (
                LogFormat::Json,
                "{\"time\":\"ISO\",\"peer\":\"127.0.0.1\",\"method\":\"GET\",\"path\":\"/x\",\"query\":\"y=1\",\
                 \"version\":\"HTTP/1.1\",\"host\":\"example.com:80\",\"referer\":\"http://r/\",\
                 \"user_agent\":\"a \\\"b\\\"\",\"status\":200,\"bytes\":14,\"seconds\":0.001234}\n",
            ),
        ] {
            assert_eq!(line(format, Some(&head), 14), expected);
        }
    }

    #[test]
    fn dates_have_the_shape_of_their_format() {
        let date = b"Mon, 23 Nov 2026 07:25:04 GMT";
        assert_eq!(&clf_date(date), b"23/Nov/2026:07:25:04 +0000");
        assert_eq!(&iso_date(date), b"2026-11-23T07:25:04Z");
    }

    #[test]
    fn a_response_without_body_or_head_has_dashes() {
        assert_eq!(line(LogFormat::Iodine, None, 0), "127.0.0.1 - - [DATE] \"-\" 200 -- 1ms\n");
    }

    #[test]
    fn what_peers_choose_cannot_forge_a_line() {
        let head = head("GET /\u{1b}%41\" HTTP/1.1\r\nHost: h\r\n\r\n".replace('\u{1b}', "\u{e9}").as_str());
        assert_eq!(
            line(LogFormat::Iodine, Some(&head), 1),
            "127.0.0.1 - - [DATE] \"GET /\\xC3\\xA9%41\\\" HTTP/1.1\" 200 1b 1ms\n"
        );
        let mut out = Vec::new();
        push_escaped(b"\r\n\x1b[31m\0\x7f", &mut out);
        assert_eq!(out, b"\\x0D\\x0A\\x1B[31m\\x00\\x7F");
        out.clear();
        push_json(b"\r\n\x1b\xff", &mut out);
        assert_eq!(out, b"\\u000d\\u000a\\u001b\\u00ff");
    }

    #[test]
    fn seconds_have_six_places() {
        for (micros, expected) in [(0, "0.000000"), (1, "0.000001"), (1_234_567, "1.234567"), (60_000_000, "60.000000")]
        {
            let mut out = Vec::new();
            push_seconds(Duration::from_micros(micros), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    /// A reader of the log must find the same bytes, whatever they are, and one line.
    #[test]
    fn every_byte_is_printable_and_can_be_told_from_all_others() {
        for push in [push_escaped as fn(&[u8], &mut Vec<u8>), push_json] {
            let mut seen = std::collections::HashSet::new();
            for byte in 0..=u8::MAX {
                for around in ["", "a"] {
                    let mut out = Vec::new();
                    push(&[around.as_bytes(), &[byte], around.as_bytes()].concat(), &mut out);
                    assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)), "{byte}: {out:?}");
                    if around.is_empty() {
                        seen.insert(out);
                    }
                }
            }
            assert_eq!(seen.len(), 256);
        }
    }
}
