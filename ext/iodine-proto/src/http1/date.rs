//! Dates as HTTP, cookies and mail write them.

use core::time::Duration;
use std::fmt;
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

/// The time as the `Expires` attribute of a cookie, `Sun, 06-Nov-1994 08:49:37 GMT` (RFC 2109 section 10.1.2).
///
/// `seconds` counts from 1970-01-01; the text says GMT, so they should be those of UTC.
pub fn cookie_date(seconds: i64) -> String {
    let Civil { weekday, day, month, year, time } = Civil::of(seconds);
    format!("{weekday}, {day:02}-{month}-{} {time} GMT", Year(year))
}

/// The time as in a mail, `Sun, 06 Nov 1994 08:49:37 +0100` (RFC 2822 section 3.3).
///
/// `unix_seconds` counts from 1970-01-01 UTC. `offset` is the zone's distance from UTC in seconds; with `None` the zone is
/// `-0000`, which stands for UTC of a system that does not tell its zone.
pub fn mail_date(unix_seconds: i64, offset: Option<i32>) -> String {
    let Civil { weekday, day, month, year, time } = Civil::of(unix_seconds.saturating_add(offset.unwrap_or(0).into()));
    let sign = if offset.is_some_and(|offset| offset >= 0) { '+' } else { '-' };
    let minutes = offset.unwrap_or(0).unsigned_abs() / 60;
    format!("{weekday}, {day:02} {month} {} {time} {sign}{:02}{:02}", Year(year), minutes / 60, minutes % 60)
}

/// Seconds since 1970-01-01 UTC of a date in any of the three forms that HTTP has had. `None` for anything else, and for
/// a time before 1970.
pub fn parse(text: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(str::from_utf8(text).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// A moment in the Gregorian calendar, counted back before its beginning.
struct Civil {
    weekday: &'static str,
    day: u8,
    month: &'static str,
    year: i64,
    time: Time,
}

/// Seconds of a day.
struct Time(i64);

struct Year(i64);

impl Civil {
    /// The years are counted from March, so that a leap day ends its year, in eras of 400 years, which have the same number
    /// of days each.
    fn of(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        let (era, day) = divide(days + DAYS_BEFORE_1970, 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let first = (153 * month + 2) / 5;
        Self {
            weekday: WEEKDAYS[days.rem_euclid(7) as usize],
            day: (day - first + 1) as u8,
            month: MONTHS[month as usize],
            year: era * 400 + year + i64::from(month >= 10),
            time: Time(seconds.rem_euclid(DAY)),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60, self.0 % 60)
    }
}

impl fmt::Display for Year {
    /// Four digits, more when it takes more, and a sign before the year 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{:04}", self.0.unsigned_abs())
    }
}

fn divide(number: i64, divisor: i64) -> (i64, i64) {
    (number.div_euclid(divisor), number.rem_euclid(divisor))
}

/// 9999-12-31 23:59:59 UTC.
const LAST_SECOND: u64 = 253_402_300_799;
/// Seconds.
const DAY: i64 = 86_400;
/// From the first of March of the year 0.
const DAYS_BEFORE_1970: i64 = 719_468;
/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
/// From March on.
const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_forms_of_http() {
        let table: &[(&str, Option<u64>)] = &[
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("", None),
            ("784111777", None),
            ("Sun, 06 Nov 1994 08:49:37 +0100", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT, x", None),
            ("\u{e9}", None),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text.as_bytes()), *seconds, "{text:?}");
        }
    }

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

    #[test]
    fn writes_cookie_dates() {
        let table: &[(i64, &str)] = &[
            (0, "Thu, 01-Jan-1970 00:00:00 GMT"),
            (1_000_000_000, "Sun, 09-Sep-2001 01:46:40 GMT"),
            (951_782_400, "Tue, 29-Feb-2000 00:00:00 GMT"),
            (-1, "Wed, 31-Dec-1969 23:59:59 GMT"),
            (-62_167_219_200, "Sat, 01-Jan-0000 00:00:00 GMT"),
            (-62_167_219_201, "Fri, 31-Dec--0001 23:59:59 GMT"),
            (253_402_300_800, "Sat, 01-Jan-10000 00:00:00 GMT"),
        ];
        for (seconds, text) in table {
            assert_eq!(cookie_date(*seconds), *text);
        }
    }

    #[test]
    fn writes_mail_dates() {
        let table: &[(Option<i32>, &str)] = &[
            (None, "Sun, 09 Sep 2001 01:46:40 -0000"),
            (Some(0), "Sun, 09 Sep 2001 01:46:40 +0000"),
            (Some(7200), "Sun, 09 Sep 2001 03:46:40 +0200"),
            (Some(-12_600), "Sat, 08 Sep 2001 22:16:40 -0330"),
            (Some(30), "Sun, 09 Sep 2001 01:47:10 +0000"),
            (Some(-90), "Sun, 09 Sep 2001 01:45:10 -0001"),
        ];
        for (offset, text) in table {
            assert_eq!(mail_date(1_000_000_000, *offset), *text);
        }
    }

    #[test]
    fn agrees_with_httpdate_on_every_day() {
        for day in 0..200_000 {
            let seconds = day * 86_400 + day % 86_400;
            let mail = mail_date(seconds as i64, None).replace("-0000", "GMT");
            assert_eq!(str::from_utf8(&imf_fixdate(seconds)).unwrap(), mail);
        }
    }

    #[test]
    fn writes_any_second() {
        for seconds in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            assert!(cookie_date(seconds).ends_with(" GMT"));
            assert!(mail_date(seconds, Some(i32::MIN)).contains(':'));
        }
    }
}
