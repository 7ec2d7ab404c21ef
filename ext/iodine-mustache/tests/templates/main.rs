//! Templates from source to text.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod hostile;
mod rendering;
mod specification;
mod support;
