//! The `Date` header's value, formatted once a second and thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use iodine_proto::http1::date::imf_fixdate;

/// The current time as an IMF-fixdate (RFC 9110, 5.6.7).
pub fn now() -> [u8; 29] {
    thread_local!(static CACHED: Cell<(u64, [u8; 29])> = const { Cell::new((u64::MAX, [0; 29])) });
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    CACHED.with(|cached| {
        let (at, date) = cached.get();
        if at == seconds {
            return date;
        }
        let date = imf_fixdate(seconds);
        cached.set((seconds, date));
        date
    })
}
