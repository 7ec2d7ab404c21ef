//! A bad network: a proxy for TCP between clients and a server under test, which delays what passes, cuts it into other
//! pieces, and ends connections in the middle of anything.
//!
//! ```text
//! client ──▶ Pair ── lane to the server: pieces, each with the time when it is due ──▶ server
//!        ◀──      ── lane to the client                                            ◀──
//! ```
//!
//! All connections are served by one thread. Within one of them the order of bytes stays, as TCP promises; between them
//! it does not, because each piece has a delay of its own. Chance comes from a seed alone: the n-th connection of a
//! proxy has the same [`Fate`] each time. Specs in Ruby use the program `chaos` (`src/bin/chaos.rs`).

mod faults;
mod lane;
mod pair;
mod proxy;
mod random;

pub use faults::{End, Fate, Faults, Way};
pub use proxy::{Harm, Proxy};
