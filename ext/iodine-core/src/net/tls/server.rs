//! The server's side: one configuration for the connections of a listener.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ring::digest::{Context, SHA256};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};

use super::certificate::Certificate;
use super::error::TlsError;
use super::resolver::Resolver;
use super::session::Session;
use super::tickets::{Secrets, Tickets};
use super::trust::Trust;
use super::watch::Watch;
use super::{TlsSettings, VERSIONS, key_log, provider};
use crate::net::socket::Socket;

/// TLS for a listener. Made before the fork, so that the workers of a cluster take each other's session tickets.
pub struct TlsServer {
    settings: TlsSettings,
    secrets: Arc<Secrets>,
    config: RwLock<Arc<ServerConfig>>,
    files: Mutex<Watch>,
}

impl TlsServer {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn new(settings: TlsSettings) -> Result<Self, TlsError> {
        let secrets = Arc::new(Secrets::new()?);
        let files = Mutex::new(Watch::new(&settings));
        let config = RwLock::new(Arc::new(configure(&settings, &secrets)?));
        Ok(Self { settings, secrets, config, files })
    }

    /// Reads the files again. Connections that are accepted from now on get what is in them; open ones stay.
    ///
    /// # Errors
    /// What is wrong with which file. Then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.files().renew();
        let renewed = Arc::new(configure(&self.settings, &self.secrets)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// Whether its files have changed since they were read, and are not about to change more: they looked the same the
    /// last time that this was asked.
    pub fn has_changed(&self) -> bool {
        self.files().has_changed()
    }

    fn files(&self) -> MutexGuard<'_, Watch> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a handshake on a socket.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn accept(&self, socket: Socket) -> Result<Session, rustls::Error> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        Ok(Session::new(socket, ServerConnection::new(config)?.into(), self.settings.handshake_timeout))
    }
}

fn configure(settings: &TlsSettings, secrets: &Arc<Secrets>) -> Result<ServerConfig, TlsError> {
    let certificates: Vec<_> =
        settings.certificates.iter().map(super::CertificateSource::load).collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        return Err(TlsError::Refused("a server needs a certificate".into()));
    }
    let trust = (!settings.trust.is_empty()).then(|| Trust::load(&settings.trust)).transpose()?;
    let tickets = Tickets::new(Arc::clone(secrets), digest_of(&certificates, trust.as_ref()));
    let refused = |error: rustls::Error| TlsError::Refused(error.to_string());
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS).map_err(refused)?;
    let builder = match trust {
        None => builder.with_no_client_auth(),
        Some(trust) => builder.with_client_cert_verifier(trust.of_clients()?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Resolver::new(certificates)));
    config.ignore_client_order = true;
    config.alpn_protocols.clone_from(&settings.protocols);
    config.ticketer = Arc::new(tickets);
    // Tickets do, and a store of sessions would be each worker's own.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.key_log = key_log();
    Ok(config)
}

/// Stands for what a resumed session was once shown, and had to show.
fn digest_of(certificates: &[Certificate], trust: Option<&Trust>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for der in certificates.iter().flat_map(|certificate| &certificate.key.cert) {
        context.update(der);
    }
    if let Some(trust) = trust {
        for root in &trust.roots.roots {
            context.update(&root.subject);
            context.update(&root.subject_public_key_info);
        }
        trust.revoked.iter().for_each(|list| context.update(list));
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
