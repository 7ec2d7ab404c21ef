//! `rack.response_finished`: callbacks for when the response has been handed over.

use magnus::prelude::*;
use magnus::{Error, RArray, RHash, Ruby, Value};

use crate::worker::{conclude, exception_of};

/// Calls the callbacks of a request, the last one first, with `(env, status, headers, error)`.
///
/// # Errors
/// When one of them has ended the thread; the others were called all the same.
pub(super) fn notify(
    ruby: &Ruby,
    callbacks: RArray,
    env: RHash,
    answer: Option<(Value, Value)>,
    error: Option<&Error>,
) -> Result<(), Error> {
    if callbacks.is_empty() {
        return Ok(());
    }
    let nil = ruby.qnil().as_value();
    let (status, headers) = answer.unwrap_or((nil, nil));
    let exception = error.and_then(exception_of).unwrap_or(nil);
    let mut ended = Ok(());
    for index in (0..callbacks.len()).rev() {
        let called = callbacks
            .entry::<Value>(index as isize)
            .and_then(|callback| callback.funcall::<_, _, Value>("call", (env, status, headers, exception)));
        if let Err(error) = called {
            ended = ended.and(conclude(ruby, error, "a rack.response_finished callback raised"));
        }
    }
    ended
}
