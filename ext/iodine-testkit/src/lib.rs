//! Peers, certificates and folders for tests. Never part of the gem.

pub mod certificates;
