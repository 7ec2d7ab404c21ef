//! Files as answers: those of a public folder, which the reactor sends without asking the application, and those that an
//! application names.
//!
//! ```text
//!  request ─▶ Files::answer ─▶ resolve ─▶ Resource (cached) ─▶ Representation ─▶ Reply ─▶ Response
//!  application ─▶ sendfile ─────────────────────────────────────▲
//! ```
//!
//! [`Files`] is the folder, `resolve` makes paths of requests into open files and lets none out of the folder,
//! [`Representation`] is a file with what the head says of it, and [`Reply`] is what one request gets of it. Small files
//! are kept in memory and larger ones open, in a `cache` of bounded size, for a second without another look at the file.

mod cache;
pub mod error_page;
pub mod mime;
mod reply;
mod representation;
mod resolve;
pub mod sendfile;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iodine_proto::http1::accept_encoding::{Coding, preferred};
use iodine_proto::http1::{Head, Persistence, ResponseWriter, Version};
use iodine_proto::websocket;

use crate::date;
use crate::exchange::{Exchange, ResponseBody};
use cache::Cache;
use mime::{MimeTypes, is_fingerprinted};
use reply::Selection;
use representation::Description;
pub(crate) use representation::write_field;
use resolve::Root;

pub use reply::{Given, Reply};
pub use representation::Representation;

/// What a public folder is told.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// The folder.
    pub root: PathBuf,
    /// `Cache-Control` of its files; `None` sends none. Default `max-age=3600`.
    pub cache_control: Option<String>,
    /// `Cache-Control` of files that have a fingerprint of their content in their name; `None` treats them as all others.
    /// Default `public, max-age=31536000, immutable`.
    pub immutable: Option<String>,
    /// Whether to serve files and folders whose names begin with a dot. Default no.
    pub dotfiles: bool,
    /// Media types.
    pub mime_types: Arc<MimeTypes>,
}

impl FileSettings {
    /// The defaults, for a folder.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            cache_control: Some("max-age=3600".into()),
            immutable: Some("public, max-age=31536000, immutable".into()),
            dotfiles: false,
            mime_types: Arc::default(),
        }
    }
}

/// The files of a public folder.
#[derive(Debug)]
pub struct Files {
    settings: FileSettings,
    state: Mutex<State>,
}

struct State {
    root: Root,
    /// When the folder was opened. It is opened anew from time to time: a deployment may put another in its place.
    opened: Instant,
    /// By path as in the request.
    cache: Cache<Box<[u8]>, Entry>,
}

struct Entry {
    resource: Arc<Resource>,
    /// When the files were last looked at.
    checked: Instant,
}

/// The files that one path stands for; none of them when there is no such file.
#[derive(Debug, Default)]
struct Resource {
    plain: Option<Arc<Representation>>,
    coded: Vec<(Coding, Arc<Representation>)>,
}

impl Files {
    /// Opens the folder.
    ///
    /// # Errors
    /// When it is not there, is no folder, or may not be read.
    pub fn open(settings: FileSettings) -> io::Result<Self> {
        let root = Root::open(&settings.root)?;
        let state = State { root, opened: Instant::now(), cache: Cache::new(CACHE_BOUND) };
        Ok(Self { settings, state: Mutex::new(state) })
    }

    /// Answers a GET or HEAD for one of the files. False: it is for the application, and nothing was done.
    ///
    /// Requests for WebSockets and server-sent events always are. `closing`: no further request is read from this
    /// connection.
    pub fn answer(&self, exchange: &mut Exchange, closing: bool, now: Instant) -> bool {
        if !may_ask_for_files(&exchange.head) {
            return false;
        }
        let resource = self.find(exchange.head.path(), now);
        let Some(representation) = resource.select(&exchange.head) else { return false };
        respond(exchange, representation, closing);
        true
    }

    /// Whether [`answer`](Self::answer) would answer this request.
    pub(crate) fn is_asked_for(&self, head: &Head, now: Instant) -> bool {
        may_ask_for_files(head) && self.find(head.path(), now).select(head).is_some()
    }

    /// The page of the folder for an error of the server's own: `404.html` for 404.
    pub(crate) fn error_page(&self, status: u16, now: Instant) -> Option<Arc<Representation>> {
        self.find(format!("/{status}.html").as_bytes(), now).plain.clone()
    }

    fn find(&self, path: &[u8], now: Instant) -> Arc<Resource> {
        let mut state = self.state();
        let before = match state.cache.get(path) {
            Some(entry) if now.saturating_duration_since(entry.checked) < FRESH => return Arc::clone(&entry.resource),
            Some(entry) => Some(Arc::clone(&entry.resource)),
            None => None,
        };
        let Some(relative) = resolve::relative(path, self.settings.dotfiles) else { return Arc::default() };
        state.renew_root(&self.settings, now);
        let resource = Arc::new(self.load(&state.root, &relative, before.as_deref()).unwrap_or_else(|error| {
            log::error!("the file {:?} could not be read: {error}", String::from_utf8_lossy(&relative));
            Resource::default()
        }));
        let weight = ENTRY + path.len() + resource.weight();
        state.cache.insert(path.into(), Entry { resource: Arc::clone(&resource), checked: now }, weight);
        resource
    }

    /// Looks at the file and at those that have it in other codings. What has not changed since `before` is kept.
    fn load(&self, root: &Root, path: &[u8], before: Option<&Resource>) -> io::Result<Resource> {
        let plain = root.file(path)?;
        let mut coded = Vec::new();
        for coding in Coding::ALL {
            coded.extend(root.file(&[path, coding.extension().as_bytes()].concat())?.map(|opened| (coding, opened)));
        }
        let varies = !coded.is_empty();
        let settings = &self.settings;
        let fingerprinted = is_fingerprinted(path).then_some(settings.immutable.as_deref()).flatten();
        let description = |coding| Description {
            media_type: settings.mime_types.of(path),
            coding,
            varies,
            cache_control: fingerprinted.or(settings.cache_control.as_deref()),
        };
        let varied = before.is_some_and(|before| !before.coded.is_empty());
        let load = |coding, opened: resolve::Opened| -> io::Result<Arc<Representation>> {
            let description = description(coding);
            match before.and_then(|before| before.of(coding)) {
                Some(known) if varied == description.varies && known.is_current(&opened.metadata) => {
                    Ok(Arc::clone(known))
                }
                _ => Representation::load(opened, &description, IN_MEMORY).map(Arc::new),
            }
        };
        let plain = plain.map(|opened| load(None, opened)).transpose()?;
        let coded = coded.into_iter().map(|(coding, opened)| Ok((coding, load(Some(coding), opened)?)));
        Ok(Resource { plain, coded: coded.collect::<io::Result<_>>()? })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn renew_root(&mut self, settings: &FileSettings, now: Instant) {
        if now.saturating_duration_since(self.opened) < FRESH {
            return;
        }
        self.opened = now;
        match Root::open(&settings.root) {
            Ok(root) => self.root = root,
            // The folder we have may be a deleted one, which has no files, or the right one behind a passing fault.
            Err(error) => log::debug!("the public folder {} could not be opened: {error}", settings.root.display()),
        }
    }
}

impl Resource {
    /// What this request may have, in the coding it likes best.
    fn select(&self, head: &Head) -> Option<&Arc<Representation>> {
        if self.coded.is_empty() {
            return self.plain.as_ref();
        }
        preferred(head).find_map(|coding| self.of(Some(coding))).or(self.plain.as_ref())
    }

    fn of(&self, coding: Option<Coding>) -> Option<&Arc<Representation>> {
        match coding {
            None => self.plain.as_ref(),
            Some(coding) => self.coded.iter().find(|(other, _)| *other == coding).map(|(_, coded)| coded),
        }
    }

    fn weight(&self) -> usize {
        self.plain.iter().chain(self.coded.iter().map(|(_, coded)| coded)).map(|file| file.weight()).sum()
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.root.fmt(f)
    }
}

fn may_ask_for_files(head: &Head) -> bool {
    matches!(head.method(), b"GET" | b"HEAD")
        && !websocket::is_upgrade(head)
        && head.field("accept").is_none_or(|accept| accept != b"text/event-stream")
}

/// Writes the answer into the exchange.
fn respond(exchange: &mut Exchange, representation: &Representation, closing: bool) {
    let (head, response) = (&exchange.head, &mut exchange.response);
    response.close = closing;
    match reply::select(head, representation.length(), representation.validators()) {
        Selection::Whole => {
            response.head.extend_from_slice(representation.head());
            response.head.extend_from_slice(b"date: ");
            response.head.extend_from_slice(&date::now());
            response.head.extend_from_slice(match persistence(head, closing) {
                Persistence::Default => b"\r\n\r\n",
                Persistence::KeepAlive => b"\r\nconnection: keep-alive\r\n\r\n",
                Persistence::Close => b"\r\nconnection: close\r\n\r\n",
            });
            response.status = 200;
            response.length = if head.is_head() { 0 } else { representation.length() };
            response.body = if head.is_head() { ResponseBody::Sent } else { representation.body() };
        }
        selection => {
            let reply = Reply::of(selection, representation, head, 200, representation.media_type());
            let mut writer = ResponseWriter::new(&mut response.head, reply.status);
            reply.write_fields(&mut writer);
            writer.finish(reply.framing, persistence(head, closing), &date::now());
            response.status = reply.status;
            response.length = reply.length();
            response.body = reply.body;
        }
    }
}

/// What the answer to a request says about the connection.
pub(crate) fn persistence(head: &Head, closing: bool) -> Persistence {
    match (closing, head.version()) {
        (true, _) => Persistence::Close,
        (false, Version::Http10) => Persistence::KeepAlive,
        (false, Version::Http11) => Persistence::Default,
    }
}

/// How long what was found of a file, or that there is none, holds without another look.
const FRESH: Duration = Duration::from_secs(1);
/// Files up to this size, bytes, are kept in memory.
const IN_MEMORY: u64 = 64 << 10;
/// What the cache of a folder weighs at most, bytes. Open files are made to weigh so much that they are 256 at most.
const CACHE_BOUND: usize = 32 << 20;
/// Bytes of an entry beside key and files.
const ENTRY: usize = 256;

#[cfg(test)]
mod tests;
