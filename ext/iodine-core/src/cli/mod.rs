//! The command line: `iodine [options] [application file]`, and the environment variables below it.
//!
//! ```text
//! argv ── spelling (-p3000, -port=3000, -port 3000) ──▶ clap ──▶ Arguments ◀── PORT, THREADS, WORKERS ...
//! ```
//!
//! [`parse`] decides nothing about the server: it says what the user asked for, and the caller applies it.

mod environment;
mod flags;
mod spelling;

use std::ffi::OsString;

use clap::{ArgMatches, error::ErrorKind};

use crate::net::address::Address;

/// What the user asked for. `None`, or `false` for a switch, means "not said": the caller keeps its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The application file, as it was written.
    pub filename: Option<OsString>,
    /// Host, IP address or Unix socket path to listen on.
    pub address: Option<OsString>,
    /// TCP port, 0 to 65535. Always 0 when `address` is a Unix socket path.
    pub port: Option<i64>,
    /// Threads a worker; negative is a share of the cores.
    pub threads: Option<i64>,
    /// Worker processes; negative is a share of the cores.
    pub workers: Option<i64>,
    /// Folder of static files.
    pub public: Option<OsString>,
    /// Keep-alive timeout, seconds.
    pub timeout: Option<i64>,
    /// Log each request.
    pub log: bool,
    /// `-log-format`
    pub log_format: Option<OsString>,
    /// Largest request body, MiB.
    pub max_body: Option<i64>,
    /// Largest request head, KiB.
    pub max_headers: Option<i64>,
    /// Time for a request head to arrive, seconds.
    pub header_timeout: Option<i64>,
    /// Longest pause within a request body, seconds.
    pub body_timeout: Option<i64>,
    /// Longest wait for a peer that does not read, seconds.
    pub write_timeout: Option<i64>,
    /// Time a stopping server gives its connections, seconds.
    pub shutdown_timeout: Option<i64>,
    /// Largest WebSocket message, KiB.
    pub max_msg: Option<i64>,
    /// Ping interval of WebSocket and SSE connections, seconds.
    pub ping: Option<i64>,
    /// What may wait for a WebSocket or SSE client that does not read, MiB.
    pub max_pending: Option<i64>,
    /// Compress WebSocket messages.
    pub deflate: bool,
    /// Smallest WebSocket message that is compressed, bytes.
    pub deflate_min: Option<i64>,
    /// Compress what is sent with the context of earlier messages.
    pub deflate_write_context: bool,
    /// Let clients compress with the context of earlier messages.
    pub deflate_read_context: bool,
    /// Window of the compression of what is sent, bits.
    pub deflate_write_bits: Option<i64>,
    /// Window of the compression of what clients send, bits.
    pub deflate_read_bits: Option<i64>,
    /// Serve TLS.
    pub tls: bool,
    /// PEM file with the certificate chain.
    pub tls_cert: Option<OsString>,
    /// PEM file with the private key.
    pub tls_key: Option<OsString>,
    /// Password of the private key.
    pub tls_password: Option<OsString>,
    /// Time for a TLS handshake, seconds.
    pub tls_timeout: Option<i64>,
    /// Redis URL.
    pub redis: Option<OsString>,
    /// Redis ping interval, seconds.
    pub redis_ping: Option<i64>,
    /// Seconds that Redis may owe an answer.
    pub redis_timeout: Option<i64>,
    /// What may wait for Redis, MiB.
    pub redis_pending: Option<i64>,
    /// What all channels keep together, MiB.
    pub history_max: Option<i64>,
    /// Path of the socket for publishers.
    pub pubsub_socket: Option<OsString>,
    /// Ruby file to load before the application.
    pub config: Option<OsString>,
    /// Pid file, or a folder for it when it ends with `/`.
    pub pid: Option<OsString>,
    /// Log level, 0 to 99.
    pub verbosity: Option<i64>,
    /// Warm each worker up before it serves.
    pub warmup: bool,
    /// Have each worker load the application, so that a restart brings new code.
    pub reload: bool,
    /// Where to answer for metrics.
    pub metrics: Option<OsString>,
    /// Seconds that a new worker has until it serves.
    pub boot_timeout: Option<i64>,
    /// Seconds after which a worker whose threads all hang is reported.
    pub hang_report: Option<i64>,
    /// Seconds after which it is replaced.
    pub hang_replace: Option<i64>,
    /// Requests after which a worker is replaced.
    pub max_requests: Option<i64>,
    /// Memory above which a worker is replaced, MiB.
    pub max_rss: Option<i64>,
    /// What was ignored or changed, a sentence each, for the log.
    pub warnings: Vec<String>,
}

/// What to do with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Run the server.
    Run(Box<Arguments>),
    /// Print this help on standard output and exit with status 0.
    Help(String),
    /// Print this version on standard output and exit with status 0.
    Version(String),
    /// The command line, or a variable, is wrong: print this on standard error and exit with status 2.
    Invalid(String),
}

/// Parses a command line without the program's name. `variable` looks up an environment variable; flags win over it.
pub fn parse(command_line: impl IntoIterator<Item = OsString>, variable: impl Fn(&str) -> Option<OsString>) -> Outcome {
    match arguments(command_line, variable) {
        Ok(arguments) => Outcome::Run(Box::new(arguments)),
        Err(error) => {
            let text = error.render().to_string();
            match error.kind() {
                ErrorKind::DisplayHelp => Outcome::Help(text),
                ErrorKind::DisplayVersion => Outcome::Version(text),
                _ => Outcome::Invalid(text),
            }
        }
    }
}

fn arguments(
    command_line: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Arguments, clap::Error> {
    let mut command = flags::command();
    let matches = command.try_get_matches_from_mut(spelling::normalise(command_line))?;
    let mut arguments = Arguments::from(Matches(matches));
    environment::apply(&mut arguments, variable).map_err(|text| command.error(ErrorKind::ValueValidation, text))?;
    arguments.settle_port();
    Ok(arguments)
}

impl Arguments {
    /// A Unix socket has no port: port 0 keeps a default port from being read into it.
    fn settle_port(&mut self) {
        let Some(path) = self.address.as_ref().filter(|address| Address::is_path(address)) else { return };
        if let Some(port @ 1..) = self.port {
            self.warnings.push(format!("ignoring port {port}: {} is a Unix socket", path.display()));
        }
        self.port = Some(0);
    }
}

impl From<Matches> for Arguments {
    fn from(matches: Matches) -> Self {
        let mut positional = matches.positional();
        let filename = positional.next();
        let warnings = positional
            .map(|extra| format!("ignoring the argument \"{}\": iodine runs one application", extra.display()));
        Self {
            warnings: warnings.collect(),
            filename,
            address: matches.text("bind"),
            port: matches.number("port"),
            threads: matches.number("threads"),
            workers: matches.number("workers"),
            public: matches.text("public"),
            timeout: matches.number("keep-alive"),
            log: matches.switch("log"),
            log_format: matches.text("log-format"),
            max_body: matches.number("max-body"),
            max_headers: matches.number("max-header"),
            header_timeout: matches.number("header-timeout"),
            body_timeout: matches.number("body-timeout"),
            write_timeout: matches.number("write-timeout"),
            shutdown_timeout: matches.number("shutdown-timeout"),
            max_msg: matches.number("max-msg"),
            ping: matches.number("ping"),
            max_pending: matches.number("max-pending"),
            deflate: matches.switch("deflate"),
            deflate_min: matches.number("deflate-min"),
            deflate_write_context: matches.switch("deflate-write-context"),
            deflate_read_context: matches.switch("deflate-read-context"),
            deflate_write_bits: matches.number("deflate-write-bits"),
            deflate_read_bits: matches.number("deflate-read-bits"),
            tls: matches.switch("tls"),
            tls_cert: matches.text("tls-cert"),
            tls_key: matches.text("tls-key"),
            tls_password: matches.text("tls-pass"),
            tls_timeout: matches.number("tls-timeout"),
            redis: matches.text("redis"),
            redis_ping: matches.number("redis-ping"),
            redis_timeout: matches.number("redis-timeout"),
            redis_pending: matches.number("redis-max-pending"),
            history_max: matches.number("history-max"),
            pubsub_socket: matches.text("pubsub-socket"),
            config: matches.text("config"),
            pid: matches.text("pid"),
            verbosity: matches.number("verbosity"),
            warmup: matches.switch("warmup"),
            reload: matches.switch("reload"),
            metrics: matches.text("metrics"),
            boot_timeout: matches.number("boot-timeout"),
            hang_report: matches.number("hang-report"),
            hang_replace: matches.number("hang-replace"),
            max_requests: matches.number("max-requests"),
            max_rss: matches.number("max-rss"),
        }
    }
}

/// What clap found, by flag name. An empty value counts as none: `-p "$PORT"` is fine without a `PORT`.
struct Matches(ArgMatches);

impl Matches {
    fn text(&self, flag: &str) -> Option<OsString> {
        self.0.get_one::<OsString>(flag).filter(|value| !value.is_empty()).cloned()
    }

    fn number(&self, flag: &str) -> Option<i64> {
        self.0.get_one::<Option<i64>>(flag).copied().flatten()
    }

    fn switch(&self, flag: &str) -> bool {
        self.0.get_flag(flag)
    }

    fn positional(&self) -> impl Iterator<Item = OsString> {
        self.0.get_many::<OsString>(flags::APPLICATION).into_iter().flatten().cloned()
    }
}

#[cfg(test)]
mod tests;
