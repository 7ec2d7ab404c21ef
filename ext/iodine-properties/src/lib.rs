//! What must hold whatever bytes come. Never part of the gem.
//!
//! Each [property](PROPERTIES) takes bytes and panics when it does not hold for them. Fuzzers search for such bytes
//! (`bin/fuzz`); those that once were found, and what leads into the corners, are kept in `fuzz/seeds` and tried by every
//! `cargo test`.
#![forbid(unsafe_code)]

mod cli;
mod cluster;
mod connection;
mod files;
mod glob;
mod http;
mod input;
mod mustache;
mod redis;
mod sse;
mod url;
mod websocket;

/// Panics when what it stands for does not hold for these bytes.
pub type Property = fn(&[u8]);

/// All properties, by the name of their seeds' folder.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("cli", cli::never_panics),
    ("cluster_frames", cluster::frames_may_be_cut_anywhere),
    ("cluster_packets", cluster::what_is_sent_is_read),
    ("connection", connection::ends_clean_whatever_comes),
    ("deflate", websocket::compressed_messages_may_be_cut_anywhere),
    ("files", files::stay_in_their_folder),
    ("glob", glob::matches_as_redis_does),
    ("http_body", http::bodies_may_be_cut_anywhere),
    ("http_fields", http::fields_have_one_meaning),
    ("http_head", http::heads_may_be_cut_anywhere),
    ("http_response", http::responses_cannot_be_split),
    ("mustache", mustache::renders_or_says_why),
    ("redis_reply", redis::replies_are_read_as_written),
    ("redis_url", redis::urls_keep_their_secret),
    ("sse", sse::clients_read_what_was_sent),
    ("url", url::decodes_as_it_was_encoded),
    ("websocket_client", websocket::answers_may_be_cut_anywhere),
    ("websocket_frames", websocket::frames_may_be_cut_anywhere),
    ("websocket_handshake", websocket::what_is_offered_is_agreed_to),
    ("websocket_messages", websocket::what_is_sent_is_read),
];

/// The property of that name.
pub fn find(name: &str) -> Option<Property> {
    PROPERTIES.iter().find(|(known, _)| *known == name).map(|(_, property)| *property)
}
