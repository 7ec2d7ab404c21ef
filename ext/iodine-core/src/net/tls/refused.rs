//! Servers that were not what they had to be.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};

use super::error::{Failure, SelfSignedPeer};

/// Why each of them was refused the last time. Somebody has to do something about it, so it is a warning, but who tries
/// again and again should not fill the log: it is said anew when the reason is another one, or was none in between.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<HashMap<String, String>>);

/// As many are remembered.
const MOST: usize = 256;

impl Refused {
    pub(super) fn note(&self, server: &ServerName<'_>, error: &Error) {
        let reason = Failure(error.clone()).to_string();
        if self.is_news(&server.to_str(), &reason) {
            log::warn!("{} is not spoken to: {reason}. {}", server.to_str(), advice(error));
        }
    }

    pub(super) fn forget(&self, server: &ServerName<'_>) {
        self.lock().remove(&*server.to_str());
    }

    fn is_news(&self, server: &str, reason: &str) -> bool {
        let mut reasons = self.lock();
        if reasons.len() >= MOST && !reasons.contains_key(server) {
            reasons.clear();
        }
        reasons.insert(server.to_owned(), reason.to_owned()).is_none_or(|before| before != reason)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do about it.
fn advice(error: &Error) -> &'static str {
    let Error::InvalidCertificate(error) = error else { return "It needs another certificate" };
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "If it is the right one, name the file of its authority by Iodine::TLS#trust"
        }
        CertificateError::Other(other) if other.0.is::<SelfSignedPeer>() => {
            "If it is the right one, name the file of its certificate by Iodine::TLS#trust"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "Connect to a name that its certificate is for, or give it one for this name"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "It needs another certificate, unless the clock of this machine is wrong"
        }
        _ => "It needs another certificate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_and_after_another_one() {
        let refused = Refused::default();
        let said: Vec<_> = ["a", "a", "b", "b", "a"].map(|reason| refused.is_news("x.test", reason)).into();
        assert_eq!(said, [true, false, true, false, true]);
        assert!(refused.is_news("y.test", "a"));
        refused.forget(&ServerName::try_from("x.test").unwrap());
        assert!(refused.is_news("x.test", "a") && !refused.is_news("y.test", "a"));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let refused = Refused::default();
        for number in 0..=MOST {
            assert!(refused.is_news(&number.to_string(), "a"));
        }
        assert_eq!(refused.lock().len(), 1);
    }
}
