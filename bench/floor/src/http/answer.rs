//! The one answer, laid out so that any number of them goes out without being copied first.

use std::{
    iter,
    time::{SystemTime, UNIX_EPOCH},
};

/// The size of the smallest answer that greets the world, in bytes.
pub(crate) const HELLO_BYTES: usize = 113;

/// A 200 answer of a fixed size, repeated until pipelined requests are answered by one slice of it.
///
/// Invariant: `block` is a whole number of copies, each `len` bytes long. Connections remember only how far into a copy
/// they are, which stays true when the date changes because an HTTP date always has the same length (RFC 9110, 5.6.7).
pub(crate) struct Answer {
    block: Vec<u8>,
    len: usize,
    second: u64,
}

impl Answer {
    /// An answer of `size` bytes, head included. The error names the least size there is.
    pub(crate) fn of_size(size: usize) -> Result<Self, String> {
        let copy = compose(size)?;
        let copies = (BLOCK_BYTES / size).max(1);
        Ok(Self { block: copy.repeat(copies), len: size, second: 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// At most `wanted` bytes of consecutive answers, beginning `offset` bytes into one.
    pub(crate) fn slice(&self, offset: usize, wanted: usize) -> &[u8] {
        &self.block[offset..self.block.len().min(offset + wanted)]
    }

    /// Renews the date in all copies when the second has changed.
    pub(crate) fn refresh(&mut self, now: SystemTime) {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        if second == self.second {
            return;
        }
        self.second = second;
        let date = httpdate::fmt_http_date(now);
        for copy in self.block.chunks_exact_mut(self.len) {
            copy[BEFORE_DATE.len()..][..date.len()].copy_from_slice(date.as_bytes());
        }
    }
}

/// The length field is padded with optional whitespace (RFC 9110, 5.5) where no body length gives the size exactly:
/// one more byte of body may need one more digit.
fn compose(size: usize) -> Result<Vec<u8>, String> {
    let date = httpdate::fmt_http_date(UNIX_EPOCH);
    let fixed = BEFORE_DATE.len() + date.len() + BEFORE_LENGTH.len() + AFTER_LENGTH.len();
    let (digits, body) = (1..)
        .map_while(|digits| Some((digits, size.checked_sub(fixed + digits)?)))
        .find(|(digits, body)| body.to_string().len() <= *digits)
        .ok_or_else(|| format!("an answer of {size} bytes has no room for its head: use {} or more", fixed + 1))?;
    let head = format!("{BEFORE_DATE}{date}{BEFORE_LENGTH}{body:>digits$}{AFTER_LENGTH}");
    Ok(head.bytes().chain(iter::repeat_n(BODY, body.div_ceil(BODY.len())).flatten().copied()).take(size).collect())
}

const BEFORE_DATE: &str = "HTTP/1.1 200 OK\r\ndate: ";
const BEFORE_LENGTH: &str = "\r\ncontent-type: text/plain\r\ncontent-length: ";
const AFTER_LENGTH: &str = "\r\n\r\n";
const BODY: &[u8] = b"hello world";

/// Enough copies for any pipeline a benchmark keeps, and little enough to stay in a second-level cache.
const BLOCK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_size_is_met_exactly() {
        for size in (103..1500).chain([10_340, 1_048_700]) {
            let copy = compose(size).expect("there is room for a head");
            let text = String::from_utf8(copy).expect("the answer is ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("the head ends");
            let length = head.rsplit_once("content-length:").expect("there is a length").1.trim();
            assert_eq!((text.len(), length), (size, body.len().to_string().as_str()));
        }
    }

    #[test]
    fn too_small_a_size_is_refused() {
        assert!(compose(102).is_ok());
        assert!(compose(100).is_err());
    }

    #[test]
    fn the_default_is_hello_world() {
        let copy = compose(HELLO_BYTES).expect("there is room for a head");
        assert!(copy.ends_with(b"content-length: 11\r\n\r\nhello world"));
    }

    #[test]
    fn the_date_changes_in_every_copy() {
        let mut answer = Answer::of_size(HELLO_BYTES).expect("there is room for a head");
        answer.refresh(UNIX_EPOCH + Duration::from_secs(784_111_777));
        for copy in answer.block.chunks(HELLO_BYTES) {
            assert!(copy.starts_with(b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
        }
    }

    #[test]
    fn slices_run_over_copies_and_end_with_the_block() {
        let answer = Answer::of_size(HELLO_BYTES).expect("there is room for a head");
        assert_eq!(answer.slice(10, 3 * HELLO_BYTES).len(), 3 * HELLO_BYTES);
        assert_eq!(answer.slice(10, usize::MAX / 2).len(), answer.block.len() - 10);
    }
}
