//! Which certificate a client is shown.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Certificates by the names that clients ask for (RFC 6066, 3). A name may have several, with keys of different kinds.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    /// In the order of the settings.
    all: Vec<Arc<CertifiedKey>>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`, which stands for one label (RFC 6125, 6.4.3).
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Resolver {
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        let mut resolver = Self::default();
        for Certificate { key, names } in certificates {
            for name in names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(domain) => (&mut resolver.wildcard, domain.to_owned()),
                    None => (&mut resolver.exact, name),
                };
                table.entry(name).or_default().push(Arc::clone(&key));
            }
            resolver.all.push(key);
        }
        resolver
    }

    fn named(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(by_wildcard).map(Vec::as_slice)
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let candidates = name.and_then(|name| self.named(name)).unwrap_or(&self.all);
        let fitting = candidates.iter().find(|candidate| candidate.key.choose_scheme(schemes).is_some());
        fitting.or(candidates.first()).map(Arc::clone)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}
