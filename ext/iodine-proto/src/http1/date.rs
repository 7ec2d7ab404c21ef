//! Dates as HTTP writes them.

use core::time::Duration;
use std::io::Write;
use std::time::UNIX_EPOCH;

/// The time as an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
///
/// `unix_seconds` counts from 1970-01-01 UTC; a time after the year 9999, which the form cannot write, becomes the last
/// second of that year.
pub fn imf_fixdate(unix_seconds: u64) -> [u8; 29] {
    let time = UNIX_EPOCH + Duration::from_secs(unix_seconds.min(LAST_SECOND));
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    // The form is 29 bytes for every time up to LAST_SECOND, so the write fills the array and cannot fail.
    let _ = write!(&mut text[..], "{}", httpdate::HttpDate::from(time));
    text
}

/// 9999-12-31 23:59:59 UTC.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_imf_fixdate() {
        let table: &[(u64, &str)] = &[
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LAST_SECOND + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (seconds, text) in table {
            assert_eq!(str::from_utf8(&imf_fixdate(*seconds)).unwrap(), *text);
        }
    }
}
