//! The names of messages that are kept.

use std::fmt;

/// The id of a message: its number, and a word for the life of the server that has numbered it.
///
/// Numbers begin anew when a server does; the epoch tells those of one life from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// Never zero.
    pub epoch: u32,
    /// From 1 on, without a gap for all messages that a cluster keeps.
    pub number: u64,
}

/// What a subscriber has seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSeen {
    /// Nothing that is still known: it is to have all that is kept.
    Nothing,
    /// This message, and those before.
    Message(MessageId),
}

impl MessageId {
    /// Reads what [`Display`](fmt::Display) writes, and nothing else: eight hexadecimal digits, a dash, and a number.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (epoch, rest) = text.split_at_checked(EPOCH_DIGITS)?;
        let is_epoch = epoch.iter().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit));
        let digits = rest.strip_prefix(b"-").filter(|digits| digits.first().is_some_and(|digit| *digit != b'0'))?;
        if !is_epoch || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let epoch = u32::from_str_radix(str::from_utf8(epoch).ok()?, 16).ok()?;
        let number = str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { epoch, number })
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:0width$x}-{}", self.epoch, self.number, width = EPOCH_DIGITS)
    }
}

impl From<Option<MessageId>> for LastSeen {
    fn from(id: Option<MessageId>) -> Self {
        id.map_or(Self::Nothing, Self::Message)
    }
}

const EPOCH_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for id in [
            MessageId { epoch: 1, number: 1 },
            MessageId { epoch: 0x9abc_def0, number: 10 },
            MessageId { epoch: u32::MAX, number: u64::MAX },
        ] {
            assert_eq!(MessageId::parse(id.to_string().as_bytes()), Some(id), "{id}");
        }
        assert_eq!(MessageId { epoch: 0xbeef, number: 7 }.to_string(), "0000beef-7");
    }

    #[test]
    fn anything_else_is_no_id() {
        for text in [
            "",
            "7",
            "-",
            "0000beef",
            "0000beef-",
            "0000beef-0",
            "0000beef-07",
            "0000beef-+7",
            "0000beef--7",
            "0000beef-7 ",
            " 0000beef-7",
            "0000BEEF-7",
            "000beef-7",
            "+000beef-7",
            "0000beeg-7",
            "0000beef-7-7",
            "0000beef-18446744073709551616",
            "0000beef-99999999999999999999999999",
            "0000beef_7",
            "éééé-7",
        ] {
            assert_eq!(MessageId::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(MessageId::parse(&[0xff; 10]), None);
        assert_eq!(MessageId::parse(&vec![b'1'; 1 << 20]), None);
    }
}
