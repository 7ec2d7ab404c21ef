//! HTTP/1 as bytes in, bytes out.
#![forbid(unsafe_code)]

pub mod http1;
