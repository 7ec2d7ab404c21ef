//! Certificates and their keys, from files or made on the spot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use pkcs8::der::Decode;
use rustls::InconsistentKeys;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::error::TlsError;
use super::{Password, provider};

/// Where a certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// PEM files: a chain whose first certificate is the server's own, and its key.
    Files {
        /// A name that the certificate is for, besides those it has in it.
        name: Option<String>,
        /// The chain.
        certificate: PathBuf,
        /// The key: PKCS#8, PKCS#1 or SEC1. It may be in the same file.
        key: PathBuf,
        /// For an encrypted key.
        password: Option<Password>,
    },
    /// One that was made for this process.
    SelfSigned(SelfSigned),
}

/// A certificate that vouches for itself, with a new key. It is in memory alone.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    names: Vec<String>,
    certificate: CertificateDer<'static>,
    key: Arc<PrivatePkcs8KeyDer<'static>>,
}

/// A certificate that can be shown.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case.
    pub(super) names: Vec<String>,
}

impl SelfSigned {
    /// Makes one for these names and IP addresses, valid for a year.
    ///
    /// # Errors
    /// When a name cannot be in a certificate, or the system has no random numbers.
    pub fn new(names: &[String]) -> Result<Self, TlsError> {
        let refused = |error: rcgen::Error| TlsError::Refused(format!("no certificate for {names:?}: {error}"));
        let mut params = rcgen::CertificateParams::new(names).map_err(refused)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(first) = names.first() {
            params.distinguished_name.push(rcgen::DnType::CommonName, first.as_str());
        }
        let now = SystemTime::now();
        // Clocks differ: it is valid since yesterday.
        params.not_before = (now - DAY).into();
        params.not_after = (now + 365 * DAY).into();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = rcgen::KeyPair::generate().map_err(refused)?;
        let certificate = params.self_signed(&key).map_err(refused)?;
        Ok(Self {
            names: names.to_vec(),
            certificate: certificate.der().clone(),
            key: Arc::new(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }
}

impl CertificateSource {
    /// Reads it, to see whether it can be used.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn check(&self) -> Result<(), TlsError> {
        self.load().map(drop)
    }

    /// Reads it, and sees whether certificate and key belong together.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(super) fn load(&self) -> Result<Certificate, TlsError> {
        match self {
            Self::SelfSigned(SelfSigned { names, certificate, key }) => {
                let key = PrivateKeyDer::Pkcs8(key.clone_key());
                certified(vec![certificate.clone()], key, Path::new("self-signed"), Path::new("self-signed"))
                    .map(|key| Certificate { key: Arc::new(key), names: lower_case(names) })
            }
            Self::Files { name, certificate, key, password } => {
                let chain = chain(certificate)?;
                let own = Leaf::of(&chain[0], certificate);
                let private = private_key(key, password.as_ref())?;
                let certified = certified(chain, private, certificate, key)?;
                let names = own.into_iter().flat_map(|leaf| leaf.names).chain(name.clone()).collect::<Vec<_>>();
                Ok(Certificate { key: Arc::new(certified), names: lower_case(&names) })
            }
        }
    }
}

/// Whether a certificate can be for that name: a host name, `*.` and a host name, or an IP address.
///
/// # Errors
/// When it cannot.
pub fn check_name(name: &str) -> Result<(), TlsError> {
    let host = name.strip_prefix("*.").unwrap_or(name);
    match ServerName::try_from(host) {
        Ok(ServerName::IpAddress(_)) if host != name => Err(TlsError::Name(name.to_owned())),
        Ok(_) => Ok(()),
        Err(_) => Err(TlsError::Name(name.to_owned())),
    }
}

/// What the server wants to know of its own certificate.
struct Leaf {
    names: Vec<String>,
}

impl Leaf {
    /// Reads it, and warns when its time is not now. A certificate that is odd in a way that only this reader minds is
    /// shown all the same.
    fn of(der: &CertificateDer<'_>, path: &Path) -> Option<Self> {
        let certificate = match x509_cert::Certificate::from_der(der) {
            Ok(certificate) => certificate.tbs_certificate,
            Err(error) => {
                log::warn!("the names in the certificate {} cannot be read: {error}", path.display());
                return None;
            }
        };
        let now = SystemTime::now();
        if certificate.validity.not_after.to_system_time() < now {
            log::warn!("the certificate {} expired at {}", path.display(), certificate.validity.not_after);
        } else if certificate.validity.not_before.to_system_time() > now {
            log::warn!("the certificate {} is not valid before {}", path.display(), certificate.validity.not_before);
        }
        let names = match certificate.get::<SubjectAltName>() {
            Ok(Some((_critical, names))) => names.0,
            Ok(None) | Err(_) => Vec::new(),
        };
        let dns = names.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        });
        Some(Self { names: dns.collect() })
    }
}

/// The certificates of a PEM file, in their order: at least one.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| TlsError::Malformed(path.to_owned(), reason(&error)))?;
    if chain.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

/// The content of a PEM file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error| TlsError::Unreadable(path.to_owned(), error);
    // Another kind of file may never end, or keep the process waiting for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
    }
    let mut content = fs::read(path).map_err(unreadable)?;
    // Some editors begin a text so. It is no part of the first line, which would not be known with it.
    if content.starts_with(BYTE_ORDER_MARK) {
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(content)
}

/// What is wrong with a PEM file, in the words of this crate.
pub(super) fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("the line -----END {}----- is missing", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("the line {:?} is malformed", String::from_utf8_lossy(line))
        }
        pem::Error::Base64Decode(error) => format!("it is damaged: {error}"),
        other => other.to_string(),
    }
}

/// The first private key of a PEM file.
fn private_key(path: &Path, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    if let Some(section) = section(&text, "ENCRYPTED PRIVATE KEY") {
        return decrypted(section, path, password);
    }
    if is_encrypted_in_the_old_way(&text) {
        return Err(TlsError::Password(
            path.to_owned(),
            format!(
                "its format derives the key from the password by MD5, which is not supported. \
                 Convert it: openssl pkcs8 -topk8 -in {} -out new.pem",
                path.display()
            ),
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        error => TlsError::Malformed(path.to_owned(), reason(&error)),
    })
}

/// PKCS#8 with PBES2 (RFC 8018): what `openssl pkcs8 -topk8` and `openssl genpkey -aes256` write.
fn decrypted(section: &str, path: &Path, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, TlsError> {
    let refused = |reason: String| TlsError::Password(path.to_owned(), reason);
    let Some(Password(password)) = password else {
        return Err(refused("give its password (-tls-pass, or password:)".into()));
    };
    let document = match pkcs8::SecretDocument::from_pem(section) {
        Ok((_label, document)) => document,
        Err(error) => return Err(TlsError::Malformed(path.to_owned(), format!("it is damaged: {error}"))),
    };
    let key = pkcs8::EncryptedPrivateKeyInfo::from_der(document.as_bytes())
        .map_err(|_| {
            refused(format!(
                "its way of encryption is not supported; AES and 3DES by PBES2 are. \
                 Convert it: openssl pkcs8 -topk8 -in {} -out new.pem",
                path.display()
            ))
        })?
        .decrypt(password)
        .map_err(|_| refused("the password is wrong".into()))?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec())))
}

/// The lines of a PEM section, its marks included.
fn section<'a>(text: &'a [u8], label: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(text).ok()?;
    let start = text.find(&format!("-----BEGIN {label}-----"))?;
    let end_mark = format!("-----END {label}-----");
    let end = text[start..].find(&end_mark)?;
    Some(&text[start..start + end + end_mark.len()])
}

/// RFC 1421, 4.6.1.1.
fn is_encrypted_in_the_old_way(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"Proc-Type: 4,ENCRYPTED").is_some()
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    certificate: &Path,
    key_path: &Path,
) -> Result<CertifiedKey, TlsError> {
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| TlsError::Malformed(key_path.to_owned(), UNSUPPORTED.into()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Unknown: the key cannot tell. Then a client will.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) if is_for_a_later_one(&certified) => {
            Err(TlsError::Order(certificate.to_owned()))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Mismatch { certificate: certificate.to_owned(), key: key_path.to_owned() })
        }
        Err(_) => Err(TlsError::Malformed(certificate.to_owned(), "its first certificate is damaged".into())),
    }
}

/// Whether the key belongs to a certificate that is not the first.
fn is_for_a_later_one(certified: &CertifiedKey) -> bool {
    certified.cert.iter().skip(1).any(|later| {
        let later = CertifiedKey::new(vec![later.clone()], Arc::clone(&certified.key));
        later.keys_match().is_ok()
    })
}

fn lower_case(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_ascii_lowercase()).collect()
}

/// Of keys that are neither of these, or damaged.
const UNSUPPORTED: &str =
    "its key is damaged or not supported; RSA from 2048 to 8192 bits, ECDSA with P-256 or P-384, and Ed25519 are";
/// That of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
