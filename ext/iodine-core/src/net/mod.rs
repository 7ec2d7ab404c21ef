//! Sockets: addresses, listeners, connected streams, TLS on them, and their write queues.

pub mod address;
pub mod descriptor;
pub(crate) mod file;
pub mod listener;
pub mod remote;
pub(crate) mod socket;
pub(crate) mod stream;
pub mod tls;
pub(crate) mod write_queue;

pub use listener::Listener;
