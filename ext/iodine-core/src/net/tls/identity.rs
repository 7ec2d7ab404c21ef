//! Who a client is, as its certificate says.

use std::fmt::Write;

use data_encoding::BASE64;
use pkcs8::der::Decode;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

/// A client whose certificate was verified.
#[derive(Debug)]
pub struct Identity {
    /// The subject in the form of RFC 4514: `CN=alice,O=Example`. Empty when it cannot be read.
    pub subject: String,
    /// SHA-256 of the certificate, 64 hexadecimal digits in lower case.
    pub fingerprint: String,
    /// The certificate in PEM.
    pub certificate: String,
}

impl Identity {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let subject = x509_cert::Certificate::from_der(certificate)
            .map(|certificate| certificate.tbs_certificate.subject.to_string())
            .unwrap_or_default();
        Self { subject, fingerprint: fingerprint(certificate), certificate: pem(certificate) }
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    digest(&SHA256, certificate).as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// RFC 7468, 5.1.
fn pem(certificate: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    // A line is 64 characters, which are 48 bytes.
    for line in certificate.chunks(48) {
        text.push_str(&BASE64.encode(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}
