//! Both ends of a WebSocket: what peers send, whole and in pieces, and what they make of each other.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod client;
mod deflate;
mod ends;
mod feed;
mod frames;
mod handshake;
mod properties;
mod refusals;
mod second_opinion;
