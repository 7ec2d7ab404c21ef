//! `rack.response_finished`: callbacks for when the response has been handed over.

use std::sync::OnceLock;

use magnus::error::ErrorType;
use magnus::prelude::*;
use magnus::{Error, RArray, RHash, Ruby, Value};

use super::fixed::Fixed;
use crate::worker::report;

/// The environment's key for them.
pub(super) fn key(ruby: &Ruby) -> Value {
    static KEY: OnceLock<Fixed> = OnceLock::new();
    KEY.get_or_init(|| Fixed::new(ruby, b"rack.response_finished")).value(ruby)
}

/// Calls the callbacks of a request, the last one first, with `(env, status, headers, error)`.
pub(super) fn notify(ruby: &Ruby, env: RHash, answer: Option<(Value, Value)>, error: Option<&Error>) {
    let Some(callbacks) = env.get(key(ruby)).and_then(RArray::from_value).filter(|callbacks| !callbacks.is_empty())
    else {
        return;
    };
    let nil = ruby.qnil().as_value();
    let (status, headers) = answer.unwrap_or((nil, nil));
    let exception = match error.map(Error::error_type) {
        Some(ErrorType::Exception(exception)) => exception.as_value(),
        _ => nil,
    };
    for index in (0..callbacks.len()).rev() {
        let called = callbacks
            .entry::<Value>(index as isize)
            .and_then(|callback| callback.funcall::<_, _, Value>("call", (env, status, headers, exception)));
        if let Err(error) = called {
            report(ruby, &error, "a rack.response_finished callback raised");
        }
    }
}
