//! What the core has to say, on stderr, in the words of `Iodine.verbosity`.

use std::io;

use iodine_core::line_writer::LineWriter;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Lines come from the reactor, which must not wait for whoever reads them.
struct Stderr(LineWriter);

static STDERR: Stderr = Stderr(LineWriter::new());

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("iodine")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let prefix = match record.level() {
            Level::Error => "ERROR",
            Level::Warn => "WARNING",
            Level::Info => "INFO",
            Level::Debug | Level::Trace => "DEBUG",
        };
        self.0.write(io::stderr(), &format!("{prefix}: {}\n", record.args()));
    }

    fn flush(&self) {}
}

pub(crate) fn init(verbosity: i64) {
    // An extension is loaded once in a process; a second call changes nothing.
    let _ = log::set_logger(&STDERR);
    set_verbosity(verbosity);
}

/// 0 and 1: silent (a fatal message is Ruby's to print), 2 errors, 3 warnings, 4 information, 5 and more: all.
pub(crate) fn set_verbosity(verbosity: i64) {
    log::set_max_level(match verbosity {
        ..=1 => LevelFilter::Off,
        2 => LevelFilter::Error,
        3 => LevelFilter::Warn,
        4 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    });
}
