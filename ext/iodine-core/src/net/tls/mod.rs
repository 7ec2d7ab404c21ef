//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446), by rustls.
//!
//! ```text
//! TlsSettings (names of files) ── certificate, trust ──▶ TlsServer, TlsClient (a configuration, which may be renewed)
//!                                                             │ accept, connect
//!                                  Socket ◀── ciphertext ── Session ── plaintext ──▶ Connection, WriteQueue
//! ```
//!
//! What it does: reads certificates and keys, chooses one by the name that a client asks for, keeps the keys of
//! session tickets, and carries the bytes of one connection.
//!
//! What it never does: wait. A handshake is a state of its connection, and has a deadline there.

mod beginning;
mod certificate;
mod client;
mod error;
mod identity;
mod named;
mod refused;
mod resolver;
mod server;
mod session;
mod tickets;
mod trust;
mod verify;
mod verify_client;
mod watch;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, cipher_suite as suite};
use rustls::{KeyLog, KeyLogFile, NoKeyLog, SupportedCipherSuite, SupportedProtocolVersion};

pub use certificate::{CertificateSource, SelfSigned, check_name};
pub use client::{TlsClient, server_name};
pub use error::TlsError;
pub use identity::Identity;
pub use server::TlsServer;
pub(crate) use session::Session;

/// What the user wants of TLS, checked as far as that is possible without the files.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Certificates to show; a client shows the first to servers that ask. The first is for clients that ask for no name, or for one that none is for.
    pub certificates: Vec<CertificateSource>,
    /// PEM files with the certificates, and the revocation lists, of the authorities that peers are verified by. A
    /// server demands a certificate when there are any; a client takes the system's when there are none.
    pub trust: Vec<PathBuf>,
    /// Names for ALPN (RFC 7301) that a server takes, and a client offers for a raw connection, the preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// Whether a client verifies who answers. Default yes.
    pub verify: bool,
    /// From the connection of a client to the end of its handshake. Default 10 s; then the connection is closed. Who
    /// connects to others says each time how long that may take.
    pub handshake_timeout: Duration,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            trust: Vec::new(),
            protocols: Vec::new(),
            verify: true,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

impl TlsSettings {
    /// Reads the files of [`trust`](Self::trust).
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn check_trust(&self) -> Result<(), TlsError> {
        trust::Trust::load(&self.trust).map(drop)
    }
}

/// The password of a private key. It does not show in debug output.
#[derive(Clone)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password")
    }
}

/// Nothing below 1.2 (RFC 8996).
static VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// AES with 128 bits first: it is as far out of reach as the others and costs the least, with SHA-256 in the handshake.
static SUITES: &[SupportedCipherSuite] = &[
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(CryptoProvider { cipher_suites: SUITES.to_vec(), ..ring::default_provider() }));
    Arc::clone(&PROVIDER)
}

/// Secrets of sessions are written down only when the user has named a file for them in `SSLKEYLOGFILE`.
fn key_log() -> Arc<dyn KeyLog> {
    let Some(path) = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()) else {
        return Arc::new(NoKeyLog {});
    };
    match File::options().append(true).create(true).open(&path) {
        Ok(_) => {
            log::warn!("the secrets of TLS sessions are written to {} (SSLKEYLOGFILE)", path.display());
            Arc::new(KeyLogFile::new())
        }
        Err(error) => {
            log::warn!("{} (SSLKEYLOGFILE) cannot be written: {error}", path.display());
            Arc::new(NoKeyLog {})
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
