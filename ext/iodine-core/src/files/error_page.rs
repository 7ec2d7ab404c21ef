//! Errors that the server answers by itself: a page of the public folder, or a line of text.

use std::time::Instant;

use iodine_proto::http1::{Framing, Head, Persistence, ResponseWriter, reason};

use super::representation::write_field;
use super::{Files, persistence};
use crate::date;
use crate::exchange::{Response, ResponseBody};

/// Writes the answer. `head` is that of the request, if it had one that could be read.
pub(crate) fn write(
    response: &mut Response,
    status: u16,
    head: Option<&Head>,
    closing: bool,
    files: Option<&Files>,
    now: Instant,
) {
    let page = files.and_then(|files| files.error_page(status, now));
    let (media_type, length, body) = match &page {
        Some(page) => (page.media_type(), page.length(), page.body()),
        None => {
            let text = format!("{status} {}", reason(status));
            ("text/plain", text.len() as u64, ResponseBody::Shared(text.into()))
        }
    };
    let head_only = head.is_some_and(Head::is_head);
    let persistence = head.map_or(Persistence::Close, |head| persistence(head, closing));
    response.head.clear();
    let mut writer = ResponseWriter::new(&mut response.head, status);
    write_field(&mut writer, "content-type", media_type);
    let framing = if head_only { Framing::Head(Some(length)) } else { Framing::Length(length) };
    writer.finish(framing, persistence, &date::now());
    response.body = if head_only { ResponseBody::Sent } else { body };
    response.close = closing;
    response.status = status;
    response.length = if head_only { 0 } else { length };
}
