//! Requests as a peer sends them, whole and in pieces, well-formed and not.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod bodies;
mod feed;
mod heads;
mod limits;
mod properties;
mod refusals;
