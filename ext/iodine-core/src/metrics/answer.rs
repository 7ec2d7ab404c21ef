//! Answers of the listener for metrics. The reactor gives them itself: they come when Ruby is stuck, too.

use iodine_proto::http1::{Framing, ResponseWriter};

use super::report::Report;
use crate::date;
use crate::exchange::{Exchange, ResponseBody};
use crate::files::{persistence, write_field};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the answer to a request into its exchange.
pub(crate) fn answer(exchange: &mut Exchange, closing: bool) {
    let (status, media_type, body) = respond(exchange);
    let head_only = exchange.head.is_head();
    let persistence = persistence(&exchange.head, closing);
    let response = &mut exchange.response;
    let length = body.len() as u64;
    response.head.clear();
    let mut writer = ResponseWriter::new(&mut response.head, status);
    write_field(&mut writer, "content-type", media_type);
    write_field(&mut writer, "cache-control", "no-store");
    let framing = if head_only { Framing::Head(Some(length)) } else { Framing::Length(length) };
    writer.finish(framing, persistence, &date::now());
    response.body = if head_only { ResponseBody::Sent } else { ResponseBody::Shared(body.into()) };
    response.close = closing;
    response.status = status;
    response.length = length;
}

fn respond(exchange: &Exchange) -> (u16, &'static str, String) {
    if !matches!(exchange.head.method(), b"GET" | b"HEAD") {
        return (405, TEXT, "only GET and HEAD\n".into());
    }
    let written = match exchange.head.path() {
        b"/" | b"/metrics" => Report::now().prometheus().map(|text| (TEXT, text)),
        b"/metrics.json" => Report::now().json().map(|text| ("application/json", text)),
        _ => return (404, TEXT, "there are /metrics and /metrics.json\n".into()),
    };
    match written {
        Ok((media_type, text)) => (200, media_type, text),
        // Writing to a String does not fail.
        Err(error) => (500, TEXT, error.to_string()),
    }
}
