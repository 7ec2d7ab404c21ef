//! What of a file a request is given: all, a part, several parts, or nothing because the client has it already.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use iodine_proto::http1::conditional::{self, Outcome, Validators};
use iodine_proto::http1::range::{self, ByteRange, Wanted};
use iodine_proto::http1::{Framing, Head, ResponseWriter, date, reason};

use super::representation::{Representation, now, write_field};
use crate::exchange::ResponseBody;

/// An answer with a file, or about one.
pub struct Reply {
    /// 200 or what the application said, 206, 304, 412 or 416.
    pub status: u16,
    /// How long the body is.
    pub framing: Framing,
    /// The body; empty for HEAD.
    pub body: ResponseBody,
    fields: Vec<(&'static str, String)>,
    /// The content type is that of several parts, which the application cannot know.
    is_multipart: bool,
}

/// The fields of an application's response that concern a file: they take the place of the file's own.
#[derive(Default)]
pub struct Given {
    fields: Vec<(&'static str, Vec<u8>)>,
}

/// What is sent of the content.
pub(super) enum Selection {
    Whole,
    Part(ByteRange),
    Parts(Vec<ByteRange>),
    NotModified,
    Failed,
    Unsatisfiable,
}

impl Given {
    /// Takes note of a field of the application.
    pub fn note(&mut self, name: &[u8], value: &[u8]) {
        if let Some(known) = CONCERNED.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
            self.fields.push((known, value.to_vec()));
        }
    }

    /// Whether the application says which coding the content is in: then it is not looked for in another one.
    pub(super) fn has_coding(&self) -> bool {
        self.has("content-encoding")
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| &value[..])
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The application's validators, and the file's where it gave none.
    fn validators<'a>(&'a self, own: Validators<'a>) -> Validators<'a> {
        let modified = self.get("last-modified").map_or(own.modified, date::parse);
        Validators { etag: self.get("etag").or(own.etag), modified }
    }

    /// Whether the content is what the file is, and so preconditions and ranges are the server's business.
    fn leaves_content(&self, status: u16) -> bool {
        status == 200 && !self.has("content-range") && !self.has("content-encoding")
    }
}

impl Reply {
    /// The answer to a request whose application has answered `status` and a file.
    pub fn new(file: &Representation, head: &Head, status: u16, given: &Given) -> Self {
        let selection = if given.leaves_content(status) {
            select(head, file.length(), given.validators(file.validators()))
        } else {
            Selection::Whole
        };
        let media_type = match given.get("content-type") {
            Some(value) => String::from_utf8_lossy(value).into_owned(),
            None => file.media_type().to_owned(),
        };
        let mut reply = Self::of(selection, file, head, status, &media_type);
        let multipart = reply.is_multipart;
        reply.fields.retain(|(name, _)| !given.has(name) || multipart && *name == "content-type");
        reply
    }

    /// What a request is given of a file, apart from the case that it is all of it.
    pub(super) fn of(selection: Selection, file: &Representation, head: &Head, status: u16, media_type: &str) -> Self {
        let fields = || file.fields().iter().map(|(name, value)| (*name, value.clone()));
        let mut reply = match selection {
            Selection::Whole => {
                let mut reply = Self::with(status, file.body(), file.length());
                reply.fields = vec![("content-type", media_type.to_owned())];
                reply.fields.extend(fields());
                reply
            }
            Selection::Part(range) => {
                let mut reply = Self::with(206, file.part(range), range.length());
                reply.fields = vec![("content-type", media_type.to_owned())];
                reply.fields.extend(fields());
                reply.fields.push(("content-range", content_range(range, file.length())));
                reply
            }
            Selection::Parts(ranges) => {
                let (boundary, body, length) = multipart(file, &ranges, media_type);
                let mut reply = Self::with(206, body, length);
                reply.fields = vec![("content-type", format!("multipart/byteranges; boundary={boundary}"))];
                reply.fields.extend(fields());
                reply.is_multipart = true;
                reply
            }
            Selection::NotModified => {
                let mut reply = Self::with(304, ResponseBody::Sent, 0);
                reply.framing = Framing::None;
                reply.fields = fields().filter(|(name, _)| KEPT_BY_304.contains(name)).collect();
                reply
            }
            Selection::Failed => Self::error(412),
            Selection::Unsatisfiable => {
                let mut reply = Self::error(416);
                reply.fields.push(("content-range", format!("bytes */{}", file.length())));
                reply
            }
        };
        if head.is_head() {
            reply.body = ResponseBody::Sent;
            if let Framing::Length(length) = reply.framing {
                reply.framing = Framing::Head(Some(length));
            }
        }
        reply
    }

    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        match self.framing {
            Framing::Length(length) => length,
            _ => 0,
        }
    }

    /// Whether a field of the application belongs into this answer.
    pub fn keeps(&self, name: &[u8]) -> bool {
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        match self.status {
            _ if is(&"transfer-encoding") => false,
            206 if self.is_multipart => !is(&"content-type"),
            304 | 412 | 416 => !ABOUT_CONTENT.iter().any(is),
            _ => true,
        }
    }

    /// Writes the file's fields.
    pub fn write_fields(&self, writer: &mut ResponseWriter<'_>) {
        for (name, value) in &self.fields {
            write_field(writer, name, value);
        }
    }

    fn with(status: u16, body: ResponseBody, length: u64) -> Self {
        Self { status, framing: Framing::Length(length), body, fields: Vec::new(), is_multipart: false }
    }

    fn error(status: u16) -> Self {
        let text = format!("{status} {}", reason(status));
        let length = text.len() as u64;
        let mut reply = Self::with(status, ResponseBody::Shared(text.into()), length);
        reply.fields.push(("content-type", "text/plain".to_owned()));
        reply
    }
}

/// Preconditions first, then ranges (RFC 9110 section 13.2.2).
pub(super) fn select(head: &Head, length: u64, validators: Validators<'_>) -> Selection {
    match conditional::evaluate(head, validators) {
        Outcome::NotModified => return Selection::NotModified,
        Outcome::Failed => return Selection::Failed,
        Outcome::Proceed => {}
    }
    match range::wanted(head, length) {
        Wanted::All => Selection::Whole,
        _ if !conditional::range_applies(head, validators, now() as u64) => Selection::Whole,
        Wanted::Nothing => Selection::Unsatisfiable,
        Wanted::Parts(parts) => match parts[..] {
            [part] => Selection::Part(part),
            _ => Selection::Parts(parts),
        },
    }
}

/// `multipart/byteranges` (RFC 9110 section 14.6): the boundary, the body and its length.
fn multipart(file: &Representation, ranges: &[ByteRange], media_type: &str) -> (String, ResponseBody, u64) {
    let boundary = boundary();
    let (mut parts, mut total) = (Vec::with_capacity(2 * ranges.len() + 1), 0);
    let mut add = |part, length| {
        total += length;
        parts.push(part);
    };
    let mut between = "";
    for &range in ranges {
        let place = content_range(range, file.length());
        let mut head = format!("{between}--{boundary}\r\n");
        // Writing to memory does not fail.
        let _ = write!(head, "content-type: {media_type}\r\ncontent-range: {place}\r\n\r\n");
        let length = head.len() as u64;
        add(ResponseBody::Shared(Bytes::from(head)), length);
        add(file.part(range), range.length());
        between = "\r\n";
    }
    let end = format!("\r\n--{boundary}--\r\n");
    let length = end.len() as u64;
    add(ResponseBody::Shared(Bytes::from(end)), length);
    (boundary, ResponseBody::Parts(parts), total)
}

fn content_range(range: ByteRange, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.first, range.end - 1)
}

/// Random, so that no file has it in it by design.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}

/// Fields of an application that are the file's too. `vary` is not among them: both may have one.
const CONCERNED: &[&str] =
    &["content-type", "content-encoding", "content-range", "etag", "last-modified", "cache-control", "accept-ranges"];
/// RFC 9110 section 15.4.5
const KEPT_BY_304: &[&str] = &["etag", "last-modified", "cache-control", "vary"];
/// Fields that tell of content which the answer does not have.
const ABOUT_CONTENT: &[&str] = &["content-type", "content-encoding", "content-language", "content-disposition"];
