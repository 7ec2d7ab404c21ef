//! Whether a server is the one that was meant.

use std::sync::Arc;
use std::time::Duration;

use pkcs8::der::Decode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::error::SelfSignedPeer;
use super::provider;
use super::refused::Refused;

/// By authorities, time and name; rustls does it. Tells certificates that vouch for themselves from those of unknown
/// authorities, because what to do about them is not the same, and warns of servers that are refused.
#[derive(Debug)]
pub(super) struct Verified {
    verifier: Arc<WebPkiServerVerifier>,
    /// Certificates that the user trusts as such.
    named: Vec<CertificateDer<'static>>,
    refused: Refused,
}

/// Not at all, but that the server has the key of the certificate it shows. For users who say so.
#[derive(Debug)]
pub(super) struct Unverified(Arc<CryptoProvider>);

impl Default for Unverified {
    fn default() -> Self {
        Self(provider())
    }
}

impl Verified {
    pub(super) fn new(verifier: Arc<WebPkiServerVerifier>, named: Vec<CertificateDer<'static>>) -> Self {
        Self { verifier, named, refused: Refused::default() }
    }

    /// What rustls has refused may be a certificate that vouches for itself. One that calls itself an authority, as
    /// `openssl req -x509` makes them, is not taken from a server even when the user has named it.
    fn look_again(
        &self,
        error: Error,
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let unknown =
            matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)));
        if !unknown || !vouches_for_itself(end_entity) {
            return Err(error);
        }
        if !self.named.contains(end_entity) {
            return Err(CertificateError::Other(OtherError(Arc::new(SelfSignedPeer))).into());
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        is_valid_at(end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .or_else(|error| self.look_again(error, end_entity, server_name, now));
        match &verified {
            Ok(_) => self.refused.forget(server_name),
            Err(error) => self.refused.note(server_name, error),
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn is_valid_at(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = x509_cert::Certificate::from_der(certificate)
        .map_err(|_| CertificateError::BadEncoding)?
        .tbs_certificate
        .validity;
    let now = Duration::from_secs(now.as_secs());
    if validity.not_after.to_unix_duration() < now {
        Err(CertificateError::Expired.into())
    } else if validity.not_before.to_unix_duration() > now {
        Err(CertificateError::NotValidYet.into())
    } else {
        Ok(())
    }
}

fn vouches_for_itself(certificate: &CertificateDer<'_>) -> bool {
    x509_cert::Certificate::from_der(certificate)
        .is_ok_and(|certificate| certificate.tbs_certificate.issuer == certificate.tbs_certificate.subject)
}
