//! Close codes and reasons (RFC 6455 section 7.4).

use core::fmt;

use super::Error;

/// Why a connection ends (RFC 6455 section 7.4, and the codes registered since).
///
/// Besides the codes of close frames there are two that only tell the application what happened:
/// [`NO_STATUS`](CloseCode::NO_STATUS) and [`ABNORMAL`](CloseCode::ABNORMAL).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server stops, or the browser leaves the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: a kind of message that the application does not take.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// 1005: the close frame had no code. Never sent: a close frame of this code is empty.
    pub const NO_STATUS: CloseCode = CloseCode(1005);
    /// 1006: the connection ended without a close frame. Never sent: a close frame of this code is empty.
    pub const ABNORMAL: CloseCode = CloseCode(1006);
    /// 1007: data that does not fit the kind of message, such as text that is not UTF-8.
    pub const INVALID_DATA: CloseCode = CloseCode(1007);
    /// 1008: a message against the policy of the application.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// 1009: a message too big to process.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    pub const MISSING_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: the application failed.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the service restarts.
    pub const RESTART: CloseCode = CloseCode(1012);
    /// 1013: the service is overloaded.
    pub const TRY_AGAIN: CloseCode = CloseCode(1013);

    /// The code, if a close frame may carry it: those registered (1000 to 1003, 1007 to 1014), those of libraries and
    /// frameworks (3000 to 3999), and private ones (4000 to 4999).
    pub fn new(code: u16) -> Option<CloseCode> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(CloseCode(code))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a close frame says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    /// The code; [`CloseCode::NO_STATUS`] if the frame is empty.
    pub code: CloseCode,
    /// A text for people, at most 123 bytes; often empty.
    pub reason: String,
}

impl Close {
    /// Reads the payload of a close frame (RFC 6455 section 5.5.1).
    pub(super) fn parse(payload: &[u8]) -> Result<Close, Error> {
        match payload {
            [] => Ok(Close { code: CloseCode::NO_STATUS, reason: String::new() }),
            [_] => Err(Error::CloseLength),
            [high, low, reason @ ..] => {
                let code = CloseCode::new(u16::from_be_bytes([*high, *low])).ok_or(Error::CloseCode)?;
                let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Error::Utf8)?;
                Ok(Close { code, reason: reason.to_owned() })
            }
        }
    }
}

/// The payload of a close frame, in the room of the largest. A reason too long is cut between two characters.
pub(super) fn payload<'a>(code: CloseCode, reason: &str, room: &'a mut [u8; 125]) -> &'a [u8] {
    if CloseCode::new(code.0).is_none() {
        return &[];
    }
    let most = reason.len().min(room.len() - 2);
    // A character has at most four bytes.
    let cut = (most.saturating_sub(3)..=most).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
    let reason = &reason[..cut];
    let end = 2 + reason.len();
    room[..2].copy_from_slice(&code.0.to_be_bytes());
    room[2..end].copy_from_slice(reason.as_bytes());
    &room[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| CloseCode::new(*code).is_some()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn payloads() {
        type Row = (&'static [u8], Result<(u16, &'static str), Error>);
        let table: &[Row] = &[
            (b"", Ok((1005, ""))),
            (b"\x03", Err(Error::CloseLength)),
            (b"\x03\xe8", Ok((1000, ""))),
            (b"\x03\xe9bye", Ok((1001, "bye"))),
            (b"\x0f\xa0\xe2\x82\xac", Ok((4000, "€"))),
            (b"\x03\xe8\xe2\x82", Err(Error::Utf8)),
            (b"\x03\xe8\xff", Err(Error::Utf8)),
            (b"\x00\x00", Err(Error::CloseCode)),
            (b"\x03\xed", Err(Error::CloseCode)),
            (b"\x03\xee", Err(Error::CloseCode)),
            (b"\x03\xf7", Err(Error::CloseCode)),
            (b"\x13\x88\xff", Err(Error::CloseCode)),
        ];
        for (input, expected) in table {
            let close = Close::parse(input);
            assert_eq!(
                close.as_ref().map(|close| (close.code.get(), close.reason.as_str())).map_err(|error| *error),
                *expected,
                "{}",
                input.escape_ascii()
            );
            if let Ok(close) = close {
                assert_eq!(payload(close.code, &close.reason, &mut [0; 125]), *input);
            }
        }
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let mut room = [0; 125];
        assert_eq!(payload(CloseCode::NORMAL, &"a".repeat(200), &mut room).len(), 125);
        let cut = payload(CloseCode::NORMAL, &"€".repeat(42), &mut room);
        assert_eq!(Close::parse(cut).unwrap().reason, "€".repeat(41));
        assert_eq!(payload(CloseCode::ABNORMAL, "unsaid", &mut room), b"");
    }
}
