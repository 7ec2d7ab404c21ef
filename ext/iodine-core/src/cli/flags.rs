//! The table of flags, and the clap command built from it.

use std::ffi::OsString;

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};

/// A flag. The first of its names is the one errors use; the others mean the same.
pub(super) struct Flag {
    pub(super) names: &'static [&'static str],
    pub(super) kind: Kind,
    group: &'static str,
    help: &'static str,
}

/// What a flag takes. Values are described by the word the help shows for them.
pub(super) enum Kind {
    Switch,
    Text(&'static str),
    /// A text that must not be empty: to serve as if there were none would be the wrong thing.
    Needed(&'static str),
    /// An address, and the one that is meant when none follows.
    Place(&'static str, &'static str),
    /// An integer within a range, both ends included.
    Number(&'static str, Range),
    Help,
    Version,
}

/// The smallest and the largest value allowed.
pub(super) type Range = (i64, i64);

/// The name under which clap files what is not a flag.
pub(super) const APPLICATION: &str = "application";

impl Flag {
    pub(super) fn takes_value(&self) -> bool {
        matches!(self.kind, Kind::Text(_) | Kind::Needed(_) | Kind::Number(..) | Kind::Place(..))
    }

    fn argument(&self) -> Arg {
        let name = self.names[0];
        let argument = Arg::new(name).long(name).help(self.help).help_heading(self.group);
        let argument = self.names[1..].iter().fold(argument, |argument, other| match other.as_bytes() {
            [letter] if argument.get_short().is_none() => argument.short(char::from(*letter)),
            [letter] => argument.visible_short_alias(char::from(*letter)),
            _ => argument.visible_alias(*other),
        });
        match self.kind {
            Kind::Switch => argument.action(ArgAction::SetTrue),
            Kind::Text(value) => argument.value_name(value).value_parser(value_parser!(OsString)),
            Kind::Needed(value) => argument.value_name(value).value_parser(OsStringValueParser::new().try_map(present)),
            Kind::Place(value, default) => argument
                .value_name(value)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(default)
                .value_parser(value_parser!(OsString)),
            Kind::Number(value, range) => {
                argument.value_name(value).value_parser(ValueParser::new(move |text: &str| integer(text, range)))
            }
            Kind::Help => argument.action(ArgAction::Help),
            Kind::Version => argument.action(ArgAction::Version),
        }
    }
}

/// The command clap parses with.
pub(super) fn command() -> Command {
    let application = Arg::new(APPLICATION).num_args(0..).value_parser(value_parser!(OsString)).hide(true);
    Command::new("iodine")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage("iodine [OPTIONS] [APPLICATION]")
        .help_template(concat!(
            "Iodine's HTTP/WebSocket server, version {version}\n\n",
            "{usage-heading} {usage}\n\n{about}\n\n{all-args}{after-help}"
        ))
        .about(ABOUT)
        .after_help(MANUAL)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .arg(application)
        .args(FLAGS.iter().map(Flag::argument))
}

/// Reads an integer: decimal, hexadecimal (`0x`) or binary (`0b`). An empty text is no number, and no error.
pub(super) fn integer(text: &str, (least, most): Range) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    signed(text)
        .filter(|value| (least..=most).contains(value))
        .map(Some)
        .ok_or_else(|| format!("must be an integer from {least} to {most}"))
}

fn present(text: OsString) -> Result<OsString, &'static str> {
    if text.is_empty() { Err("it is empty; leave the flag away, or name a file") } else { Ok(text) }
}

/// The range of a flag that takes a number.
pub(super) fn range(name: &str) -> Range {
    FLAGS
        .iter()
        .find_map(|flag| match flag.kind {
            Kind::Number(_, range) if flag.names[0] == name => Some(range),
            _ => None,
        })
        .unwrap_or((i64::MIN, i64::MAX))
}

fn signed(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0b") => (&lower[2..], 2),
        _ => (lower.as_str(), 10),
    };
    // `from_str_radix` would take one more sign.
    let magnitude = digits.starts_with(|digit: char| digit.is_digit(radix)).then_some(digits)?;
    let magnitude = i64::from_str_radix(magnitude, radix).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

const fn switch(group: &'static str, names: &'static [&'static str], help: &'static str) -> Flag {
    Flag { names, kind: Kind::Switch, group, help }
}

const fn text(group: &'static str, value: &'static str, names: &'static [&'static str], help: &'static str) -> Flag {
    Flag { names, kind: Kind::Text(value), group, help }
}

const fn number(
    group: &'static str,
    value: &'static str,
    range: Range,
    names: &'static [&'static str],
    help: &'static str,
) -> Flag {
    Flag { names, kind: Kind::Number(value, range), group, help }
}

const BINDING: &str = "Address Binding";
const CONCURRENCY: &str = "Concurrency";
const HTTP: &str = "HTTP Settings";
const WEBSOCKET: &str = "WebSocket Settings";
const TLS: &str = "SSL/TLS";
const REDIS: &str = "Connecting Iodine to Redis";
const SUPERVISION: &str = "Supervision";
const MISC: &str = "Misc";

/// A day: no timeout is usefully longer.
const SECONDS: Range = (0, 86_400);
/// A terabyte.
const MEBIBYTES: Range = (0, 1 << 20);
/// A gigabyte: what is limited in bytes or KiB is held in memory.
const BYTES: Range = (0, 1 << 30);
const WINDOW_BITS: Range = (8, 15);
const KIBIBYTES: Range = (0, 1 << 20);

/// Every flag, in the order of the help. Lines of help are broken by hand, to 100 columns with their names.
pub(super) static FLAGS: &[Flag] = &[
    text(
        BINDING,
        "ADDRESS",
        &["bind", "b", "address"],
        "Host name or IP address to listen on, or the path of a\nUnix socket: /... or ./... [default: any interface]",
    ),
    number(
        BINDING,
        "PORT",
        (0, 65_535),
        &["port", "p"],
        "TCP port; 0 lets the system choose one\n[default: 3000] [env: PORT]",
    ),
    number(
        CONCURRENCY,
        "COUNT",
        (-4095, 4095),
        &["threads", "t"],
        "Threads in each worker; -N is one N-th of the cores\n[default: as the cores allow] [env: THREADS]",
    ),
    number(
        CONCURRENCY,
        "COUNT",
        (-511, 511),
        &["workers", "w"],
        "Worker processes; -N is one N-th of the cores\n\
         [default: as the cores allow] [env: WEB_CONCURRENCY, WORKERS]",
    ),
    text(HTTP, "FOLDER", &["public", "www"], "Folder of static files to serve [default: none]"),
    number(HTTP, "SECONDS", SECONDS, &["keep-alive", "k", "tout"], "Longest pause between requests [default: 40]"),
    switch(HTTP, &["log", "v"], "Log each request to standard error [default: off]"),
    text(
        HTTP,
        "FORMAT",
        &["log-format"],
        "Log each request as iodine, common, combined or json\n[default: iodine, with -log]",
    ),
    number(HTTP, "MIB", MEBIBYTES, &["max-body", "maxbd"], "Largest request body [default: 50]"),
    number(
        HTTP,
        "KIB",
        KIBIBYTES,
        &["max-header", "maxhd"],
        "Largest request line and headers together\n[default: 32]",
    ),
    number(HTTP, "SECONDS", SECONDS, &["header-timeout"], "Time for the headers of a request to arrive [default: 20]"),
    number(HTTP, "SECONDS", SECONDS, &["body-timeout"], "Longest pause within the body of a request [default: 30]"),
    number(HTTP, "SECONDS", SECONDS, &["write-timeout"], "Longest wait for a client that does not read [default: 60]"),
    number(WEBSOCKET, "KIB", KIBIBYTES, &["max-msg", "maxms"], "Largest incoming message [default: 256]"),
    number(WEBSOCKET, "SECONDS", SECONDS, &["ping"], "Ping after so long without traffic [default: 40]"),
    number(
        WEBSOCKET,
        "MIB",
        MEBIBYTES,
        &["max-pending"],
        "What may wait for a client that does not read\n[default: 16]",
    ),
    switch(WEBSOCKET, &["deflate"], "Compress messages for clients that offer it\n[default: off]"),
    number(WEBSOCKET, "BYTES", BYTES, &["deflate-min"], "Compress messages from this size on [default: 1024]"),
    switch(
        WEBSOCKET,
        &["deflate-write-context"],
        "Refer to earlier messages when compressing: smaller, for\nup to 371 KiB of memory a connection [default: off]",
    ),
    switch(WEBSOCKET, &["deflate-read-context"], "Let clients do the same, for 47 KiB a connection\n[default: off]"),
    number(
        WEBSOCKET,
        "BITS",
        WINDOW_BITS,
        &["deflate-write-bits"],
        "How far back to refer: 2 to the power of that, 8 to 15\n[default: 15]",
    ),
    number(WEBSOCKET, "BITS", WINDOW_BITS, &["deflate-read-bits"], "How far back clients may refer [default: 15]"),
    switch(TLS, &["tls"], "Serve TLS, without a certificate by a self-signed one\n[default: off]"),
    Flag {
        names: &["tls-cert", "cert"],
        kind: Kind::Needed("FILE"),
        group: TLS,
        help: "Certificate chain, PEM [default: none]",
    },
    Flag {
        names: &["tls-key", "key"],
        kind: Kind::Needed("FILE"),
        group: TLS,
        help: "Private key, PEM [default: that in -tls-cert]",
    },
    text(TLS, "PASSWORD", &["tls-pass", "tls-password"], "Password of the private key [default: none]"),
    number(TLS, "SECONDS", SECONDS, &["tls-timeout"], "Time for a TLS handshake [default: 10]"),
    text(
        REDIS,
        "URL",
        &["redis", "r"],
        "Publish and subscribe through this Redis server\n[default: none] [env: IODINE_REDIS_URL]",
    ),
    number(REDIS, "SECONDS", SECONDS, &["redis-ping", "rp"], "Ping after so long without traffic [default: 300]"),
    number(
        REDIS,
        "SECONDS",
        SECONDS,
        &["redis-timeout"],
        "Connect again when an answer takes longer\n[default: as the ping, at most 10]",
    ),
    number(REDIS, "MIB", MEBIBYTES, &["redis-max-pending"], "What may wait while Redis is away\n[default: 16]"),
    Flag {
        names: &["metrics"],
        kind: Kind::Place("ADDRESS", "9394"),
        group: SUPERVISION,
        help: "Answer for metrics at a port of the loopback address,\nHOST:PORT or the path of a socket; 9394 when none is\nnamed [default: off]",
    },
    number(
        SUPERVISION,
        "SECONDS",
        SECONDS,
        &["boot-timeout"],
        "Time for a new worker, and for the new server of an\nupgrade, until it serves; 0 is no limit [default: 60]",
    ),
    number(
        SUPERVISION,
        "SECONDS",
        SECONDS,
        &["hang-report"],
        "Log what the threads of a worker do when all have been\nbusy for so long; 0 is never [default: 60]",
    ),
    number(
        SUPERVISION,
        "SECONDS",
        SECONDS,
        &["hang-replace"],
        "Replace a worker whose threads have all been busy for so\nlong; 0 is never [default: 0]",
    ),
    number(
        SUPERVISION,
        "COUNT",
        (0, i64::MAX),
        &["max-requests"],
        "Replace a worker after about so many requests; 0 is\nnever [default: 0]",
    ),
    number(
        SUPERVISION,
        "MIB",
        MEBIBYTES,
        &["max-rss"],
        "Replace a worker that takes about so much memory; 0 is\nnever [default: 0]",
    ),
    text(
        MISC,
        "PATH",
        &["pubsub-socket"],
        "Unix socket at which processes that are no servers may\npublish [default: none]",
    ),
    number(
        MISC,
        "MIB",
        (0, 64),
        &["history-max"],
        "What channels keep together for subscribers who come\nback [default: 16]",
    ),
    text(MISC, "FILE", &["config", "C"], "Ruby file to load before the application\n[default: none]"),
    text(
        MISC,
        "FILE",
        &["pid", "pidfile"],
        "File for the process id of the master; FOLDER/ stands for\nFOLDER/iodine.pid [default: none]",
    ),
    number(
        MISC,
        "LEVEL",
        (0, 99),
        &["verbosity", "V"],
        "Log level: 0 silent, 1 fatal, 2 errors, 3 warnings,\n4 information, 5 debug [default: 4]",
    ),
    switch(
        MISC,
        &["warmup", "preload"],
        "Load autoloaded constants and request / once in each\nworker before it serves [default: off]",
    ),
    switch(
        MISC,
        &["reload"],
        "Load the application in each worker rather than before\nthe fork: a restart (USR1) brings new code [default: off]",
    ),
    number(
        MISC,
        "SECONDS",
        SECONDS,
        &["shutdown-timeout"],
        "Time for connections to finish when the server stops\n[default: 5]",
    ),
    Flag { names: &["help", "h", "?"], kind: Kind::Help, group: MISC, help: "Print this help" },
    Flag { names: &["version"], kind: Kind::Version, group: MISC, help: "Print the version" },
];

const ABOUT: &str = "\
APPLICATION is a rackup file (.ru) or a Ruby file (.rb) that defines a constant of its name.
Without one, config.ru in the current folder is served.";

/// What a manual page would have below its options.
const MANUAL: &str = "\
Spelling:
  A flag may have one dash or two, and its value may follow in three ways:
    -port 3000    -port=3000    -p3000
  Numbers may be hexadecimal (0x1F90) or binary (0b1000). The last of repeated flags counts. An
  empty value counts as none.

Environment:
  PORT, THREADS, WEB_CONCURRENCY, WORKERS, IODINE_REDIS_URL  as the flags above, which win
  SCRIPT_NAME                                                where the application is mounted
  TMPDIR                                                     folder for large request bodies
  NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS                   what a service manager says

Commands:
  iodine stats [ADDRESS]  Print the metrics of a server that was started with -metrics

Signals:
  INT, TERM, QUIT  Stop: running requests are answered first; a second INT stops at once
  USR1             Replace the workers one after the other
  USR2             Replace the server by a new one, with the same sockets
  HUP              Read certificates again
  TTIN, TTOU       One worker more, one less

Exit status:
  0  after help, version and an orderly stop
  1  a file or an address cannot be used
  2  the command line, or the variable PORT, is wrong

Examples:
  iodine                                 config.ru at port 3000
  iodine -p 8080 -t 8 -w 4 -v app.ru     4 processes of 8 threads, and a line for each request
  iodine -b /run/app.sock -www public    a Unix socket, and files without Ruby
  iodine -tls-cert chain.pem -tls-key key.pem -p 443";
