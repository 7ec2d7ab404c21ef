//! `Iodine::Base::TLSSettings`: what an `Iodine::TLS` was told.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iodine_core::net::tls::{
    CertificateSource, Password, SelfSigned, TlsClient, TlsError, TlsServer, TlsSettings, check_name,
};
use magnus::prelude::*;
use magnus::{Error, ExceptionClass, RClass, RModule, Ruby, function, method};

use crate::class;

#[derive(Default)]
#[magnus::wrap(class = "Iodine::Base::TLSSettings", free_immediately)]
pub(crate) struct Tls {
    settings: Mutex<TlsSettings>,
    /// The client's side of it, kept because it has the sessions to resume, until the settings change.
    client: Mutex<Option<Arc<TlsClient>>>,
}

impl Tls {
    fn new() -> Self {
        Self::default()
    }

    /// One with the same settings, which go their own way from here on.
    fn copy(&self) -> Self {
        Self { settings: Mutex::new(self.settings()), client: Mutex::default() }
    }

    /// Whether a name can be in a certificate.
    fn check_name(ruby: &Ruby, _this: &Self, name: String) -> Result<(), Error> {
        check_name(&name).map_err(|error| wrong(ruby, &error))
    }

    /// Adds a certificate from files, and sees whether it can be used.
    fn add_files(
        ruby: &Ruby,
        this: &Self,
        name: Option<String>,
        certificate: PathBuf,
        key: PathBuf,
        password: Option<String>,
    ) -> Result<(), Error> {
        let password = password.map(Password);
        this.add(ruby, CertificateSource::Files { name, certificate, key, password })
    }

    /// Adds a certificate that is made for these names.
    fn add_self_signed(ruby: &Ruby, this: &Self, names: Vec<String>) -> Result<(), Error> {
        let made = SelfSigned::new(&names).map_err(|error| wrong(ruby, &error))?;
        this.add(ruby, CertificateSource::SelfSigned(made))
    }

    fn add(&self, ruby: &Ruby, source: CertificateSource) -> Result<(), Error> {
        source.check().map_err(|error| wrong(ruby, &error))?;
        self.change().certificates.push(source);
        Ok(())
    }

    /// Adds a file of authorities.
    fn add_trust(ruby: &Ruby, this: &Self, path: PathBuf) -> Result<(), Error> {
        let authorities = TlsSettings { trust: vec![path.clone()], ..TlsSettings::default() };
        authorities.check_trust().map_err(|error| wrong(ruby, &error))?;
        this.change().trust.push(path);
        Ok(())
    }

    /// Adds a name for ALPN.
    fn add_protocol(&self, name: String) {
        self.change().protocols.push(name.into_bytes());
    }

    fn has_certificate(&self) -> bool {
        !self.lock().certificates.is_empty()
    }

    fn verify(&self) -> bool {
        self.lock().verify
    }

    fn set_verify(&self, wanted: bool) {
        self.change().verify = wanted;
    }

    /// As they are now.
    pub(crate) fn settings(&self) -> TlsSettings {
        self.lock().clone()
    }

    /// The client's side.
    ///
    /// # Errors
    /// `Iodine::TLS::Error`: what is wrong with which file.
    pub(crate) fn client(&self, ruby: &Ruby) -> Result<Arc<TlsClient>, Error> {
        if let Some(client) = &*self.kept_client() {
            return Ok(Arc::clone(client));
        }
        // Without a lock, for an error is Ruby's.
        let client = TlsClient::new(self.settings()).map(Arc::new).map_err(|error| wrong(ruby, &error))?;
        Ok(Arc::clone(self.kept_client().get_or_insert(client)))
    }

    /// Reads the files of the client's side again, if there is one. A message: what is wrong with them, so that all stays
    /// as it was.
    fn reload_client(&self) -> Option<String> {
        let client = self.kept_client().clone();
        client.and_then(|client| client.reload().err()).map(|error| error.to_string())
    }

    /// For a look.
    fn lock(&self) -> MutexGuard<'_, TlsSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a change.
    fn change(&self) -> MutexGuard<'_, TlsSettings> {
        *self.kept_client() = None;
        self.lock()
    }

    fn kept_client(&self) -> MutexGuard<'_, Option<Arc<TlsClient>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's side of it.
///
/// # Errors
/// `Iodine::TLS::Error`: what is wrong with which file.
pub(crate) fn server(ruby: &Ruby, settings: TlsSettings) -> Result<Arc<TlsServer>, Error> {
    TlsServer::new(settings).map(Arc::new).map_err(|error| wrong(ruby, &error))
}

/// An `Iodine::TLS::Error`.
fn wrong(ruby: &Ruby, error: &TlsError) -> Error {
    let class = ruby
        .class_object()
        .const_get::<_, RModule>("Iodine")
        .and_then(|iodine| iodine.const_get::<_, RClass>("TLS"))
        .and_then(|tls| tls.const_get::<_, ExceptionClass>("Error"))
        .unwrap_or_else(|_| ruby.exception_arg_error());
    Error::new(class, error.to_string())
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Tls>(ruby, base, "TLSSettings")?;
    class.define_singleton_method("new", function!(Tls::new, 0))?;
    class.define_method("copy", method!(Tls::copy, 0))?;
    class.define_method("check_name", method!(Tls::check_name, 1))?;
    class.define_method("add_files", method!(Tls::add_files, 4))?;
    class.define_method("add_self_signed", method!(Tls::add_self_signed, 1))?;
    class.define_method("add_trust", method!(Tls::add_trust, 1))?;
    class.define_method("add_protocol", method!(Tls::add_protocol, 1))?;
    class.define_method("reload_client", method!(Tls::reload_client, 0))?;
    class.define_method("verify?", method!(Tls::verify, 0))?;
    class.define_method("verify=", method!(Tls::set_verify, 1))?;
    class.define_method("certificate?", method!(Tls::has_certificate, 0))
}
