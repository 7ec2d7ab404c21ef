//! Why a configuration cannot be made, and why a connection has failed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls::{CertificateError, InvalidMessage};

/// What is wrong, and with which file.
#[derive(Debug)]
pub enum TlsError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is no certificate in the file.
    NoCertificate(PathBuf),
    /// There is no private key in the file.
    NoKey(PathBuf),
    /// Something in the file is damaged, or of a kind that is not supported.
    Malformed(PathBuf, String),
    /// The key is encrypted, and the password is missing or wrong.
    Password(PathBuf, String),
    /// The key does not belong to the certificate.
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// The certificate of the key is not the first one in the file.
    Order(PathBuf),
    /// The system's store of trusted authorities cannot be used.
    NoRoots(String),
    /// The name of a server or of a protocol cannot be one.
    Name(String),
    /// The parts do not fit together.
    Refused(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(out, "{} cannot be read: {error}", path.display()),
            Self::NoCertificate(path) => {
                write!(out, "{} has no certificate in it: one begins with -----BEGIN CERTIFICATE-----", path.display())
            }
            Self::NoKey(path) => {
                write!(out, "{} has no private key in it: one begins with -----BEGIN PRIVATE KEY-----", path.display())
            }
            Self::Malformed(path, reason) => write!(out, "{} cannot be used: {reason}", path.display()),
            Self::Password(path, reason) => write!(out, "the key in {} is encrypted: {reason}", path.display()),
            Self::Mismatch { certificate, key } => write!(
                out,
                "the key in {} does not belong to the certificate in {}",
                key.display(),
                certificate.display()
            ),
            Self::Order(path) => write!(
                out,
                "{} has its certificates in the wrong order: the key belongs to a later one, which has to be the first",
                path.display()
            ),
            Self::NoRoots(reason) => {
                write!(out, "the system has no trusted authorities: {reason}. Name some by Iodine::TLS#trust")
            }
            Self::Name(name) => write!(
                out,
                "{name:?} cannot be a name for TLS: that is a host name (one that is not ASCII in its xn-- form), \
                 *. and a host name, or an IP address"
            ),
            Self::Refused(reason) => write!(out, "the TLS configuration does not fit together: {reason}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Why a connection has failed, for the log.
#[derive(Debug)]
pub(super) struct Failure(pub(super) rustls::Error);

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rustls::Error::InvalidCertificate(error) => describe(error, out),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                out.write_str("what the peer sends is not TLS")
            }
            rustls::Error::AlertReceived(alert) => write!(out, "the peer ended it by the alert {alert:?}"),
            error => write!(out, "{error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A certificate that vouches for itself, and that nobody has said to trust.
#[derive(Debug)]
pub(super) struct SelfSignedPeer;

impl fmt::Display for SelfSignedPeer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the peer's certificate vouches for itself (self-signed), and is not trusted")
    }
}

impl std::error::Error for SelfSignedPeer {}

fn describe(error: &CertificateError, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            out.write_str("the peer's certificate has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            out.write_str("the peer's certificate is not valid yet")
        }
        CertificateError::Revoked => out.write_str("the peer's certificate has been revoked"),
        CertificateError::UnknownIssuer => out.write_str("no trusted authority vouches for the peer's certificate"),
        CertificateError::BadSignature => out.write_str(
            "the peer's certificate is not by the trusted authority that it names, but by another of that name",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            out.write_str("the peer's certificate is for another purpose")
        }
        CertificateError::NotValidForName => out.write_str("the peer's certificate is for another name"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            write!(out, "the peer's certificate is not for {}, but for {}", expected.to_str(), names.join(", "))
        }
        CertificateError::Other(error) => write!(out, "{error}"),
        error => write!(out, "the peer's certificate is not acceptable: {error}"),
    }
}

/// A name out of its debug output, which is how rustls gives it: `DnsName("a.test")`.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}
