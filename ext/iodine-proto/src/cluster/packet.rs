//! What is told.

use bytes::{BufMut, Bytes, BytesMut};

use super::Error;

/// Longest name of a channel, bytes.
pub const MAX_CHANNEL: usize = (16 << 20) - 1;
/// Longest message, bytes.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Longest packet: a message, the names that go with it, and the fields before them.
pub(super) const MAX_PACKET: usize = MAX_MESSAGE + 2 * MAX_CHANNEL + FIELDS;

/// Kind, two numbers, the lengths of two names.
const FIELDS: usize = 1 + 8 + 8 + 4 + 4;

/// One thing that a process tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A message for subscribers.
    Publication(Publication),
    /// A message of before the receiver existed, to be kept.
    Past(Publication),
    /// The receiver has all that is kept: the last message that was numbered.
    Present {
        /// Zero: there was none.
        id: u64,
    },
    /// A topic has so many subscribers in the process that tells.
    Count {
        /// The channel, or the pattern.
        name: Bytes,
        /// Whether it is a pattern.
        is_pattern: bool,
        /// Zero: the last one has left.
        count: u64,
    },
    /// A message to be published by an engine that the master has.
    Relay {
        /// The number of the engine.
        engine: u64,
        /// The name of the channel.
        channel: Bytes,
        /// Any bytes.
        payload: Bytes,
    },
    /// A question to an engine that the master has.
    Call {
        /// The number of the engine.
        engine: u64,
        /// The number of the question.
        call: u64,
        /// The question, in the words of the engine.
        body: Bytes,
    },
    /// The answer to a question.
    Reply {
        /// The number of the question.
        call: u64,
        /// The answer, in the words of the engine.
        body: Bytes,
    },
}

/// A message on its way to subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Who is to have it.
    pub reach: Reach,
    /// Which subscriptions it is for.
    pub filter: Filter,
    /// Its number in the history, zero for none.
    pub id: u64,
    /// When it was published, by a clock that all processes share.
    pub published: u64,
    /// The name of the channel.
    pub channel: Bytes,
    /// Any bytes.
    pub payload: Bytes,
}

/// How far a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To all processes but the one that sent it.
    All,
    /// To the receiver alone.
    Receiver,
    /// To the master, which numbers it, and from there to all processes, the sender included.
    Numbered,
}

/// Which subscriptions a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those to the channel, and to all patterns it matches.
    None,
    /// Those to the channel.
    Channel,
    /// Those to this pattern.
    Pattern(Bytes),
}

impl Packet {
    /// The bytes of the packet.
    pub fn encode(&self) -> Bytes {
        let none = &Bytes::new();
        match self {
            Packet::Publication(message) => {
                let (kind, filter) = match &message.filter {
                    Filter::None => (PUBLICATION, none),
                    Filter::Channel => (FOR_CHANNEL, none),
                    Filter::Pattern(pattern) => (FOR_PATTERN, pattern),
                };
                let reach = match message.reach {
                    Reach::All => TO_ALL,
                    Reach::Receiver => 0,
                    Reach::Numbered => TO_NUMBER,
                };
                let kind = kind | reach;
                encode(kind, message.id, message.published, &message.channel, filter, &message.payload)
            }
            Packet::Past(message) => {
                encode(PAST, message.id, message.published, &message.channel, none, &message.payload)
            }
            Packet::Present { id } => encode(PRESENT, *id, 0, none, none, none),
            Packet::Count { name, is_pattern, count } => {
                encode(if *is_pattern { COUNT_PATTERN } else { COUNT_CHANNEL }, *count, 0, name, none, none)
            }
            Packet::Relay { engine, channel, payload } => encode(RELAY, *engine, 0, channel, none, payload),
            Packet::Call { engine, call, body } => encode(CALL, *call, *engine, none, none, body),
            Packet::Reply { call, body } => encode(REPLY, *call, 0, none, none, body),
        }
    }

    /// Reads the bytes of a packet. What is long is shared with them, not copied.
    ///
    /// # Errors
    ///
    /// [`Error::Packet`].
    pub fn decode(bytes: &Bytes) -> Result<Packet, Error> {
        let (fields, _) = bytes.split_first_chunk::<FIELDS>().ok_or(Error::Packet)?;
        let kind = fields[0];
        let (number, second) = (number(&fields[1..9]), number(&fields[9..17]));
        let name_end = FIELDS.checked_add(length(&fields[17..21])).filter(|end| *end <= bytes.len());
        let name_end = name_end.ok_or(Error::Packet)?;
        let filter_end = name_end.checked_add(length(&fields[21..25])).filter(|end| *end <= bytes.len());
        let filter_end = filter_end.ok_or(Error::Packet)?;
        let (name, filter) = (bytes.slice(FIELDS..name_end), bytes.slice(name_end..filter_end));
        let body = bytes.slice(filter_end..);
        let publication = |reach, filter| Publication {
            reach,
            filter,
            id: number,
            published: second,
            channel: name.clone(),
            payload: body.clone(),
        };
        Ok(match kind & !REACH {
            PUBLICATION | FOR_CHANNEL | FOR_PATTERN => {
                let reach = match kind & REACH {
                    TO_ALL => Reach::All,
                    TO_NUMBER => Reach::Numbered,
                    0 => Reach::Receiver,
                    _ => return Err(Error::Packet),
                };
                let filter = match kind & !REACH {
                    PUBLICATION => Filter::None,
                    FOR_CHANNEL => Filter::Channel,
                    _ => Filter::Pattern(filter),
                };
                Packet::Publication(publication(reach, filter))
            }
            PAST => Packet::Past(publication(Reach::Receiver, Filter::None)),
            PRESENT => Packet::Present { id: number },
            COUNT_CHANNEL | COUNT_PATTERN => Packet::Count { name, is_pattern: kind == COUNT_PATTERN, count: number },
            RELAY => Packet::Relay { engine: number, channel: name, payload: body },
            CALL => Packet::Call { engine: second, call: number, body },
            REPLY => Packet::Reply { call: number, body },
            _ => return Err(Error::Packet),
        })
    }
}

const PUBLICATION: u8 = 1;
const FOR_CHANNEL: u8 = 2;
const FOR_PATTERN: u8 = 3;
const COUNT_CHANNEL: u8 = 4;
const COUNT_PATTERN: u8 = 5;
const RELAY: u8 = 6;
const CALL: u8 = 7;
const REPLY: u8 = 8;
const PAST: u8 = 9;
const PRESENT: u8 = 10;

/// Added to the kind of a publication.
const TO_ALL: u8 = 0x80;
const TO_NUMBER: u8 = 0x40;
const REACH: u8 = TO_ALL | TO_NUMBER;

fn encode(kind: u8, first: u64, second: u64, name: &Bytes, filter: &Bytes, body: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(FIELDS + name.len() + filter.len() + body.len());
    out.put_u8(kind);
    out.put_u64(first);
    out.put_u64(second);
    out.put_u32(name.len() as u32);
    out.put_u32(filter.len() as u32);
    out.extend_from_slice(name);
    out.extend_from_slice(filter);
    out.extend_from_slice(body);
    out.freeze()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn length(bytes: &[u8]) -> usize {
    number(bytes) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets() -> Vec<Packet> {
        let filters = [Filter::None, Filter::Channel, Filter::Pattern("n*".into())];
        let mut packets = vec![
            Packet::Count { name: "a".into(), is_pattern: false, count: 3 },
            Packet::Count { name: "".into(), is_pattern: true, count: 0 },
            Packet::Relay { engine: 2, channel: "a".into(), payload: "b".into() },
            Packet::Call { engine: 1, call: u64::MAX, body: "what?".into() },
            Packet::Reply { call: 0, body: "".into() },
            Packet::Present { id: 0 },
            Packet::Present { id: u64::MAX },
        ];
        let publication = |reach, filter| Publication {
            reach,
            filter,
            id: 9,
            published: 1 << 60,
            channel: "news".into(),
            payload: Bytes::from_static(b"\xff\0"),
        };
        for (filter, reach) in filters.into_iter().zip([Reach::All, Reach::Receiver, Reach::Numbered]) {
            packets.push(Packet::Publication(publication(reach, filter)));
        }
        packets.push(Packet::Past(publication(Reach::Receiver, Filter::None)));
        packets
    }

    #[test]
    fn what_is_written_is_read() {
        for packet in packets() {
            assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
        }
    }

    #[test]
    fn a_packet_that_is_cut_off_within_its_fields_or_names_is_refused() {
        for packet in packets() {
            let bytes = packet.encode();
            let names = number(&bytes[17..21]) + number(&bytes[21..25]);
            for end in 0..FIELDS + names as usize {
                assert_eq!(Packet::decode(&bytes.slice(..end)), Err(Error::Packet), "{packet:?} at {end}");
            }
        }
    }

    #[test]
    fn unknown_kinds_are_refused() {
        for kind in [0, 11, 0x3f, 0x40, 0x7f, 0x80, 0x8b, 0xc1, 0xff] {
            let mut bytes = vec![0; FIELDS];
            bytes[0] = kind;
            assert_eq!(Packet::decode(&bytes.into()), Err(Error::Packet), "{kind}");
        }
    }
}
