//! The ways a flag may be spelled, brought to the one clap takes: `--port 3000` or `--port=3000`.
//!
//! iodine's flags are long with a single dash: `-port 3000`, `-port=3000`, and for numbers and one-letter names also
//! `-p3000`. Read as clusters of short options, as clap would, they make no sense.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::flags::{FLAGS, Flag, Kind};

/// Rewrites every flag that is known, under any of its names, to `--name` or `--name=value`.
///
/// A name that matches exactly wins, whatever shorter one it begins with (`-tls`, `-t`). What is not a flag, or not a
/// known one, is left for clap to judge.
pub(super) fn normalise(command_line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = command_line.into_iter().peekable();
    // clap expects the program's name first.
    let mut normal = vec![OsString::from("iodine")];
    while let Some(word) = words.next() {
        if word == "--" {
            normal.push(word);
            break;
        }
        let spelled = match recognise(word.as_bytes()) {
            Some((flag, Some(value))) => long(flag, Some(value)),
            Some((flag, None)) if flag.takes_value() => {
                long(flag, words.next_if(|word| is_value_of(flag, word)).as_deref())
            }
            Some((flag, None)) => long(flag, None),
            None => one_flag(word),
        };
        normal.push(spelled);
    }
    normal.extend(words);
    normal
}

/// The flag a word names, and the value in the same word.
fn recognise(word: &[u8]) -> Option<(&'static Flag, Option<&OsStr>)> {
    let word = word.strip_prefix(b"--").or_else(|| word.strip_prefix(b"-"))?;
    let (name, value) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]))),
        None => (word, None),
    };
    let exact = FLAGS.iter().find(|flag| flag.names.iter().any(|known| known.as_bytes() == name));
    exact.map(|flag| (flag, value)).or_else(|| attached(word))
}

/// Whether the word behind a flag is its value: anything but another flag, so `-t -1` has one and `-b -log` has none.
fn is_value(word: &OsString) -> bool {
    let bytes = word.as_bytes();
    !bytes.starts_with(b"-") || bytes.len() == 1 || begins_as_number(bytes)
}

/// A flag that may do without a value has one only where the word can be nothing else.
fn is_value_of(flag: &Flag, word: &OsString) -> bool {
    match flag.kind {
        Kind::Place(..) => is_place(word.as_bytes()),
        _ => is_value(word),
    }
}

/// `3000`, `host:3000`
fn is_place(word: &[u8]) -> bool {
    let port = word.rsplit(|&byte| byte == b':').next().unwrap_or(word);
    !port.is_empty() && port.iter().all(u8::is_ascii_digit)
}

/// An unknown word is one flag that does not exist: clap would take it for a cluster of letters.
fn one_flag(word: OsString) -> OsString {
    let bytes = word.as_bytes();
    if bytes.len() < 3 || !bytes.starts_with(b"-") || bytes.starts_with(b"--") {
        return word;
    }
    OsString::from_vec([b"-", bytes].concat())
}

/// A flag with its value right behind the name, the longest name first. A number may follow any name; text only a
/// single letter, or else every misspelled flag would be some other flag with a strange value.
fn attached(word: &[u8]) -> Option<(&'static Flag, Option<&OsStr>)> {
    FLAGS
        .iter()
        .flat_map(|flag| flag.names.iter().map(move |name| (flag, name)))
        .filter_map(|(flag, name)| {
            let value = word.strip_prefix(name.as_bytes())?;
            let plausible = match flag.kind {
                Kind::Number(..) => begins_as_number(value),
                Kind::Text(_) | Kind::Needed(_) => name.len() == 1,
                Kind::Switch | Kind::Place(..) | Kind::Help | Kind::Version => false,
            };
            plausible.then_some((flag, value))
        })
        .min_by_key(|(_, value)| value.len())
        .map(|(flag, value)| (flag, Some(OsStr::from_bytes(value))))
}

fn begins_as_number(value: &[u8]) -> bool {
    value.strip_prefix(b"-").unwrap_or(value).first().is_some_and(u8::is_ascii_digit)
}

fn long(flag: &Flag, value: Option<&OsStr>) -> OsString {
    let mut spelled = OsString::from(format!("--{}", flag.names[0]));
    if let Some(value) = value {
        spelled.push("=");
        spelled.push(value);
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_the_long_one() {
        let table: &[(&[&str], &[&str])] = &[
            (&["-p", "3000"], &["--port=3000"]),
            (&["-p3000"], &["--port=3000"]),
            (&["-p=3000"], &["--port=3000"]),
            (&["-port", "3000"], &["--port=3000"]),
            (&["-port=3000"], &["--port=3000"]),
            (&["-port3000"], &["--port=3000"]),
            (&["--port", "3000"], &["--port=3000"]),
            (&["--port=3000"], &["--port=3000"]),
            (&["-p="], &["--port="]),
            (&["-t", "-1"], &["--threads=-1"]),
            (&["-t-1"], &["--threads=-1"]),
            (&["-t=-1"], &["--threads=-1"]),
            (&["-k5"], &["--keep-alive=5"]),
            (&["-tout", "5"], &["--keep-alive=5"]),
            (&["-tout5"], &["--keep-alive=5"]),
            (&["-maxbd=7"], &["--max-body=7"]),
            (&["-max-body", "7"], &["--max-body=7"]),
            (&["-maxhd", "7"], &["--max-header=7"]),
            (&["-maxms7"], &["--max-msg=7"]),
            (&["-v", "-V", "5"], &["--log", "--verbosity=5"]),
            (&["-V5"], &["--verbosity=5"]),
            (&["-tls"], &["--tls"]),
            (&["-tls-cert=x"], &["--tls-cert=x"]),
            (&["-tls-password", "x=y"], &["--tls-pass=x=y"]),
            (&["-key=a=b"], &["--tls-key=a=b"]),
            (&["-w", "2"], &["--workers=2"]),
            (&["-workers", "2"], &["--workers=2"]),
            (&["-www", "public"], &["--public=public"]),
            (&["-public=www"], &["--public=www"]),
            (&["-b127.0.0.1"], &["--bind=127.0.0.1"]),
            (&["-b/tmp/x=y.sock"], &["--bind=/tmp/x=y.sock"]),
            (&["-r", "redis://h"], &["--redis=redis://h"]),
            (&["-rredis://h"], &["--redis=redis://h"]),
            (&["-rp", "5"], &["--redis-ping=5"]),
            (&["-rp5"], &["--redis-ping=5"]),
            (&["-redis", "x"], &["--redis=x"]),
            (&["-C./x.rb"], &["--config=./x.rb"]),
            (&["--preload"], &["--warmup"]),
            (&["-?"], &["--help"]),
            (&["-h"], &["--help"]),
            (&["-help"], &["--help"]),
            (&["-p", ""], &["--port="]),
            (&["-t", "-0x1"], &["--threads=-0x1"]),
            (&["-C", "-"], &["--config=-"]),
            (&["-metrics", "9394"], &["--metrics=9394"]),
            (&["-metrics", "[::1]:1"], &["--metrics=[::1]:1"]),
            (&["-metrics=/run/x"], &["--metrics=/run/x"]),
            (&["-metrics", "app.ru"], &["--metrics", "app.ru"]),
            (&["-metrics", "-p1"], &["--metrics", "--port=1"]),
            // A flag is not the value of another.
            (&["-b", "-p", "1"], &["--bind", "--port=1"]),
            (&["-b", "--", "-p"], &["--bind", "--", "-p"]),
            (&["-b"], &["--bind"]),
            // Not flags.
            (&["config.ru", "-", "-p1"], &["config.ru", "-", "--port=1"]),
            (&["-p1", "--", "-p2", "-x"], &["--port=1", "--", "-p2", "-x"]),
            // Unknown.
            (&["-x"], &["-x"]),
            (&["-vv"], &["--vv"]),
            (&["-prot"], &["--prot"]),
            (&["-unknown=1"], &["--unknown=1"]),
            (&["--unknown"], &["--unknown"]),
        ];
        for (given, expected) in table {
            let found = normalise(given.iter().map(OsString::from));
            assert_eq!(found[1..], expected.iter().map(OsString::from).collect::<Vec<_>>(), "{given:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_pass_through() {
        let path = OsString::from_vec(b"-public=/\xff".to_vec());
        assert_eq!(normalise([path])[1], OsString::from_vec(b"--public=/\xff".to_vec()));
    }
}
