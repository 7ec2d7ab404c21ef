//! HTTP/1.0 and HTTP/1.1 for a server: bytes in, decisions and bytes out.
//!
//! What it does: it finds request heads in what a peer sends and checks them, takes bodies out of their framing, says with
//! which status to refuse what is wrong, and writes response heads that cannot be wrong.
//!
//! What it never does: own a socket, a file or a thread, read a clock, or log. Bytes, limits and the time are parameters.
//! It holds no `unsafe` code, and nothing a peer sends makes it panic, guess about framing, or use memory beyond its
//! limits.
//!
//! ```text
//!  bytes from the peer                                                bytes to the peer
//!        │                                                                  ▲
//!        ▼                                                                  │
//!   HeadReader ──── Head ────▶ the server and its application ────▶ ResponseWriter
//!        │            │                     ▲                        chunk_head …
//!        │            └ body_length         │
//!        │                    ▼             │
//!        └─ the rest ──▶ BodyReader ──── data
//! ```
//!
//! [`HeadReader`](http1::HeadReader) is shown all bytes of a message until it has filled a [`Head`](http1::Head) and tells
//! how many those were. What follows goes to a [`BodyReader`](http1::BodyReader), made from the head's
//! [`body_length`](http1::Head::body_length), until it is done. What follows then is the next message. Either reader may
//! answer with a [`Refusal`](http1::Refusal): then the server sends its [`status`](http1::Refusal::status) and closes,
//! because nothing after it can be told apart. How the bytes are cut into packets changes no answer.
//!
//! Where RFC 9112 leaves a choice between repairing and refusing, the readers refuse.
#![forbid(unsafe_code)]

pub mod http1;
