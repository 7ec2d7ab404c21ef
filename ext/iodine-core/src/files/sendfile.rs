//! Files that an application names in a response: `X-Sendfile`, `X-Accel-Redirect`, and bodies with a path.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use iodine_proto::http1::Head;
use iodine_proto::http1::accept_encoding::preferred;

use super::mime::MimeTypes;
use super::representation::Description;
use super::resolve::{self, Opened, Root};
use super::{Given, Representation};

/// Where the files are that an application may name.
#[derive(Debug)]
pub struct SendFile {
    root: Option<(PathBuf, Root)>,
    mime_types: Arc<MimeTypes>,
}

impl SendFile {
    /// Lets the application name any file of the machine.
    pub fn anywhere(mime_types: Arc<MimeTypes>) -> Self {
        Self { root: None, mime_types }
    }

    /// Lets the application name files below a folder.
    ///
    /// # Errors
    /// When it is not there, is no folder, or may not be read.
    pub fn within(root: PathBuf, mime_types: Arc<MimeTypes>) -> io::Result<Self> {
        let opened = Root::open(&root)?;
        Ok(Self { root: Some((root, opened)), mime_types })
    }

    /// Whether `X-Accel-Redirect` has a meaning: its paths begin at the folder.
    pub fn redirects(&self) -> bool {
        self.root.is_some()
    }

    /// The file of an `X-Sendfile`: a path, not encoded, absolute or relative to the folder, or without one to the
    /// working directory of the process. A path that ends in a slash means its `index.html`. In a coding that the request
    /// prefers, when such a file is beside it.
    ///
    /// # Errors
    /// When no descriptor is left, or the disk fails.
    pub fn file(&self, path: &[u8], head: &Head, given: &Given) -> io::Result<Option<Representation>> {
        let mut path = path.to_vec();
        if path.ends_with(b"/") {
            path.extend_from_slice(b"index.html");
        }
        self.represent(&path, head, given, |path| {
            let path = Path::new(OsStr::from_bytes(path));
            let Some((folder, root)) = &self.root else { return resolve::file(path) };
            let below = if path.is_absolute() { path.strip_prefix(folder).ok() } else { Some(path) };
            match below.filter(|path| path.components().all(|part| matches!(part, Component::Normal(_)))) {
                Some(path) => root.file(path.as_os_str().as_bytes()),
                None => Ok(None),
            }
        })
    }

    /// The file of an `X-Accel-Redirect`: a path as in a URL, percent-encoded, which begins at the folder.
    ///
    /// # Errors
    /// When no descriptor is left, or the disk fails.
    pub fn redirect(&self, location: &[u8], head: &Head, given: &Given) -> io::Result<Option<Representation>> {
        let path = location.split(|byte| *byte == b'?').next().unwrap_or(location);
        let (Some((_, root)), Some(path)) = (&self.root, resolve::relative(path, true)) else { return Ok(None) };
        self.represent(&path, head, given, |path| root.file(path))
    }

    fn represent(
        &self,
        path: &[u8],
        head: &Head,
        given: &Given,
        open: impl Fn(&[u8]) -> io::Result<Option<Opened>>,
    ) -> io::Result<Option<Representation>> {
        let media_type = self.mime_types.of(path);
        for coding in preferred(head).filter(|_| !given.has_coding()) {
            if let Some(opened) = open(&[path, coding.extension().as_bytes()].concat())? {
                let description = Description { media_type, coding: Some(coding), varies: true, cache_control: None };
                return Representation::load(opened, &description, 0).map(Some);
            }
        }
        open(path)?.map(|opened| load_plain(opened, media_type)).transpose()
    }
}

/// The file of a body that has a path, unless that is no regular file.
///
/// # Errors
/// When no descriptor is left, or the disk fails.
pub fn body(path: &Path, mime_types: &MimeTypes) -> io::Result<Option<Representation>> {
    let media_type = mime_types.of(path.as_os_str().as_bytes());
    resolve::file(path)?.map(|opened| load_plain(opened, media_type)).transpose()
}

fn load_plain(opened: Opened, media_type: &str) -> io::Result<Representation> {
    let description = Description { media_type, coding: None, varies: false, cache_control: None };
    Representation::load(opened, &description, 0)
}
