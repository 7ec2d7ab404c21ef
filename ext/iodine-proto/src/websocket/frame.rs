//! Frames: their headers in, whole frames out (RFC 6455 section 5.2).

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::close;
use super::mask::{self, MaskKey};
use super::{CloseCode, Error, Kind, Role};

/// What a frame is (RFC 6455 section 11.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opcode {
    Continuation,
    Message(Kind),
    Close,
    Ping,
    Pong,
}

/// A frame whose header was read, and how far its payload came.
pub(super) struct Frame {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    /// RSV1, by which permessage-deflate marks a message (RFC 7692 section 6).
    pub(super) is_compressed: bool,
    /// As it applies to the next byte.
    key: Option<MaskKey>,
    /// Bytes of the payload still to come.
    pub(super) left: u64,
}

/// The bytes of a header that is not complete.
#[derive(Default)]
pub(super) struct HeaderReader {
    bytes: [u8; MAX_HEADER],
    /// Invariant: below [`MAX_HEADER`] between calls, for that many bytes are a complete header.
    length: u8,
}

impl HeaderReader {
    /// Takes a header from the start of `input`, or all of it if the header goes on.
    pub(super) fn read(&mut self, input: &mut &[u8], role: Role) -> Result<Option<Frame>, Error> {
        let known = usize::from(self.length);
        let taken = input.len().min(MAX_HEADER - known);
        self.bytes[known..known + taken].copy_from_slice(&input[..taken]);
        let mut cursor = Cursor::new(&self.bytes[..known + taken]);
        // Over bytes in memory, an unknown opcode is the one error there is.
        let Some((header, payload)) = FrameHeader::parse(&mut cursor).map_err(|_| Error::Opcode)? else {
            self.length += taken as u8;
            *input = &input[taken..];
            return Ok(None);
        };
        let length = cursor.position() as usize;
        self.length = 0;
        *input = &input[length - known..];
        if header.len(payload) != length || payload > i64::MAX as u64 {
            return Err(Error::Length);
        }
        Frame::new(&header, payload, role).map(Some)
    }
}

impl Frame {
    /// The rules that hold for a frame whatever came before it.
    fn new(header: &FrameHeader, payload: u64, role: Role) -> Result<Frame, Error> {
        if header.rsv2 || header.rsv3 {
            return Err(Error::ReservedBits);
        }
        match (role, header.mask) {
            (Role::Server, None) => return Err(Error::Unmasked),
            (Role::Client, Some(_)) => return Err(Error::Masked),
            _ => {}
        }
        let opcode = Opcode::try_from(header.opcode)?;
        let frame =
            Frame { opcode, is_final: header.is_final, is_compressed: header.rsv1, key: header.mask, left: payload };
        if opcode.is_control() { frame.check_control() } else { Ok(frame) }
    }

    /// RFC 6455 section 5.5.
    fn check_control(self) -> Result<Frame, Error> {
        if self.is_compressed {
            Err(Error::ReservedBits)
        } else if !self.is_final {
            Err(Error::FragmentedControl)
        } else if self.left > MAX_CONTROL as u64 {
            Err(Error::LongControl)
        } else {
            Ok(self)
        }
    }

    /// Takes what has come of the payload from the start of `input`.
    pub(super) fn take<'a>(&mut self, input: &mut &'a [u8]) -> &'a [u8] {
        let length = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let (payload, rest) = input.split_at(length);
        self.left -= length as u64;
        *input = rest;
        payload
    }

    /// Takes the masking, if there is any, off the next bytes of the payload.
    pub(super) fn unmask(&mut self, bytes: &mut [u8]) {
        if let Some(key) = &mut self.key {
            mask::apply(*key, bytes);
            *key = mask::rotate(*key, bytes.len());
        }
    }
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

impl TryFrom<OpCode> for Opcode {
    type Error = Error;

    fn try_from(opcode: OpCode) -> Result<Self, Error> {
        match opcode {
            OpCode::Data(Data::Continue) => Ok(Opcode::Continuation),
            OpCode::Data(Data::Text) => Ok(Opcode::Message(Kind::Text)),
            OpCode::Data(Data::Binary) => Ok(Opcode::Message(Kind::Binary)),
            OpCode::Control(Control::Close) => Ok(Opcode::Close),
            OpCode::Control(Control::Ping) => Ok(Opcode::Ping),
            OpCode::Control(Control::Pong) => Ok(Opcode::Pong),
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => Err(Error::Opcode),
        }
    }
}

/// Appends a message as one frame, not compressed. A text is taken to be UTF-8.
///
/// `mask` is `None` at a server, and a new unforeseeable key for each frame at a client (RFC 6455 section 5.1): so for all
/// functions that take one.
pub fn encode_message(kind: Kind, payload: &[u8], mask: Option<MaskKey>, out: &mut Vec<u8>) {
    encode(message_header(kind, mask), payload, out);
}

/// Appends a ping with the first 125 bytes of `payload` (RFC 6455 section 5.5.2).
pub fn encode_ping(payload: &[u8], mask: Option<MaskKey>, out: &mut Vec<u8>) {
    encode_control(Control::Ping, payload, mask, out);
}

/// Appends a pong with the first 125 bytes of `payload`: those of the ping it answers (RFC 6455 section 5.5.3).
pub fn encode_pong(payload: &[u8], mask: Option<MaskKey>, out: &mut Vec<u8>) {
    encode_control(Control::Pong, payload, mask, out);
}

/// Appends a close frame (RFC 6455 section 5.5.1): empty for the codes that are never sent, else with the code and as much
/// of the reason as fits into 123 bytes.
pub fn encode_close(code: CloseCode, reason: &str, mask: Option<MaskKey>, out: &mut Vec<u8>) {
    encode_control(Control::Close, close::payload(code, reason, &mut [0; MAX_CONTROL]), mask, out);
}

/// Appends a message as one frame of permessage-deflate, whose payload `compress` appends.
pub(super) fn encode_compressed(
    kind: Kind,
    mask: Option<MaskKey>,
    out: &mut Vec<u8>,
    compress: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    // The length of the header is known when that of the payload is.
    let payload = start + MAX_HEADER;
    out.resize(payload, 0);
    compress(out);
    if let Some(key) = mask {
        mask::apply(key, &mut out[payload..]);
    }
    let header = FrameHeader { rsv1: true, ..message_header(kind, mask) };
    let length = out.len() - payload;
    let end = start + header.len(length as u64);
    format(&header, length, &mut &mut out[start..end]);
    out.copy_within(payload.., end);
    out.truncate(end + length);
}

fn message_header(kind: Kind, mask: Option<MaskKey>) -> FrameHeader {
    let opcode = OpCode::Data(match kind {
        Kind::Text => Data::Text,
        Kind::Binary => Data::Binary,
    });
    FrameHeader { opcode, mask, ..FrameHeader::default() }
}

fn encode_control(opcode: Control, payload: &[u8], mask: Option<MaskKey>, out: &mut Vec<u8>) {
    let header = FrameHeader { opcode: OpCode::Control(opcode), mask, ..FrameHeader::default() };
    encode(header, &payload[..payload.len().min(MAX_CONTROL)], out);
}

fn encode(header: FrameHeader, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(header.len(payload.len() as u64) + payload.len());
    format(&header, payload.len(), out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.mask {
        mask::apply(key, &mut out[start..]);
    }
}

fn format(header: &FrameHeader, payload: usize, out: &mut impl std::io::Write) {
    header.format(payload as u64, out).expect("the callers give memory that holds a header");
}

/// Two bytes, eight of the length, four of the key.
const MAX_HEADER: usize = 14;

/// RFC 6455 section 5.5.
const MAX_CONTROL: usize = 125;
