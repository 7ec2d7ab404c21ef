//! Publish and subscribe.

pub mod redis;
