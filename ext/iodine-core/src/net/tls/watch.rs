//! Whether files have changed since they were read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{CertificateSource, TlsSettings};

/// The files of a configuration.
///
/// Whoever replaces a certificate and its key does one after the other, so a change counts when the files look the same
/// at two looks in a row.
pub(super) struct Watch {
    paths: Vec<PathBuf>,
    /// What they looked like when they were read.
    read: Vec<Look>,
    /// What they looked like the last time.
    seen: Vec<Look>,
}

/// Where a file is, its size, and when it was changed. `None`: it is not there.
type Look = Option<[i64; 5]>;

impl Watch {
    /// The files of these settings, which are about to be read.
    pub(super) fn new(settings: &TlsSettings) -> Self {
        let of_certificates = settings.certificates.iter().flat_map(|source| match source {
            CertificateSource::Files { certificate, key, .. } => vec![certificate.clone(), key.clone()],
            CertificateSource::SelfSigned(_) => Vec::new(),
        });
        let paths: Vec<_> = of_certificates.chain(settings.trust.iter().cloned()).collect();
        let looks = look(&paths);
        Self { paths, read: looks.clone(), seen: looks }
    }

    /// They are about to be read again.
    pub(super) fn renew(&mut self) {
        self.seen = look(&self.paths);
        self.read.clone_from(&self.seen);
    }

    /// Looks at them, and says whether they have changed since they were read, and not since the last look.
    pub(super) fn has_changed(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, look(&self.paths));
        self.seen == before && self.seen != self.read
    }
}

fn look(paths: &[PathBuf]) -> Vec<Look> {
    let one = |path| {
        // Of what a link leads to: that is what is read.
        let data = fs::metadata(path).ok()?;
        Some([
            data.dev().cast_signed(),
            data.ino().cast_signed(),
            data.size().cast_signed(),
            data.ctime(),
            data.ctime_nsec(),
        ])
    };
    paths.iter().map(one).collect()
}
