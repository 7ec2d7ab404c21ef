use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use iodine_core::cli::{Outcome, parse};

/// Words, divided by line ends; those before an empty line are the values of variables.
pub(crate) fn never_panics(bytes: &[u8]) {
    let mut words = bytes.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    let variables: Vec<OsString> = words.by_ref().take_while(|word| !word.is_empty()).collect();
    let variable = |name: &str| variables.get(name.len() % (variables.len() + 1)).cloned();
    match parse(words, variable) {
        Outcome::Invalid(text) => assert!(text.starts_with("error: "), "{text}"),
        Outcome::Help(text) | Outcome::Version(text) => assert!(!text.is_empty()),
        Outcome::Run(_) => {}
    }
}
