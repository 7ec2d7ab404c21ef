//! `Iodine::Base::Attachment`: a descriptor of the application, on its way to a reactor.

use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use iodine_core::client::{Client, Protocol};
use iodine_core::handle::Handle;
use iodine_core::net::descriptor::Descriptor;
use iodine_core::settings::WriteLimits;
use magnus::prelude::*;
use magnus::{Error, RModule, Ruby, Value, function, method};

use crate::class;
use crate::connection::{self, Handler};

/// Holds a copy of the descriptor, so that the application may close its own.
#[magnus::wrap(class = "Iodine::Base::Attachment", free_immediately)]
pub(crate) struct Attachment(Mutex<Option<Descriptor>>);

impl Attachment {
    fn new(ruby: &Ruby, number: i32) -> Result<Self, Error> {
        let refused = |reason: String| Error::new(ruby.exception_io_error(), reason);
        if number < 0 {
            return Err(refused("invalid fd.".to_owned()));
        }
        // SAFETY: the number is not -1, and is asked for a copy alone, here and now; one that is not open gives an error.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, 0).map_err(|error| match error {
            rustix::io::Errno::BADF => refused("invalid fd.".to_owned()),
            error => refused(format!("the fd cannot be copied: {error}")),
        })?;
        let descriptor = Descriptor::new(copy)
            .map_err(|error| refused(format!("the fd cannot be waited for, as a socket or a pipe can: {error}")))?;
        Ok(Self(Mutex::new(Some(descriptor))))
    }

    /// Gives it to a reactor. `on_open` of the handler is called before this returns.
    ///
    /// # Errors
    /// What `respond_to?` of the handler raises; when Ruby ends the thread.
    pub(crate) fn attach(&self, ruby: &Ruby, handle: &Handle, handler: Value) -> Result<(), Error> {
        let handler = Handler::new(handler)?;
        let Some(descriptor) = self.take() else { return Ok(()) };
        let client = Client::new(handle.clone(), Protocol::Raw, Duration::ZERO, None);
        let attached = client.clone();
        connection::attach(ruby, &client, handler, || handle.attach(descriptor, attached, WriteLimits::default()))
    }

    /// Closes it.
    fn forget(&self) {
        self.take();
    }

    fn take(&self) -> Option<Descriptor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<Attachment>(ruby, base, "Attachment")?;
    class.define_singleton_method("new", function!(Attachment::new, 1))?;
    class.define_method("forget", method!(Attachment::forget, 0))
}
