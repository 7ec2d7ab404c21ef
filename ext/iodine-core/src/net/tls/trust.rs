//! Authorities that peers are verified by.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::certificate::{read, reason};
use super::error::TlsError;
use super::named::Named;
use super::provider;
use super::verify_client::VerifiedClient;

/// The authorities of some PEM files, and what they have revoked.
pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    /// Those that the user has named, as they are in the files.
    pub(super) named: Named,
    pub(super) revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl Trust {
    /// # Errors
    /// What is wrong with which file.
    pub(super) fn load(paths: &[PathBuf]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut named = Vec::new();
        let mut revoked = Vec::new();
        for path in paths {
            let text = read(path)?;
            let malformed = |error: pem::Error| TlsError::Malformed(path.clone(), reason(&error));
            let certificates: Vec<_> =
                CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(malformed)?;
            let lists: Vec<_> =
                CertificateRevocationListDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(malformed)?;
            // Lists may have files of their own.
            if certificates.is_empty() && lists.is_empty() {
                return Err(TlsError::NoCertificate(path.clone()));
            }
            for certificate in &certificates {
                roots.add(certificate.clone()).map_err(|_| TlsError::Malformed(path.clone(), DAMAGED.into()))?;
            }
            named.extend(certificates);
            revoked.extend(lists);
        }
        Ok(Self { roots: Arc::new(roots), named: Named(named), revoked })
    }

    /// Demands a certificate of every client.
    pub(super) fn of_clients(self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots, provider())
            .with_crls(self.revoked)
            .allow_unknown_revocation_status()
            .build()
            .map_err(|error| TlsError::Refused(error.to_string()))?;
        Ok(Arc::new(VerifiedClient { verifier, named: self.named }))
    }
}

const DAMAGED: &str = "one of its certificates is damaged";
