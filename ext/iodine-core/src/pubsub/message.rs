//! What is published, and how it looks on a connection.

use bytes::Bytes;
use iodine_proto::cluster::{self, Filter, Reach};
use iodine_proto::sse::encode_event;
use iodine_proto::websocket::{Kind, Publication};

use super::{MessageId, Stamp};

/// A message on its way to the subscribers of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The name of the channel.
    pub channel: Bytes,
    /// Any bytes.
    pub payload: Bytes,
    /// Which subscriptions it is for.
    pub filter: Filter,
    /// When it was published.
    pub published: Stamp,
    /// That of a message which is kept.
    pub id: Option<MessageId>,
}

impl Message {
    /// A message that is published now.
    pub fn new(channel: Bytes, payload: Bytes) -> Self {
        Self::filtered(channel, payload, Filter::None)
    }

    /// A message that is published now, for some of the subscriptions that its channel matches.
    pub fn filtered(channel: Bytes, payload: Bytes, filter: Filter) -> Self {
        Self { channel, payload, filter, published: Stamp::now(), id: None }
    }

    pub(crate) fn packet(&self, reach: Reach) -> cluster::Publication {
        cluster::Publication {
            reach,
            filter: self.filter.clone(),
            id: self.number(),
            published: self.published.0,
            channel: self.channel.clone(),
            payload: self.payload.clone(),
        }
    }

    /// Its number in the history, zero for none.
    pub(crate) fn number(&self) -> u64 {
        self.id.map_or(0, |id| id.number)
    }

    /// Bytes it takes in a queue.
    pub(crate) fn size(&self) -> usize {
        self.channel.len() + self.payload.len()
    }
}

impl From<cluster::Publication> for Message {
    fn from(publication: cluster::Publication) -> Self {
        Self {
            channel: publication.channel,
            payload: publication.payload,
            filter: publication.filter,
            published: Stamp(publication.published),
            id: None,
        }
    }
}

/// The forms of one message, each made when the first subscriber needs it, and shared by all.
pub(crate) struct Encodings<'m> {
    message: &'m Message,
    kind: Option<Kind>,
    text: Option<Publication>,
    binary: Option<Publication>,
    event: Option<Bytes>,
}

impl<'m> Encodings<'m> {
    pub(crate) fn new(message: &'m Message) -> Self {
        Self { message, kind: None, text: None, binary: None, event: None }
    }

    /// A message of a WebSocket: a text if it is UTF-8, unless it shall be binary in any case.
    pub(crate) fn frame(&mut self, as_binary: bool) -> &mut Publication {
        let payload = &self.message.payload;
        let kind = if as_binary { Kind::Binary } else { *self.kind.get_or_insert_with(|| Kind::of(payload)) };
        let frame = match kind {
            Kind::Text => &mut self.text,
            Kind::Binary => &mut self.binary,
        };
        frame.get_or_insert_with(|| Publication::new(kind, payload))
    }

    /// The bytes as they are.
    pub(crate) fn payload(&self) -> Bytes {
        self.message.payload.clone()
    }

    /// An event of an event stream.
    pub(crate) fn event(&mut self) -> Bytes {
        let Message { payload, id, .. } = self.message;
        let encode = || {
            let mut out = Vec::with_capacity(payload.len() + 16);
            let id = id.map(|id| id.to_string());
            // Only names, and ids of another form, can be wrong.
            let _ = encode_event(payload, None, id.as_deref().map(str::as_bytes), None, &mut out);
            out.into()
        };
        self.event.get_or_insert_with(encode).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_decides_between_text_and_binary() {
        let table: &[(&[u8], bool, u8)] =
            &[(b"text", false, 0x81), (b"text", true, 0x82), (b"\xff", false, 0x82), (b"\xff", true, 0x82)];
        for (payload, as_binary, first) in table {
            let message = Message::new("a".into(), Bytes::from_static(payload));
            let mut encodings = Encodings::new(&message);
            assert_eq!(encodings.frame(*as_binary).plain()[0], *first, "{payload:?} {as_binary}");
        }
    }

    #[test]
    fn each_form_is_made_once() {
        let message = Message::new("a".into(), "text".into());
        let mut encodings = Encodings::new(&message);
        let frame = encodings.frame(false).plain();
        assert_eq!(frame.as_ptr(), encodings.frame(false).plain().as_ptr());
        assert_eq!(&encodings.event()[..], b"data: text\r\n\r\n");
        assert_eq!(encodings.event().as_ptr(), encodings.event().as_ptr());
    }

    #[test]
    fn the_event_of_a_message_that_is_kept_has_its_id() {
        let id = Some(MessageId { epoch: 1, number: 20 });
        let message = Message { id, ..Message::new("a".into(), "text".into()) };
        assert_eq!(&Encodings::new(&message).event()[..], b"id: 00000001-20\r\ndata: text\r\n\r\n");
    }
}
