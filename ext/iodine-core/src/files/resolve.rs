//! From the path of a request to a file below the folder, and to no other.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// A folder whose files may be served.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    folder: OwnedFd,
}

/// A file that was opened.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

impl Root {
    /// Opens the folder.
    ///
    /// # Errors
    /// When it is not there, no folder, or may not be entered.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self { path, folder })
    }

    /// Opens a file by its path below the folder, as [`relative`] makes it. Symbolic links are followed as long as they
    /// stay within. `None`: there is no such regular file, or it may not be read.
    ///
    /// # Errors
    /// What has nothing to do with the file: no descriptor left, a disk that fails.
    pub(super) fn file(&self, path: &[u8]) -> io::Result<Option<Opened>> {
        regular(self.open_within(Path::new(std::ffi::OsStr::from_bytes(path))))
    }

    /// The kernel resolves the path and refuses to leave the folder, whatever others do to it meanwhile.
    #[cfg(target_os = "linux")]
    fn open_within(&self, path: &Path) -> io::Result<File> {
        use rustix::fs::ResolveFlags;
        use rustix::io::Errno;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.folder, path, OPEN, Mode::empty(), within) {
            Ok(file) => Ok(file.into()),
            // A kernel before 5.6, a sandbox that does not know the call, or a folder that is moved meanwhile. An absolute
            // link is "out of the folder" for
            // the call, even when it leads back into it.
            Err(Errno::NOSYS | Errno::PERM | Errno::XDEV | Errno::AGAIN) => self.open_checked(path),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_within(&self, path: &Path) -> io::Result<File> {
        self.open_checked(path)
    }

    /// Resolves all links first, looks whether the result is within the folder, and follows no link when it opens it.
    fn open_checked(&self, path: &Path) -> io::Result<File> {
        let target = self.path.join(path).canonicalize()?;
        let Ok(within) = target.strip_prefix(&self.path) else { return Err(io::ErrorKind::NotFound.into()) };
        let mut parts = within.iter().peekable();
        let mut folder = self.folder.try_clone()?;
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return Ok(rustix::fs::openat(&folder, part, OPEN | OFlags::NOFOLLOW, Mode::empty())?.into());
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            folder = rustix::fs::openat(&folder, part, flags, Mode::empty())?;
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Opens a regular file by any path: for who may name all files, the application.
///
/// # Errors
/// As [`Root::file`].
pub(super) fn file(path: &Path) -> io::Result<Option<Opened>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    regular(fs::OpenOptions::new().read(true).custom_flags(flags as i32).open(path))
}

/// The path below the folder that a request's path means: percent-decoded once, without the first slash, the index file
/// in place of a folder. `None`: it cannot mean a file, and is left to the application.
///
/// Refused are empty segments, `.` and `..`, an encoded slash, a backslash, NUL, and segments that begin with a dot
/// unless `dotfiles`. `/.well-known/`, which is there to be public (RFC 8615), is no hidden folder.
pub(super) fn relative(path: &[u8], dotfiles: bool) -> Option<Vec<u8>> {
    let mut decoded = decode(path.strip_prefix(b"/")?)?;
    if decoded.is_empty() || decoded.ends_with(b"/") {
        decoded.extend_from_slice(INDEX);
    }
    let mut segments = decoded.split(|byte| *byte == b'/').enumerate();
    segments
        .all(|(index, segment)| is_plain(segment, dotfiles || index == 0 && segment == WELL_KNOWN))
        .then_some(decoded)
}

/// What a path that ends in a slash means.
const INDEX: &[u8] = b"index.html";
const WELL_KNOWN: &[u8] = b".well-known";
/// A FIFO does not block, and a terminal does not become ours.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len() + INDEX.len());
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'%' {
            let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
            let decoded = (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8;
            // It would be a byte of a name, which no name can have.
            if decoded == b'/' {
                return None;
            }
            decoded
        } else {
            byte
        };
        if matches!(byte, 0 | b'\\') {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

fn is_plain(segment: &[u8], dotfiles: bool) -> bool {
    match segment {
        b"" | b"." | b".." => false,
        [b'.', ..] => dotfiles,
        _ => true,
    }
}

fn regular(opened: io::Result<File>) -> io::Result<Option<Opened>> {
    let file = match opened {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some(Opened { file, metadata }))
}

/// For whoever asks, a file that may not be read is not there. Nor is a socket or a device without a driver (ENXIO).
fn is_absence(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let absences = [
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::ACCESS,
        Errno::PERM,
        Errno::LOOP,
        Errno::NAMETOOLONG,
        Errno::XDEV,
        Errno::NXIO,
        Errno::NODEV,
        Errno::INVAL,
        Errno::ILSEQ,
        Errno::AGAIN,
    ];
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput)
        || absences.iter().any(|errno| Some(errno.raw_os_error()) == error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_are_decoded_once_and_stay_below() {
        let table: &[(&str, Option<&str>)] = &[
            ("/", Some("index.html")),
            ("/a.txt", Some("a.txt")),
            ("/a/b/", Some("a/b/index.html")),
            ("/a%20b+c", Some("a b+c")),
            ("/%61.txt", Some("a.txt")),
            ("/%2561", Some("%61")),
            ("/a..b/...x", None),
            ("/a..b", Some("a..b")),
            ("/.well-known/acme-challenge/x", Some(".well-known/acme-challenge/x")),
            ("/.well-known/.secret", None),
            ("/a/.well-known/x", None),
            ("/.env", None),
            ("/a/.git/config", None),
            ("/%2eenv", None),
            ("/..", None),
            ("/../a", None),
            ("/a/../b", None),
            ("/a/..", None),
            ("/./a", None),
            ("/%2e%2e/a", None),
            ("/%2E./a", None),
            ("/..%2fa", None),
            ("/a%2fb", None),
            ("/a%2Fb", None),
            ("//a", None),
            ("/a//b", None),
            ("/a//", None),
            ("/a%00", None),
            ("/a\\b", None),
            ("/a%5cb", None),
            ("/..\\a", None),
            ("/%", None),
            ("/%4", None),
            ("/%zz", None),
            ("a", None),
            ("*", None),
            ("", None),
        ];
        for (path, expected) in table {
            let found = relative(path.as_bytes(), false).map(|path| String::from_utf8(path).unwrap());
            assert_eq!(found.as_deref(), *expected, "{path:?}");
        }
        for path in ["/..", "/../a", "/a/../b", "/./a", "/%2e%2e/a"] {
            assert_eq!(relative(path.as_bytes(), true), None, "{path:?} with dot files");
        }
        assert_eq!(relative(b"/a/.git", true).as_deref(), Some(&b"a/.git"[..]));
    }

    fn content(opened: io::Result<Option<Opened>>) -> Option<String> {
        let mut text = String::new();
        opened.unwrap()?.file.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn opens_regular_files_within_the_folder_alone() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = outside.path().join("public");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("a"), "A").unwrap();
        fs::write(folder.join("sub/b"), "B").unwrap();
        symlink("sub/b", folder.join("inner")).unwrap();
        symlink("../a", folder.join("sub/up")).unwrap();
        symlink(folder.join("sub/b"), folder.join("absolute")).unwrap();
        symlink("../secret", folder.join("outer")).unwrap();
        symlink(outside.path().join("secret"), folder.join("outer-absolute")).unwrap();
        symlink("..", folder.join("parent")).unwrap();
        symlink("loop", folder.join("loop")).unwrap();
        symlink("/proc/self/fd/0", folder.join("magic")).unwrap();
        symlink("/dev/zero", folder.join("device")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, folder.join("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();

        let root = Root::open(&folder).unwrap();
        let table = [
            ("a", Some("A")),
            ("sub/b", Some("B")),
            ("inner", Some("B")),
            ("sub/up", Some("A")),
            ("absolute", Some("B")),
            ("outer", None),
            ("outer-absolute", None),
            ("parent/secret", None),
            ("loop", None),
            ("magic", None),
            ("device", None),
            ("fifo", None),
            ("socket", None),
            ("sub", None),
            ("none", None),
            ("a/b", None),
        ];
        for (path, expected) in table {
            assert_eq!(content(root.file(path.as_bytes())).as_deref(), expected, "{path}");
            let checked = regular(root.open_checked(Path::new(path)));
            assert_eq!(content(checked).as_deref(), expected, "{path}, resolved by hand");
        }
        assert_eq!(content(root.file(&[b'x'; 300])), None, "a name that is too long");
        assert_eq!(content(root.file(&b"x/".repeat(3000))), None, "a path that is too long");
    }

    #[test]
    fn any_regular_file_for_the_application() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "A").unwrap();
        assert_eq!(content(file(&folder.path().join("a"))).as_deref(), Some("A"));
        assert_eq!(content(file(folder.path())), None);
        assert_eq!(content(file(Path::new("/dev/zero"))), None);
        assert_eq!(content(file(Path::new("a\0b"))), None);
    }

    #[test]
    fn the_root_must_be_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        assert!(Root::open(&folder.path().join("a")).is_err());
        assert!(Root::open(&folder.path().join("none")).is_err());
    }
}
