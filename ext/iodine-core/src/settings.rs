//! What a listener was told, after checks and defaults.

use std::sync::Arc;
use std::time::Duration;

use iodine_proto::http1::HeadLimits;
use iodine_proto::websocket::DeflateSettings;

use crate::access_log::LogFormat;
use crate::files::Files;
use crate::files::mime::MimeTypes;
use crate::files::sendfile::SendFile;

/// Limits and deadlines of an HTTP listener. Each has a default here and a flag on the command line.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Request line and header bounds: 8 KiB a line, 128 fields, 32 KiB in all.
    pub head: HeadLimits,
    /// Largest request body, bytes. Default 50 MiB; above it the answer is 413.
    pub max_body: u64,
    /// Body bytes kept in memory before the rest is spooled to an unlinked temporary file. Default 64 KiB.
    pub body_memory: usize,
    /// How long a connection may be idle between requests. Default 40 s.
    pub keep_alive: Duration,
    /// From the first byte of a request to the end of its head. Default 20 s; then 408.
    pub header_timeout: Duration,
    /// Longest pause while a body arrives. Default 30 s; then 408.
    pub body_timeout: Duration,
    /// Longest pause while the peer does not take what was written. Default 60 s; then the connection is closed.
    pub write_timeout: Duration,
    /// Largest message of a WebSocket, bytes. Default 256 KiB; above it the connection is closed with code 1009.
    pub max_message: usize,
    /// Silence of a WebSocket or an event stream after which a ping is sent, whole seconds. Default 40 s.
    pub ping: Duration,
    /// Bytes that may wait for the peer of a WebSocket or an event stream. Default 16 MiB; above it the connection is
    /// closed.
    pub max_pending: usize,
    /// Compression of WebSocket messages (RFC 7692), for clients that offer it. Default: none.
    pub deflate: Option<DeflateSettings>,
    /// How responses are logged. Default: not at all.
    pub log: Option<LogFormat>,
    /// The public folder. Default none.
    pub files: Option<Arc<Files>>,
    /// Whether and where the application may name files to be sent. Default no.
    pub sendfile: Option<Arc<SendFile>>,
    /// Whether it is asked for metrics, and for nothing else. Default no.
    pub metrics: bool,
    /// Media types of files by their extension.
    pub mime_types: Arc<MimeTypes>,
}

/// Limits and deadlines of raw connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawSettings {
    /// Silence after which the application is asked for a ping, or the connection is closed; whole seconds. Default: zero,
    /// which is for ever.
    pub timeout: Duration,
    /// What may wait for the peer.
    pub writes: WriteLimits,
}

/// What may wait for a peer that does not read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct WriteLimits {
    /// As [`HttpSettings::max_pending`].
    pub max_pending: usize,
    /// As [`HttpSettings::write_timeout`].
    pub timeout: Duration,
}

/// What is spoken on the connections of a listener.
#[derive(Clone, Debug)]
pub enum ListenerSettings {
    /// HTTP, with WebSocket and Server-Sent Events.
    Http(Arc<HttpSettings>),
    /// Bytes, as the application likes.
    Raw(RawSettings),
}

/// A raw service that clients of a listener may choose by ALPN.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// Its name for ALPN.
    pub name: Vec<u8>,
    /// The number that comes back in `Event::Accepted`.
    pub listener: usize,
    /// Limits of its connections.
    pub raw: RawSettings,
}

impl ListenerSettings {
    /// Limits of connections of the listener that are raw.
    pub fn raw(&self) -> RawSettings {
        match self {
            Self::Http(http) => RawSettings { writes: http.writes(), ..RawSettings::default() },
            Self::Raw(raw) => *raw,
        }
    }
}

impl HttpSettings {
    /// The limits of a connection that is no longer HTTP.
    pub fn writes(&self) -> WriteLimits {
        WriteLimits { max_pending: self.max_pending, timeout: self.write_timeout }
    }
}

impl Default for WriteLimits {
    fn default() -> Self {
        HttpSettings::default().writes()
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            max_body: 50 << 20,
            body_memory: 64 << 10,
            keep_alive: Duration::from_secs(40),
            header_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            max_message: 256 << 10,
            ping: Duration::from_secs(40),
            max_pending: 16 << 20,
            deflate: None,
            log: None,
            files: None,
            sendfile: None,
            metrics: false,
            mime_types: Arc::default(),
        }
    }
}
