//! Certificates and a bad network for tests. Never part of the gem.

pub mod certificates;
pub mod chaos;
