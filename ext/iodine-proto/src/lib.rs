//! HTTP/1.0 and HTTP/1.1 for a server, WebSocket for both ends, server-sent events: bytes in, decisions and bytes out.
//!
//! What it does: it finds request heads in what a peer sends and checks them, takes bodies out of their framing, says with
//! which status to refuse what is wrong, and writes response heads that cannot be wrong. It shakes hands for WebSockets,
//! puts messages together from frames, says with which code to close what is wrong, and compresses. It frames events.
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
//! A request that [asks for a WebSocket](websocket::is_upgrade) turns the connection into one:
//!
//! ```text
//!  Head ──▶ Handshake ─── fields of the 101 ──▶ ResponseWriter
//!               │
//!               └ deflate ─┬──▶ Reader ──── Event ────▶ the application
//!                          │     ▲ frames from the peer        │
//!                          └──▶ Encoder ◀──── messages ────────┤
//!                                │ ▲ Publication, for many ◀───┘
//!                                ▼ frames to the peer
//! ```
//!
//! [`websocket`] shows it in use. A [`Reader`](websocket::Reader) may answer with an [`Error`](websocket::Error): then the
//! server sends its [`close_code`](websocket::Error::close_code) and closes. [`sse`] is one function: an event to bytes.
//!
//! Where RFC 9112 leaves a choice between repairing and refusing, the readers refuse.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod glob;
pub mod http1;
pub mod sse;
pub mod websocket;
