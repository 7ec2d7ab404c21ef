//! Mustache templates.
#![forbid(unsafe_code)]
