//! Headers by which an application has the server send a file.

use std::fmt;
use std::io;
use std::sync::Once;

use iodine_core::files::sendfile::SendFile;
use iodine_core::files::{Given, Representation};
use iodine_core::settings::HttpSettings;
use iodine_proto::http1::Head;

/// A file that a header names, in the place of the body.
pub(super) enum Named {
    /// `X-Sendfile`: a path.
    File(Vec<u8>),
    /// `X-Accel-Redirect`: a path as in a URL, below the folder for it.
    Location(Vec<u8>),
    /// More than one. A line end in a path makes two values of it, the second by the choice of who has named the path.
    Several,
}

impl Named {
    /// Whether a field of this name may be for the server.
    pub(super) fn is_name(name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(b"x-sendfile") || name.eq_ignore_ascii_case(b"x-accel-redirect")
    }

    /// Whether this field is for the server. X-Sendfile always is: a client must not see the path.
    pub(super) fn of(name: &[u8], value: &[u8], settings: &HttpSettings) -> Option<Self> {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"x-sendfile") => {
                if settings.sendfile.is_none() {
                    warn_of_lost_file();
                }
                Some(Self::File(value.to_vec()))
            }
            16 if name.eq_ignore_ascii_case(b"x-accel-redirect") => {
                let redirects = settings.sendfile.as_ref().is_some_and(|sendfile| sendfile.redirects());
                redirects.then(|| Self::Location(value.to_vec()))
            }
            _ => None,
        }
    }

    /// This one, behind what was named before.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        if before.is_some() { Self::Several } else { self }
    }

    /// The file.
    ///
    /// # Errors
    /// When no descriptor is left, or the disk fails.
    pub(super) fn find(&self, sendfile: &SendFile, head: &Head, given: &Given) -> io::Result<Option<Representation>> {
        match self {
            Self::File(path) => sendfile.file(path, head, given),
            Self::Location(location) => sendfile.redirect(location, head, given),
            Self::Several => Ok(None),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::File(path) => ("X-Sendfile", path),
            Self::Location(location) => ("X-Accel-Redirect", location),
            Self::Several => return f.write_str("X-Sendfile or X-Accel-Redirect with several paths"),
        };
        write!(f, "{name} {}", value.escape_ascii())
    }
}

fn warn_of_lost_file() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        log::warn!(
            "the application has set X-Sendfile, which has no effect without a public folder or sendfile_root: the \
             header was left out, and the body sent instead"
        );
    });
}
