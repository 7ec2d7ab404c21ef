//! Frames of a peer, put together to messages.

use super::close::Close;
use super::frame::{Frame, HeaderReader, Opcode};
use super::inflate::Inflater;
use super::message::Message;
use super::{Deflate, Error, Kind, Role, Window};

/// What a peer sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A text message: its bytes, which are UTF-8.
    Text(Vec<u8>),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, to be answered by a pong with the same bytes, at most 125 (RFC 6455 section 5.5.2).
    Ping(Vec<u8>),
    /// A pong, with the bytes of the ping that it answers; or of none (RFC 6455 section 5.5.3).
    Pong(Vec<u8>),
    /// The last event: the peer sends no more. To be answered by a close frame, unless this is the answer to one
    /// (RFC 6455 section 5.5.1).
    Close(Close),
}

/// Reads the frames of one peer.
///
/// It is shown what has come, in pieces of any size, and keeps no more than the message or control frame that is not
/// complete. Whatever a peer must not send is an [`Error`] as soon as it shows: a header when it is complete, the size of
/// a message with the header or while it is inflated, bytes that are not UTF-8 with the packet that brings them.
///
/// An idle reader has no memory besides its own, which is below 200 bytes, unless the peer keeps its context between
/// compressed messages (RFC 7692 section 7.1.1): then it holds 47 KiB from the first of them on. Without takeover it holds
/// them while it reads a compressed message.
pub struct Reader {
    role: Role,
    /// Bytes that a message may have.
    max: usize,
    /// That of the peer's compression, if it may compress.
    window: Option<Window>,
    header: HeaderReader,
    frame: Option<Frame>,
    control: Vec<u8>,
    message: Option<Message>,
    inflater: Option<Box<Inflater>>,
    end: Option<End>,
}

/// Why a reader reads no further.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Failed(Error),
}

impl Reader {
    /// A reader at the end of a handshake that agreed to `deflate`. A message may have `max` bytes, when inflated: 0.7's
    /// default of the setting `max_msg` is 262,144.
    pub fn new(role: Role, max: usize, deflate: Option<Deflate>) -> Self {
        Reader {
            role,
            max,
            window: deflate.map(|deflate| deflate.incoming),
            header: HeaderReader::default(),
            frame: None,
            control: Vec::new(),
            message: None,
            inflater: None,
            end: None,
        }
    }

    /// Takes one event from the start of `input`, or all of it if no event is complete. Call again until `None`.
    ///
    /// After a close frame all input is taken and ignored (RFC 6455 section 5.5.1).
    ///
    /// # Errors
    ///
    /// An [`Error`], and the same one for every later call.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        match self.end {
            None => {}
            Some(End::Closed) => {
                *input = &[];
                return Ok(None);
            }
            Some(End::Failed(error)) => return Err(error),
        }
        let result = self.next(input);
        match &result {
            Ok(Some(Event::Close(_))) => self.stop(End::Closed),
            Err(error) => self.stop(End::Failed(*error)),
            _ => {}
        }
        result
    }

    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Error> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.header.read(input, self.role)? {
                    Some(frame) => self.begin(frame)?,
                    None => return Ok(None),
                },
            };
            let payload = frame.take(input);
            self.payload(payload, &mut frame)?;
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if frame.is_final {
                return self.finish(frame.opcode).map(Some);
            }
        }
    }

    /// What a frame may be depends on whether a message is being read (RFC 6455 section 5.4, RFC 7692 section 6.1).
    fn begin(&mut self, frame: Frame) -> Result<Frame, Error> {
        let may_compress = matches!(frame.opcode, Opcode::Message(_)) && self.window.is_some();
        if frame.is_compressed && !may_compress {
            return Err(Error::ReservedBits);
        }
        match (frame.opcode, &self.message) {
            (Opcode::Continuation, None) => return Err(Error::StrayContinuation),
            (Opcode::Message(_), Some(_)) => return Err(Error::Interleaved),
            (Opcode::Message(kind), None) => self.message = Some(Message::new(kind, frame.is_compressed, self.max)),
            _ => {}
        }
        match &self.message {
            Some(message) if !frame.opcode.is_control() => message.check_length(frame.left).map(|()| frame),
            _ => Ok(frame),
        }
    }

    fn payload(&mut self, payload: &[u8], frame: &mut Frame) -> Result<(), Error> {
        match (&mut self.message, self.window) {
            (Some(message), Some(window)) if !frame.opcode.is_control() && message.is_compressed => {
                let inflater = self.inflater.get_or_insert_with(|| Box::new(Inflater::new(window)));
                message.inflate(payload, frame, inflater)
            }
            (Some(message), _) if !frame.opcode.is_control() => message.push(payload, frame),
            _ => {
                let start = self.control.len();
                self.control.extend_from_slice(payload);
                frame.unmask(&mut self.control[start..]);
                Ok(())
            }
        }
    }

    fn finish(&mut self, opcode: Opcode) -> Result<Event, Error> {
        match opcode {
            Opcode::Ping => Ok(Event::Ping(core::mem::take(&mut self.control))),
            Opcode::Pong => Ok(Event::Pong(core::mem::take(&mut self.control))),
            Opcode::Close => Close::parse(&self.control).map(Event::Close),
            Opcode::Continuation | Opcode::Message(_) => self.finish_message(),
        }
    }

    fn finish_message(&mut self) -> Result<Event, Error> {
        // `begin` made sure that there is a message.
        let mut message = self.message.take().ok_or(Error::StrayContinuation)?;
        if message.is_compressed
            && let Some(mut inflater) = self.inflater.take()
        {
            message.inflate_end(&mut inflater)?;
            self.inflater = Some(inflater).filter(|inflater| inflater.keeps_context());
        }
        let kind = message.kind;
        let data = message.finish()?;
        Ok(match kind {
            Kind::Text => Event::Text(data),
            Kind::Binary => Event::Binary(data),
        })
    }

    /// Lets go of what is not needed any more.
    fn stop(&mut self, end: End) {
        *self = Reader { end: Some(end), ..Reader::new(self.role, self.max, None) };
    }
}
