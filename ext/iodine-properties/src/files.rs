use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use iodine_core::exchange::{Exchange, ResponseBody};
use iodine_core::files::{FileSettings, Files};
use iodine_proto::http1::url::decode_path;
use iodine_proto::http1::{HeadLimits, HeadReader};
use tempfile::TempDir;

use crate::input::Input;

/// Requests for paths of likely pieces, and of any bytes: what is answered is below the folder, with its links followed,
/// and is not hidden.
pub(crate) fn stay_in_their_folder(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let dotfiles = input.any();
    let home = tree();
    let public = &home.path().join("public");
    let files = Files::open(FileSettings { dotfiles, ..FileSettings::new(public.clone()) }).expect("a folder");
    let mut now = Instant::now();
    for _ in 0..50 {
        if input.is_empty() {
            break;
        }
        let mut exchange = Exchange::default();
        let request = request(&mut input);
        let Ok(Some(_)) = HeadReader::new(HeadLimits::default()).read(&request, &mut exchange.head) else { continue };
        if files.answer(&mut exchange, false, now) {
            let path = exchange.head.path();
            assert!(is_below(public, path), "{}", path.escape_ascii());
            let body = content(&exchange.response.body);
            assert!(!body.contains(&SECRET), "{}", path.escape_ascii());
            assert!(dotfiles || !body.contains(&HIDDEN), "{}", path.escape_ascii());
        }
        now += Duration::from_millis(u64::from(input.any::<u8>()) * 10);
    }
}

/// Bytes that are in no head, and in no line between the parts of a body.
const OPEN: u8 = 0xF1;
const HIDDEN: u8 = 0xF2;
const SECRET: u8 = 0xF3;

fn tree() -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let public = home.path().join("public");
    fs::create_dir_all(public.join("sub/.hid")).expect("folders");
    let write = |name: &str, byte| fs::write(home.path().join(name), [byte; 20]).expect("a file");
    write("secret", SECRET);
    for name in ["public/index.html", "public/a", "public/a.gz", "public/sub/b"] {
        write(name, OPEN);
    }
    for name in ["public/.env", "public/sub/.hid/a"] {
        write(name, HIDDEN);
    }
    let secret = home.path().join("secret");
    for (target, name) in [("sub/b", "in"), ("../secret", "out"), ("..", "up"), ("../public", "self")] {
        symlink(target, public.join(name)).expect("a link");
    }
    symlink(secret, public.join("far")).expect("a link");
    home
}

fn request(input: &mut Input<'_>) -> Vec<u8> {
    let mut request = if input.any() { b"HEAD /".to_vec() } else { b"GET /".to_vec() };
    for _ in 0..input.below(12) {
        match input.below(LIKELY.len() + 1) {
            0 => request.extend_from_slice(input.bytes()),
            number => request.extend_from_slice(LIKELY[number - 1].as_bytes()),
        }
    }
    request.extend_from_slice(b" HTTP/1.1\r\nHost: a\r\n");
    request.extend_from_slice(FIELDS[input.below(FIELDS.len())].as_bytes());
    request.extend_from_slice(b"\r\n");
    request
}

const LIKELY: &[&str] = &[
    "/",
    "..",
    ".",
    "%2e",
    "%2F",
    "%5c",
    "%00",
    "%25",
    "\\",
    "?",
    "//",
    "a",
    "a.gz",
    "sub",
    "b",
    ".hid",
    ".env",
    "secret",
    "in",
    "out",
    "up",
    "self",
    "far",
    "public",
    "index.html",
];

const FIELDS: &[&str] =
    &["", "Accept-Encoding: gzip, br\r\n", "Range: bytes=0-1,3-\r\n", "Range: bytes=-5\r\n", "If-None-Match: *\r\n"];

/// By the file system's own opinion of what the path names.
fn is_below(folder: &Path, path: &[u8]) -> bool {
    let decoded = decode_path(path).expect("a path that was answered");
    let named = folder.join(OsStr::from_bytes(decoded.strip_prefix(b"/").unwrap_or(&decoded)));
    // The temporary folder itself may be behind a link.
    let folder = folder.canonicalize().expect("the folder");
    named.canonicalize().is_ok_and(|file| file.starts_with(folder))
}

fn content(body: &ResponseBody) -> Vec<u8> {
    match body {
        ResponseBody::Sent => Vec::new(),
        ResponseBody::Shared(bytes) => bytes.to_vec(),
        ResponseBody::File { file, offset, length } => {
            let mut bytes = vec![0; usize::try_from(*length).expect("a small file")];
            file.read_exact_at(&mut bytes, *offset).expect("its content");
            bytes
        }
        ResponseBody::Parts(parts) => parts.iter().flat_map(content).collect(),
    }
}
