//! Certificates, a bad network and many clients for tests. Never part of the gem.

pub mod audience;
pub mod certificates;
pub mod chaos;
