//! Certificates and keys that can be used, and what is said of those that cannot.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use iodine_core::net::tls::{CertificateSource, SelfSigned, TlsError, check_name};
use iodine_testkit::certificates::{Authority, Validity, self_signed};

fn source(certificate: PathBuf, key: PathBuf) -> CertificateSource {
    CertificateSource::Files { name: None, certificate, key, password: None }
}

#[test]
fn files_are_used_or_named_with_what_is_wrong() {
    let authority = Authority::new("An authority");
    let (one, other) = (authority.issue(&["one.test"], Validity::Now), self_signed(&["other.test"]));
    let chain = format!("{}{}", one.certificate, authority.certificate());
    let turned = format!("{}{}", authority.certificate(), one.certificate);
    let cut = &one.key[..one.key.len() - 30];
    let damaged = one.certificate.replacen("MII", "M!!", 1);
    let old =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let marked = format!("\u{feff}{chain}");
    let both = format!("{chain}{}", one.key);
    // The files of certificate and key, and the beginning of what is wrong.
    let table: &[(&str, &str, Option<&str>)] = &[
        (&chain, &one.key, None),
        (&marked, &one.key, None),
        (&both, &both, None),
        (&other.certificate, &other.key, None),
        ("", &one.key, Some("FOLDER/certificate.pem has no certificate in it")),
        (&one.key, &one.key, Some("FOLDER/certificate.pem has no certificate in it")),
        (&damaged, &one.key, Some("FOLDER/certificate.pem cannot be used: it is damaged")),
        (&chain, "", Some("FOLDER/key.pem has no private key in it")),
        (&chain, &chain, Some("FOLDER/key.pem has no private key in it")),
        (&chain, cut, Some("FOLDER/key.pem cannot be used: the line -----END")),
        (
            &chain,
            &other.key,
            Some("the key in FOLDER/key.pem does not belong to the certificate in FOLDER/certificate.pem"),
        ),
        (&turned, &one.key, Some("FOLDER/certificate.pem has its certificates in the wrong order")),
        (
            &chain,
            old,
            Some("the key in FOLDER/key.pem is encrypted: its format derives the key from the password by MD5"),
        ),
        (&chain, encrypted, Some("the key in FOLDER/key.pem is encrypted: give its password")),
    ];
    for (certificate, key, expected) in table {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let outcome = source(file("certificate.pem", certificate), file("key.pem", key)).check();
        let told = outcome.err().map(|error| error.to_string().replace(folder.path().to_str().unwrap(), "FOLDER"));
        match expected {
            None => assert_eq!(told, None),
            Some(beginning) => assert!(told.as_ref().is_some_and(|told| told.starts_with(beginning)), "{told:?}"),
        }
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let own = self_signed(&["a.test"]);
    let certificate = folder.path().join("certificate.pem");
    fs::write(&certificate, own.certificate).unwrap();
    for (certificate, key) in [
        (folder.path().join("none"), folder.path().join("none")),
        (folder.path().to_owned(), folder.path().to_owned()),
        (certificate, folder.path().join("none")),
    ] {
        let outcome = source(certificate.clone(), key).check();
        assert!(matches!(outcome, Err(TlsError::Unreadable(..))), "{certificate:?}: {outcome:?}");
    }
}

#[test]
fn certificates_are_made_for_names_that_can_be_in_one() {
    let names = ["a.test".to_owned(), "*.b.test".to_owned(), "::1".to_owned()];
    assert!(CertificateSource::SelfSigned(SelfSigned::new(&names).unwrap()).check().is_ok());
    assert!(matches!(SelfSigned::new(&["\u{e9}.test".to_owned()]), Err(TlsError::Refused(_))));
    for (name, can_be) in [
        ("a.test", true),
        ("*.a.test", true),
        ("xn--fsq.test", true),
        ("192.0.2.1", true),
        ("::1", true),
        ("*.192.0.2.1", false),
        ("a b", false),
        ("\u{e9}.test", false),
        ("", false),
        ("*.", false),
    ] {
        assert_eq!(check_name(name).is_ok(), can_be, "{name:?}");
    }
}
