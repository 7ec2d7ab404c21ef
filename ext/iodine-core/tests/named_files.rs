//! Files that an application names, and what a request is given of them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::sync::Arc;

use iodine_core::exchange::ResponseBody;
use iodine_core::files::sendfile::{self, SendFile};
use iodine_core::files::{Given, Reply, Representation};
use iodine_proto::http1::{Framing, Head, HeadLimits, HeadReader, Persistence, ResponseWriter};
use tempfile::TempDir;

fn head(method: &str, fields: &str) -> Head {
    let mut head = Head::default();
    let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    HeadReader::new(HeadLimits::default()).read(request.as_bytes(), &mut head).unwrap().unwrap();
    head
}

fn get(fields: &str) -> Head {
    head("GET", fields)
}

fn given(fields: &[(&str, &str)]) -> Given {
    let mut given = Given::default();
    fields.iter().for_each(|(name, value)| given.note(name.as_bytes(), value.as_bytes()));
    given
}

fn text(body: &ResponseBody) -> String {
    match body {
        ResponseBody::Sent => String::new(),
        ResponseBody::Shared(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ResponseBody::File { file, offset, length } => {
            let mut bytes = vec![0; *length as usize];
            file.read_exact_at(&mut bytes, *offset).unwrap();
            String::from_utf8(bytes).unwrap()
        }
        ResponseBody::Parts(parts) => parts.iter().map(text).collect(),
    }
}

/// A folder "public" with some files, and a secret beside it.
fn folder() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let public = home.path().join("public");
    fs::create_dir_all(public.join("sub/.hidden")).unwrap();
    for (name, content) in [
        ("secret.txt", "secret"),
        ("public/a.txt", "0123456789"),
        ("public/a.txt.gz", "packed"),
        ("public/sub/index.html", "index"),
        ("public/sub/.hidden/b", "hidden"),
        ("public/a b", "blank"),
    ] {
        fs::write(home.path().join(name), content).unwrap();
    }
    symlink("../secret.txt", public.join("out")).unwrap();
    home
}

fn content(found: std::io::Result<Option<Representation>>) -> Option<String> {
    let reply = Reply::new(&found.unwrap()?, &get(""), 200, &Given::default());
    Some(text(&reply.body))
}

#[test]
fn names_lead_to_files_below_the_folder_alone() {
    let home = folder();
    let public = home.path().join("public");
    let within = SendFile::within(public.clone(), Arc::default()).unwrap();
    assert!(within.redirects());
    let absolute = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let table = [
        ("a.txt".to_owned(), Some("0123456789")),
        (absolute("public/a.txt"), Some("0123456789")),
        ("sub/".to_owned(), Some("index")),
        ("sub/.hidden/b".to_owned(), Some("hidden")),
        ("a b".to_owned(), Some("blank")),
        ("a%20b".to_owned(), None),
        ("sub".to_owned(), None),
        ("none".to_owned(), None),
        ("out".to_owned(), None),
        ("../secret.txt".to_owned(), None),
        ("sub/../a.txt".to_owned(), None),
        (absolute("secret.txt"), None),
        (absolute("public/../secret.txt"), None),
        ("a.txt\0".to_owned(), None),
    ];
    for (path, expected) in table {
        let found = content(within.file(path.as_bytes(), &get(""), &Given::default()));
        assert_eq!(found.as_deref(), expected, "{path:?}");
    }
    let anywhere = SendFile::anywhere(Arc::default());
    assert!(!anywhere.redirects());
    let secret = absolute("secret.txt");
    let found = anywhere.file(secret.as_bytes(), &get(""), &Given::default());
    assert_eq!(content(found).as_deref(), Some("secret"));
    assert!(SendFile::within(home.path().join("none"), Arc::default()).is_err());
    assert!(SendFile::within(public.join("a.txt"), Arc::default()).is_err());
}

#[test]
fn redirects_are_paths_of_urls() {
    let home = folder();
    let within = SendFile::within(home.path().join("public"), Arc::default()).unwrap();
    for (location, expected) in [
        ("/a.txt", Some("0123456789")),
        ("/a.txt?v=1", Some("0123456789")),
        ("/a%20b", Some("blank")),
        ("/sub/.hidden/b", Some("hidden")),
        ("/../secret.txt", None),
        ("/%2e%2e/secret.txt", None),
        ("/out", None),
        ("a.txt", None),
        ("", None),
    ] {
        let found = within.redirect(location.as_bytes(), &get(""), &Given::default());
        assert_eq!(content(found).as_deref(), expected, "{location:?}");
    }
    let nowhere = SendFile::anywhere(Arc::default()).redirect(b"/a.txt", &get(""), &Given::default());
    assert!(nowhere.unwrap().is_none());
}

#[test]
fn a_coding_that_the_request_prefers_is_looked_for_beside_the_file() {
    let home = folder();
    let within = SendFile::within(home.path().join("public"), Arc::default()).unwrap();
    let gzip = get("Accept-Encoding: gzip\r\n");
    assert_eq!(content(within.file(b"a.txt", &gzip, &Given::default())).as_deref(), Some("packed"));
    let coded = given(&[("Content-Encoding", "br")]);
    assert_eq!(content(within.file(b"a.txt", &gzip, &coded)).as_deref(), Some("0123456789"));
    let body = sendfile::body(&home.path().join("public/a.txt"), &Default::default());
    assert_eq!(content(body).as_deref(), Some("0123456789"));
    assert_eq!(content(sendfile::body(home.path(), &Default::default())), None);
}

/// A validator of the application.
const OWN: &[(&str, &str)] = &[("ETag", "\"mine\"")];

/// The request's fields, the application's status and fields; the answer's status and body.
type Row = (&'static str, u16, &'static [(&'static str, &'static str)], u16, &'static str);

#[test]
fn requests_are_given_what_they_ask_for_of_a_file() {
    let home = folder();
    let file = sendfile::body(&home.path().join("public/a.txt"), &Default::default()).unwrap().unwrap();
    let table: &[Row] = &[
        ("", 200, &[], 200, "0123456789"),
        ("", 404, &[], 404, "0123456789"),
        ("Range: bytes=2-4\r\n", 200, &[], 206, "234"),
        ("Range: bytes=-3\r\n", 200, &[], 206, "789"),
        ("Range: bytes=10-\r\n", 200, &[], 416, "416 Range Not Satisfiable"),
        ("Range: bytes=2-4\r\n", 404, &[], 404, "0123456789"),
        ("Range: bytes=2-4\r\n", 200, &[("Content-Encoding", "gzip")], 200, "0123456789"),
        ("Range: bytes=2-4\r\n", 200, &[("content-range", "bytes 0-9/20")], 200, "0123456789"),
        ("If-None-Match: \"mine\"\r\n", 200, OWN, 304, ""),
        ("If-None-Match: \"mine\"\r\n", 200, &[], 200, "0123456789"),
        ("If-Match: \"other\"\r\n", 200, OWN, 412, "412 Precondition Failed"),
        (
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            200,
            &[("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
            304,
            "",
        ),
    ];
    for (fields, answered, own, status, body) in table {
        let reply = Reply::new(&file, &get(fields), *answered, &given(own));
        assert_eq!((reply.status, text(&reply.body).as_str()), (*status, *body), "{fields:?} {own:?}");
        assert_eq!(reply.length(), body.len() as u64, "{fields:?}");
    }
    let reply = Reply::new(&file, &head("HEAD", ""), 200, &Given::default());
    assert!(matches!(reply.framing, Framing::Head(Some(10))) && text(&reply.body).is_empty());
}

#[test]
fn fields_of_the_application_win_over_those_of_the_file() {
    let home = folder();
    let file = sendfile::body(&home.path().join("public/a.txt"), &Default::default()).unwrap().unwrap();
    let written = |reply: &Reply| {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&mut out, reply.status);
        reply.write_fields(&mut writer);
        writer.finish(reply.framing, Persistence::Default, b"Sun, 06 Nov 1994 08:49:37 GMT");
        String::from_utf8(out).unwrap()
    };
    let plain = written(&Reply::new(&file, &get(""), 200, &Given::default()));
    assert!(plain.contains("content-type: text/plain") && plain.contains("etag: "), "{plain}");
    let own = given(&[("Content-Type", "text/html"), ("ETag", "\"mine\"")]);
    let reply = Reply::new(&file, &get(""), 200, &own);
    let fields = written(&reply);
    assert!(!fields.contains("content-type") && !fields.contains("etag"), "left to the application: {fields}");
    assert!(reply.keeps(b"Content-Type") && !reply.keeps(b"Transfer-Encoding"));

    let several = Reply::new(&file, &get("Range: bytes=0-1,8-\r\n"), 200, &own);
    assert!(written(&several).contains("content-type: multipart/byteranges; boundary="));
    assert!(text(&several.body).contains("content-type: text/html\r\ncontent-range: bytes 8-9/10\r\n\r\n89"));
    assert!(!several.keeps(b"content-type") && several.keeps(b"etag"));
    let unchanged = Reply::new(&file, &get("If-None-Match: \"mine\"\r\n"), 200, &own);
    assert!(!unchanged.keeps(b"content-language") && unchanged.keeps(b"etag"));
}
