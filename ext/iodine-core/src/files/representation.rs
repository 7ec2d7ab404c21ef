//! One file, ready to be sent.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use iodine_proto::http1::accept_encoding::Coding;
use iodine_proto::http1::conditional::Validators;
use iodine_proto::http1::date::imf_fixdate;
use iodine_proto::http1::range::ByteRange;
use iodine_proto::http1::{Framing, Persistence, ResponseWriter};

use super::resolve::Opened;
use crate::exchange::ResponseBody;

/// Content, and what the response head says about it.
#[derive(Debug)]
pub struct Representation {
    content: Content,
    stamp: Stamp,
    /// The file was old enough, when it was read, for its stamp to tell each later change.
    settled: bool,
    length: u64,
    etag: String,
    modified: u64,
    media_type: String,
    /// All fields but the media type.
    fields: Vec<(&'static str, String)>,
    /// The head of a response 200 up to the date, which differs from one to the next.
    head: Vec<u8>,
}

/// What is known of a file before it is opened.
pub(super) struct Description<'a> {
    pub(super) media_type: &'a str,
    pub(super) coding: Option<Coding>,
    /// Other representations of the same resource come in other codings.
    pub(super) varies: bool,
    pub(super) cache_control: Option<&'a str>,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    Disk(Arc<File>),
}

/// By which a changed or replaced file is told from what was read of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Representation {
    /// Reads a file of at most `memory` bytes, and keeps a larger one open.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn load(opened: Opened, description: &Description<'_>, memory: u64) -> io::Result<Self> {
        let Opened { file, metadata } = opened;
        let stamp = Stamp::of(&metadata);
        let (content, length) = if stamp.size <= memory {
            let bytes = read(&file, stamp.size as usize)?;
            let length = bytes.len() as u64;
            (Content::Memory(bytes), length)
        } else {
            (Content::Disk(Arc::new(file)), stamp.size)
        };
        let modified = u64::try_from(stamp.modified.0).unwrap_or(0);
        let etag = etag(stamp, length, description.coding);
        let mut fields = vec![("last-modified", date(modified)), ("etag", etag.clone())];
        let mut add = |name, value: Option<&str>| fields.extend(value.map(|value| (name, value.to_owned())));
        add("cache-control", description.cache_control);
        add("content-encoding", description.coding.map(Coding::name));
        add("vary", description.varies.then_some("accept-encoding"));
        add("accept-ranges", Some("bytes"));
        let settled = stamp.modified.0.saturating_add(SETTLED) < now();
        let mut representation = Self {
            content,
            stamp,
            settled,
            length,
            etag,
            modified,
            media_type: description.media_type.to_owned(),
            fields,
            head: Vec::new(),
        };
        representation.head = representation.prepared_head();
        Ok(representation)
    }

    /// Whether it is still what was read from the file of that stamp.
    pub(super) fn is_current(&self, metadata: &Metadata) -> bool {
        self.settled && self.stamp == Stamp::of(metadata)
    }

    /// Bytes of the content.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn media_type(&self) -> &str {
        &self.media_type
    }

    /// All fields but the media type.
    pub(super) fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }

    /// The head of a response 200 without date, persistence and the empty line at its end.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(super) fn validators(&self) -> Validators<'_> {
        Validators { etag: Some(self.etag.as_bytes()), modified: Some(self.modified) }
    }

    pub(super) fn body(&self) -> ResponseBody {
        self.part(ByteRange { first: 0, end: self.length })
    }

    pub(super) fn part(&self, range: ByteRange) -> ResponseBody {
        match &self.content {
            Content::Memory(bytes) => ResponseBody::Shared(bytes.slice(range.first as usize..range.end as usize)),
            Content::Disk(file) => {
                ResponseBody::File { file: Arc::clone(file), offset: range.first, length: range.length() }
            }
        }
    }

    /// What it costs to keep.
    pub(super) fn weight(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => OVERHEAD + bytes.len(),
            Content::Disk(_) => OPEN_FILE,
        }
    }

    fn prepared_head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        let mut writer = ResponseWriter::new(&mut head, 200);
        write_field(&mut writer, "content-type", &self.media_type);
        for (name, value) in &self.fields {
            write_field(&mut writer, name, value);
        }
        writer.finish(Framing::Length(self.length), Persistence::Default, &imf_fixdate(0));
        // The date line is written anew for each response: take it out, and the empty line.
        let date = b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        if let Some(at) = memchr::memmem::find(&head, date) {
            head.drain(at..at + date.len());
        }
        head.truncate(head.len() - 2);
        head
    }
}

/// Writes a field whose value is known to be one: those of files are made here or were checked as settings.
pub(crate) fn write_field(writer: &mut ResponseWriter<'_>, name: &str, value: &str) {
    if let Err(error) = writer.field(name.as_bytes(), value.as_bytes()) {
        log::error!("the field {name} was left out: {error}");
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Seconds after which a change of a file shows in its time: a file system counts in ticks, and two changes within one
/// look like one.
const SETTLED: i64 = 2;
/// Bytes of an entry beside the content.
const OVERHEAD: usize = 1 << 10;
/// An open file takes a descriptor, which is dearer than memory: see `CACHE_BOUND`.
const OPEN_FILE: usize = 128 << 10;

/// Reads a file from its start: `size` bytes, or as many as there are.
fn read(file: &File, size: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; size];
    let mut length = 0;
    while length < size {
        match file.read_at(&mut bytes[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes.into())
}

/// The same on every machine that has the file with the same time, and after every restart.
fn etag(stamp: Stamp, length: u64, coding: Option<Coding>) -> String {
    let (seconds, nanoseconds) = stamp.modified;
    let coding = coding.map_or("", Coding::extension).replace('.', "-");
    format!("\"{seconds:x}.{nanoseconds:x}-{length:x}{coding}\"")
}

fn date(seconds: u64) -> String {
    String::from_utf8_lossy(&imf_fixdate(seconds)).into_owned()
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
