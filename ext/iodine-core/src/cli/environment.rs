//! Environment variables that stand in for flags.

use std::ffi::{OsStr, OsString};

use super::{Arguments, flags};

/// Fills what no flag said from the environment. An empty variable counts as none.
///
/// Fails, with the text of the error, when `PORT` is not a port: listening elsewhere would hide the mistake. The
/// counts of threads and workers have a sound default, so a variable that is no count only earns a warning.
pub(super) fn apply(arguments: &mut Arguments, variable: impl Fn(&str) -> Option<OsString>) -> Result<(), String> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if arguments.port.is_none() {
        arguments.port = variable("PORT").map(|value| number("port", "PORT", &value)).transpose()?.flatten();
    }
    if arguments.redis.is_none() {
        arguments.redis = variable("IODINE_REDIS_URL");
    }
    if arguments.workers.is_none() {
        arguments.workers = count("workers", &["WEB_CONCURRENCY", "WORKERS"], variable, &mut arguments.warnings);
    }
    if arguments.threads.is_none() {
        arguments.threads = count("threads", &["THREADS"], variable, &mut arguments.warnings);
    }
    Ok(())
}

/// The first of the variables that holds a count.
fn count(
    flag: &str,
    names: &[&str],
    variable: impl Fn(&str) -> Option<OsString>,
    warnings: &mut Vec<String>,
) -> Option<i64> {
    names.iter().find_map(|name| match number(flag, name, &variable(name)?) {
        Ok(found) => found,
        Err(text) => {
            warnings.push(format!("ignoring an {text}"));
            None
        }
    })
}

/// Reads a variable as the flag it stands for would read its value.
fn number(flag: &str, name: &str, value: &OsStr) -> Result<Option<i64>, String> {
    let text = value.to_string_lossy();
    flags::integer(&text, flags::range(flag))
        .map_err(|reason| format!("invalid value '{text}' for the environment variable {name}: {reason}"))
}
