//! `Iodine::Base::CLI.native_parse`: the command line parser, for `lib/iodine/cli.rb`.

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::PathBuf};

use iodine_core::cli::{self, Arguments, Outcome};
use magnus::{Error, Module, Object, RHash, RModule, Ruby, TryConvert, Value, method};

/// Defines the module `CLI` under `base`, which is `Iodine::Base`.
pub(crate) fn init(_ruby: &Ruby, base: RModule) -> Result<(), Error> {
    base.define_module("CLI")?.singleton_class()?.define_private_method("native_parse", method!(native_parse, 2))
}

/// Parses an Array of Strings, with a Hash of environment variables below it.
///
/// Returns a Hash of what was given, or one with the single key `:help`, `:version` or `:error` and the text to print.
/// Strings are read as paths, because Ruby's need not be UTF-8 either.
fn native_parse(ruby: &Ruby, _module: Value, command_line: Vec<PathBuf>, environment: RHash) -> Result<RHash, Error> {
    let variable = |name: &str| {
        let value = environment.get(name)?;
        PathBuf::try_convert(value).ok().map(OsString::from)
    };
    match cli::parse(command_line.into_iter().map(OsString::from), variable) {
        Outcome::Run(arguments) => hash(ruby, *arguments),
        Outcome::Help(text) => single(ruby, "help", text),
        Outcome::Version(text) => single(ruby, "version", text),
        Outcome::Invalid(text) => single(ruby, "error", text),
    }
}

fn single(ruby: &Ruby, key: &str, text: String) -> Result<RHash, Error> {
    let hash = ruby.hash_new();
    hash.aset(ruby.to_symbol(key), text)?;
    Ok(hash)
}

/// The arguments that were given, by the names of their fields.
fn hash(ruby: &Ruby, arguments: Arguments) -> Result<RHash, Error> {
    let texts = [
        ("filename", arguments.filename),
        ("address", arguments.address),
        ("public", arguments.public),
        ("log_format", arguments.log_format),
        ("tls_cert", arguments.tls_cert),
        ("tls_key", arguments.tls_key),
        ("tls_password", arguments.tls_password),
        ("redis", arguments.redis),
        ("pubsub_socket", arguments.pubsub_socket),
        ("config", arguments.config),
        ("pid", arguments.pid),
        ("metrics", arguments.metrics),
    ];
    let numbers = [
        ("port", arguments.port),
        ("threads", arguments.threads),
        ("workers", arguments.workers),
        ("timeout", arguments.timeout),
        ("max_body", arguments.max_body),
        ("max_headers", arguments.max_headers),
        ("header_timeout", arguments.header_timeout),
        ("body_timeout", arguments.body_timeout),
        ("write_timeout", arguments.write_timeout),
        ("tls_timeout", arguments.tls_timeout),
        ("shutdown_timeout", arguments.shutdown_timeout),
        ("max_msg", arguments.max_msg),
        ("ping", arguments.ping),
        ("max_pending", arguments.max_pending),
        ("deflate_min", arguments.deflate_min),
        ("deflate_write_bits", arguments.deflate_write_bits),
        ("deflate_read_bits", arguments.deflate_read_bits),
        ("redis_ping", arguments.redis_ping),
        ("redis_timeout", arguments.redis_timeout),
        ("redis_pending", arguments.redis_pending),
        ("history_max", arguments.history_max),
        ("verbosity", arguments.verbosity),
        ("boot_timeout", arguments.boot_timeout),
        ("hang_report", arguments.hang_report),
        ("hang_replace", arguments.hang_replace),
        ("max_requests", arguments.max_requests),
        ("max_rss", arguments.max_rss),
    ];
    let switches = [
        ("log", arguments.log),
        ("deflate", arguments.deflate),
        ("deflate_write_context", arguments.deflate_write_context),
        ("deflate_read_context", arguments.deflate_read_context),
        ("tls", arguments.tls),
        ("warmup", arguments.warmup),
        ("reload", arguments.reload),
    ];

    let hash = ruby.hash_new();
    for (name, text) in texts.into_iter().filter_map(given) {
        hash.aset(ruby.to_symbol(name), ruby.enc_str_new(text.as_bytes(), ruby.utf8_encoding()))?;
    }
    for (name, number) in numbers.into_iter().filter_map(given) {
        hash.aset(ruby.to_symbol(name), number)?;
    }
    for (name, _) in switches.into_iter().filter(|(_, on)| *on) {
        hash.aset(ruby.to_symbol(name), true)?;
    }
    hash.aset(ruby.to_symbol("warnings"), ruby.ary_from_vec(arguments.warnings))?;
    Ok(hash)
}

fn given<T>((name, value): (&'static str, Option<T>)) -> Option<(&'static str, T)> {
    value.map(|value| (name, value))
}
