//! Sockets: addresses, listeners, connected streams and their write queues.

pub mod address;
pub(crate) mod file;
pub mod listener;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod write_queue;

pub use listener::Listener;
