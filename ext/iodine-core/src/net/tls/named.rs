//! Certificates that are trusted as such, and not for what they have signed.

use std::sync::Arc;
use std::time::Duration;

use pkcs8::der::Decode;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error, OtherError};

use super::error::SelfSignedPeer;

/// The certificates in the files of the user.
#[derive(Debug)]
pub(super) struct Named(pub(super) Vec<CertificateDer<'static>>);

impl Named {
    pub(super) fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.contains(certificate)
    }

    /// Looks again at a certificate that rustls has refused: it may vouch for itself. One that calls itself an authority,
    /// as `openssl req -x509` makes them, is not taken from a peer even when the user has named it.
    ///
    /// # Errors
    /// Why it is refused all the same.
    pub(super) fn look_again(
        &self,
        error: Error,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let unknown =
            matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)));
        if !unknown || !vouches_for_itself(certificate) {
            return Err(error);
        }
        if !self.has(certificate) {
            return Err(CertificateError::Other(OtherError(Arc::new(SelfSignedPeer))).into());
        }
        is_valid_at(certificate, now)
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
