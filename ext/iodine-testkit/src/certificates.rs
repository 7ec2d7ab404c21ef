//! Certificates that are made when a test needs them.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};

/// Whoever issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// PKCS#8.
    pub key: String,
    serial: SerialNumber,
}

/// From when on a certificate is valid, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Since yesterday, until tomorrow.
    Now,
    /// It ended yesterday.
    Past,
    /// It begins tomorrow.
    Future,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Authority {
    /// One that vouches for itself.
    ///
    /// # Panics
    /// When the system has no random numbers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(&[], name, Validity::Now);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, key()).expect("an authority"))
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names; the first is the common name.
    ///
    /// # Panics
    /// When a name cannot be in a certificate.
    #[must_use]
    pub fn issue(&self, names: &[&str], validity: Validity) -> Issued {
        let mut params = params(names, names.first().copied().unwrap_or_default(), validity);
        let key = key();
        let serial = SerialNumber::from_slice(&key.public_key_raw()[1..9]);
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem(), serial }
    }

    /// A list that revokes a certificate, in PEM.
    ///
    /// # Panics
    /// When the system has no random numbers.
    #[must_use]
    pub fn revoke(&self, issued: &Issued) -> String {
        let now = SystemTime::now();
        let revoked = RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: (now - DAY).into(),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: (now - DAY).into(),
            next_update: (now + DAY).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).and_then(|list| list.pem()).expect("a revocation list")
    }
}

/// A certificate that vouches for itself.
///
/// # Panics
/// When a name cannot be in a certificate.
#[must_use]
pub fn self_signed(names: &[&str]) -> Issued {
    let key = key();
    let params = params(names, names.first().copied().unwrap_or_default(), Validity::Now);
    let certificate = params.self_signed(&key).expect("a certificate");
    Issued { certificate: certificate.pem(), key: key.serialize_pem(), serial: SerialNumber::from(1) }
}

/// One that calls itself an authority as well, as `openssl req -x509` makes them.
///
/// # Panics
/// When a name cannot be in a certificate.
#[must_use]
pub fn self_signed_authority(names: &[&str], validity: Validity) -> Issued {
    let key = key();
    let mut params = params(names, names.first().copied().unwrap_or_default(), validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    Issued { certificate: certificate.pem(), key: key.serialize_pem(), serial: SerialNumber::from(1) }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("random numbers")
}

fn params(names: &[&str], name: &str, validity: Validity) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names that can be in a certificate");
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now();
    let (from, to) = match validity {
        Validity::Now => (now - DAY, now + DAY),
        Validity::Past => (now - 2 * DAY, now - DAY),
        Validity::Future => (now + DAY, now + 2 * DAY),
    };
    (params.not_before, params.not_after) = (from.into(), to.into());
    params
}
