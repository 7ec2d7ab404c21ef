//! The folder as a whole: what a request is answered, byte by byte.

use std::fs;
use std::path::Path;

use iodine_proto::http1::{HeadLimits, HeadReader};
use tempfile::TempDir;

use super::*;

struct Folder {
    folder: TempDir,
    files: Files,
    now: Instant,
}

struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Folder {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut FileSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = FileSettings::new(folder.path().to_path_buf());
        change(&mut settings);
        Self { files: Files::open(settings).unwrap(), folder, now: Instant::now() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), content).unwrap();
        self
    }

    /// Writes a file as if it had been there for long.
    fn settle(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        self.write(name, content);
        set_time(&self.path(name), 784_111_777);
        self
    }

    fn ask(&self, request: &str) -> Option<Answer> {
        let mut exchange = Exchange::default();
        let text = format!("{request}\r\n\r\n");
        HeadReader::new(HeadLimits::default()).read(text.as_bytes(), &mut exchange.head).unwrap().unwrap();
        let closing = !exchange.head.keep_alive();
        if !self.files.answer(&mut exchange, closing, self.now) {
            return None;
        }
        let head = String::from_utf8(std::mem::take(&mut exchange.response.head)).unwrap();
        Some(Answer { head, body: bytes(std::mem::take(&mut exchange.response.body)) })
    }

    fn get(&self, path: &str, fields: &str) -> Option<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: a{}{fields}", if fields.is_empty() { "" } else { "\r\n" }))
    }
}

impl Answer {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

fn bytes(body: ResponseBody) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    match body {
        ResponseBody::Sent => Vec::new(),
        ResponseBody::Shared(bytes) => bytes.to_vec(),
        ResponseBody::File { file, offset, length } => {
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, offset).unwrap();
            bytes
        }
        ResponseBody::Parts(parts) => parts.into_iter().flat_map(bytes).collect(),
    }
}

fn set_time(path: &Path, seconds: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

#[test]
fn a_whole_file() {
    let folder = Folder::new();
    let answer = folder.settle("a.css", "a {}").get("/a.css?v=1", "").unwrap();
    let date = answer.field("date").unwrap();
    assert_eq!(
        answer.head,
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/css\r\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             etag: \"2ebc98a1.0-4\"\r\ncache-control: max-age=3600\r\naccept-ranges: bytes\r\ncontent-length: 4\r\n\
             date: {date}\r\n\r\n"
        )
    );
    assert_eq!(answer.text(), "a {}");
}

#[test]
fn large_files_are_not_read() {
    let folder = Folder::new();
    let content = vec![b'x'; IN_MEMORY as usize + 1];
    folder.write("large", &content);
    assert_eq!(folder.get("/large", "").unwrap().body, content);
    let resource = folder.files.find(b"/large", folder.now);
    assert!(matches!(resource.plain.as_ref().unwrap().body(), ResponseBody::File { .. }));
}

#[test]
fn head_has_no_body_and_the_length() {
    let folder = Folder::new();
    let answer = folder.write("a", "12345").ask("HEAD /a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1").unwrap();
    assert_eq!((answer.status(), answer.field("content-length"), answer.text()), (200, Some("5"), ""));
}

#[test]
fn persistence_is_that_of_the_request() {
    let folder = Folder::new();
    folder.write("a", "A");
    let connection = |request: &str| folder.ask(request).unwrap().field("connection").map(str::to_owned);
    assert_eq!(connection("GET /a HTTP/1.1\r\nHost: a"), None);
    assert_eq!(connection("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close").as_deref(), Some("close"));
    assert_eq!(connection("GET /a HTTP/1.0").as_deref(), Some("close"));
    assert_eq!(connection("GET /a HTTP/1.0\r\nConnection: keep-alive").as_deref(), Some("keep-alive"));
}

#[test]
fn the_application_is_asked_for_all_else() {
    let folder = Folder::new();
    folder.write("a", "A").write("sub.txt", "").write(".env", "");
    fs::create_dir(folder.path("sub")).unwrap();
    for request in [
        "POST /a HTTP/1.1\r\nHost: a",
        "PUT /a HTTP/1.1\r\nHost: a",
        "DELETE /a HTTP/1.1\r\nHost: a",
        "OPTIONS /a HTTP/1.1\r\nHost: a",
        "OPTIONS * HTTP/1.1\r\nHost: a",
        "get /a HTTP/1.1\r\nHost: a",
        "GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket",
        "GET /a HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream",
        "GET / HTTP/1.1\r\nHost: a",
        "GET /none HTTP/1.1\r\nHost: a",
        "GET /sub HTTP/1.1\r\nHost: a",
        "GET /sub/ HTTP/1.1\r\nHost: a",
        "GET /a/ HTTP/1.1\r\nHost: a",
        "GET /.env HTTP/1.1\r\nHost: a",
    ] {
        assert!(folder.ask(request).is_none(), "{request}");
    }
    assert!(folder.ask("GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c").is_some());
}

#[test]
fn index_files() {
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    folder.write("index.html", "top").write("sub/index.html", "sub");
    assert_eq!(folder.get("/", "").unwrap().text(), "top");
    assert_eq!(folder.get("/sub/", "").unwrap().text(), "sub");
    assert!(folder.get("/sub", "").is_none());
}

#[test]
fn settings() {
    let folder = Folder::with(|settings| {
        settings.cache_control = None;
        settings.immutable = Some("immutable".into());
        settings.dotfiles = true;
        let mut types = MimeTypes::default();
        types.add("tpl", "text/x-template").unwrap();
        settings.mime_types = Arc::new(types);
    });
    folder.write("a.tpl", "").write("app-0a1b2c3d.js", "").write(".env", "secret");
    let answer = folder.get("/a.tpl", "").unwrap();
    assert_eq!((answer.field("content-type"), answer.field("cache-control")), (Some("text/x-template"), None));
    assert_eq!(folder.get("/app-0a1b2c3d.js", "").unwrap().field("cache-control"), Some("immutable"));
    assert_eq!(folder.get("/.env", "").unwrap().text(), "secret");
}

#[test]
fn codings() {
    let folder = Folder::new();
    folder.write("a.js", "plain").write("a.js.gz", "gzip").write("a.js.br", "brotli").write("only.js.gz", "only");
    for (accepted, text, coding) in [
        ("", "plain", None),
        ("Accept-Encoding: gzip", "gzip", Some("gzip")),
        ("Accept-Encoding: gzip, br", "brotli", Some("br")),
        ("Accept-Encoding: gzip, br;q=0.5", "gzip", Some("gzip")),
        ("Accept-Encoding: zstd", "plain", None),
        ("Accept-Encoding: gzip;q=0", "plain", None),
    ] {
        let answer = folder.get("/a.js", accepted).unwrap();
        assert_eq!((answer.text(), answer.field("content-encoding")), (text, coding), "{accepted}");
        assert_eq!(answer.field("vary"), Some("accept-encoding"), "{accepted}");
        assert_eq!(answer.field("content-type"), Some("text/javascript"), "{accepted}");
    }
    let tags: Vec<_> = ["", "Accept-Encoding: gzip", "Accept-Encoding: br"]
        .map(|accepted| folder.get("/a.js", accepted).unwrap().field("etag").unwrap().to_owned())
        .into();
    assert!(tags[0] != tags[1] && tags[1] != tags[2], "{tags:?}");
    assert_eq!(folder.get("/only.js", "Accept-Encoding: gzip").unwrap().text(), "only");
    assert!(folder.get("/only.js", "").is_none());
    assert_eq!(folder.get("/a.js.gz", "").unwrap().field("content-type"), Some("application/gzip"));
}

#[test]
fn preconditions() {
    let folder = Folder::new();
    folder.settle("a", "A");
    let etag = folder.get("/a", "").unwrap().field("etag").unwrap().to_owned();
    let answer = folder.get("/a", &format!("If-None-Match: {etag}")).unwrap();
    assert_eq!((answer.status(), answer.text(), answer.field("content-length")), (304, "", None));
    assert_eq!(answer.field("etag"), Some(&etag[..]));
    assert_eq!(answer.field("cache-control"), Some("max-age=3600"));
    assert_eq!(answer.field("content-type"), None);
    let since = "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(folder.get("/a", since).unwrap().status(), 304);
    let answer = folder.get("/a", "If-Match: \"other\"").unwrap();
    assert_eq!((answer.status(), answer.text()), (412, "412 Precondition Failed"));
}

#[test]
fn ranges() {
    let folder = Folder::new();
    for (name, length) in [("small", 100), ("large", IN_MEMORY as usize + 100)] {
        let content: Vec<u8> = (0..length).map(|index| b'a' + (index % 26) as u8).collect();
        folder.settle(name, &content);
        let path = format!("/{name}");
        let answer = folder.get(&path, "Range: bytes=10-19").unwrap();
        assert_eq!((answer.status(), &answer.body[..]), (206, &content[10..20]));
        assert_eq!(answer.field("content-range"), Some(&format!("bytes 10-19/{length}")[..]));
        assert_eq!(answer.field("content-length"), Some("10"));

        let answer = folder.get(&path, "Range: bytes=0-1,-2").unwrap();
        let media_type = answer.field("content-type").unwrap();
        let boundary = media_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |first: usize, end: usize| {
            let content = str::from_utf8(&content[first..end]).unwrap();
            let last = end - 1;
            format!(
                "--{boundary}\r\ncontent-type: application/octet-stream\r\n\
                 content-range: bytes {first}-{last}/{length}\r\n\r\n{content}\r\n"
            )
        };
        assert_eq!(answer.text(), format!("{}{}--{boundary}--\r\n", part(0, 2), part(length - 2, length)));
        assert_eq!(answer.field("content-length"), Some(&answer.body.len().to_string()[..]));

        let answer = folder.get(&path, "Range: bytes=99999999-").unwrap();
        assert_eq!((answer.status(), answer.field("content-range")), (416, Some(&format!("bytes */{length}")[..])));

        let etag = folder.get(&path, "").unwrap().field("etag").unwrap().to_owned();
        let status =
            |if_range: &str| folder.get(&path, &format!("Range: bytes=0-1\r\nIf-Range: {if_range}")).unwrap().status();
        assert_eq!(status(&etag), 206);
        assert_eq!(status("\"other\""), 200);
        assert_eq!(status("Sun, 06 Nov 1994 08:49:37 GMT"), 206);
        assert_eq!(status("Sun, 06 Nov 1994 08:49:36 GMT"), 200);
    }
}

#[test]
fn a_changed_file_is_seen_within_a_moment() {
    let mut folder = Folder::new();
    folder.settle("a", "one");
    assert_eq!(folder.get("/a", "").unwrap().text(), "one");
    assert!(folder.get("/b", "").is_none());
    folder.settle("b", "new");
    // The same size at the same time: only the moment of the change tells.
    folder.settle("a", "two");
    assert_eq!(folder.get("/a", "").unwrap().text(), "one", "no look at the file yet");
    assert!(folder.get("/b", "").is_none());
    folder.now += FRESH;
    assert_eq!(folder.get("/a", "").unwrap().text(), "two");
    assert_eq!(folder.get("/b", "").unwrap().text(), "new");
    fs::remove_file(folder.path("a")).unwrap();
    folder.now += FRESH;
    assert!(folder.get("/a", "").is_none());
}

#[test]
fn what_has_not_changed_is_kept() {
    let mut folder = Folder::new();
    folder.settle("a", "A");
    let before = folder.files.find(b"/a", folder.now);
    folder.now += FRESH;
    let after = folder.files.find(b"/a", folder.now);
    assert!(Arc::ptr_eq(before.plain.as_ref().unwrap(), after.plain.as_ref().unwrap()));
}

#[test]
fn a_folder_that_is_replaced_is_found_again() {
    let parent = tempfile::tempdir().unwrap();
    let link = parent.path().join("public");
    for release in ["one", "two"] {
        fs::create_dir(parent.path().join(release)).unwrap();
        fs::write(parent.path().join(release).join("a"), release).unwrap();
    }
    std::os::unix::fs::symlink("one", &link).unwrap();
    let files = Files::open(FileSettings::new(link.clone())).unwrap();
    let mut now = Instant::now();
    let text = |now| bytes(files.find(b"/a", now).plain.as_ref().unwrap().body());
    assert_eq!(text(now), b"one");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("two", &link).unwrap();
    now += FRESH;
    assert_eq!(text(now), b"two");
}

#[test]
fn error_pages() {
    let folder = Folder::new();
    folder.write("404.html", "lost");
    let write = |status, request: &str, closing| {
        let mut exchange = Exchange::default();
        let text = format!("{request} / HTTP/1.1\r\nHost: a\r\n\r\n");
        HeadReader::new(HeadLimits::default()).read(text.as_bytes(), &mut exchange.head).unwrap().unwrap();
        let head = Some(&exchange.head);
        error_page::write(&mut exchange.response, status, head, closing, Some(&folder.files), folder.now);
        let head = String::from_utf8(std::mem::take(&mut exchange.response.head)).unwrap();
        Answer { head, body: bytes(std::mem::take(&mut exchange.response.body)) }
    };
    let answer = write(404, "PUT", false);
    assert_eq!((answer.status(), answer.text(), answer.field("content-type")), (404, "lost", Some("text/html")));
    assert_eq!((answer.field("etag"), answer.field("connection")), (None, None));
    let answer = write(404, "HEAD", true);
    assert_eq!(
        (answer.text(), answer.field("content-length"), answer.field("connection")),
        ("", Some("4"), Some("close"))
    );
    let answer = write(500, "GET", false);
    assert_eq!((answer.text(), answer.field("content-type")), ("500 Internal Server Error", Some("text/plain")));
}
