//! The client's side: one configuration for connections to others.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::error::TlsError;
use super::named::Named;
use super::session::Session;
use super::trust::Trust;
use super::verify::{Unverified, Verified};
use super::{TlsSettings, VERSIONS, key_log, provider};
use crate::net::socket::Socket;

/// TLS for connections to others. Sessions with the same server are resumed.
pub struct TlsClient {
    settings: TlsSettings,
    config: RwLock<Arc<ClientConfig>>,
}

impl TlsClient {
    /// Reads the files; without any authorities in the settings those of the system.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn new(settings: TlsSettings) -> Result<Self, TlsError> {
        let config = RwLock::new(Arc::new(configure(&settings)?));
        Ok(Self { settings, config })
    }

    /// Reads the files again, for connections to come. No session from before is resumed.
    ///
    /// # Errors
    /// What is wrong with which file. Then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let renewed = Arc::new(configure(&self.settings)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// For who brings a socket of their own, and waits for it.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins a handshake on a socket that is connected to `host`, a name or an IP address, which the certificate of the
    /// server has to be for. It may take as long as `within`, and offers `protocols` (ALPN, RFC 7301).
    ///
    /// # Errors
    /// When the host cannot be a name in a certificate.
    pub(crate) fn connect(
        &self,
        socket: Socket,
        host: &str,
        within: Duration,
        protocols: Vec<Vec<u8>>,
    ) -> Result<Session, TlsError> {
        let session = ClientConnection::new_with_alpn(self.config(), server_name(host)?, protocols)
            .map_err(|error| TlsError::Refused(error.to_string()))?;
        Ok(Session::new(socket, session.into(), within))
    }
}

/// The name of a server as it has to be in the certificate: a host name, or an IP address, in brackets or not.
///
/// # Errors
/// When it is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))
}

fn configure(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(refused)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(settings)?);
    let mut config = match settings.certificates.first() {
        None => builder.with_no_client_auth(),
        Some(source) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(source.load()?.key))),
    };
    config.key_log = key_log();
    Ok(config)
}

fn verifier(settings: &TlsSettings) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if !settings.verify {
        log::warn!("TLS connections to others are made without verifying who answers (verify = false)");
        return Ok(Arc::new(Unverified::default()));
    }
    let trust = if settings.trust.is_empty() { of_the_system()? } else { Trust::load(&settings.trust)? };
    let named = trust.named;
    let verifier = WebPkiServerVerifier::builder_with_provider(trust.roots, provider())
        .with_crls(trust.revoked)
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| TlsError::Refused(error.to_string()))?;
    Ok(Arc::new(Verified::new(verifier, named)))
}

/// The authorities that the system trusts. Some stores have certificates that nothing can read; the others count.
fn of_the_system() -> Result<Trust, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoRoots(reasons.join(", ")));
    }
    Ok(Trust { roots: Arc::new(roots), named: Named(Vec::new()), revoked: Vec::new() })
}
