//! Counts requests in the bytes of one connection.

use std::{
    io::{self, ErrorKind},
    mem::MaybeUninit,
};

use httparse::Status;

/// What one connection must remember between two reads: a head that has not ended, or how much of a body is to come.
/// Bodies are passed over where they lie.
#[derive(Default)]
pub(crate) struct Requests {
    unfinished: Vec<u8>,
    body_left: usize,
}

impl Requests {
    /// Puts the unfinished head back at the front of the shared buffer and returns its length.
    pub(crate) fn restore(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.unfinished.len()].copy_from_slice(&self.unfinished);
        self.unfinished.len()
    }

    /// The number of requests that end in `bytes`, which begin with what [`Requests::restore`] put there.
    pub(crate) fn consume(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        self.unfinished.clear();
        let mut completed = 0;
        while !bytes.is_empty() {
            if self.body_left == 0 {
                let Some(head) = Head::parse(bytes)? else {
                    self.unfinished.extend_from_slice(bytes);
                    break;
                };
                bytes = &bytes[head.len..];
                self.body_left = head.body;
            }
            let passed = self.body_left.min(bytes.len());
            bytes = &bytes[passed..];
            self.body_left -= passed;
            completed += usize::from(self.body_left == 0);
        }
        Ok(completed)
    }
}

struct Head {
    len: usize,
    body: usize,
}

impl Head {
    /// The head at the front of `bytes`, or `None` when it has not ended.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(Status::Complete(len)) => Ok(Some(Self { len, body: body_length(request.headers)? })),
            Ok(Status::Partial) => Ok(None),
            Err(_) => Err(ErrorKind::InvalidData.into()),
        }
    }
}

/// The benchmarks frame their bodies by Content-Length alone; another framing ends the connection.
fn body_length(headers: &[httparse::Header<'_>]) -> io::Result<usize> {
    let mut length = 0;
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or(ErrorKind::InvalidData)?;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(length)
}

const MAX_HEADERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody\
        GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn feed(requests: &mut Requests, bytes: &[u8]) -> usize {
        let mut buffer = [0; 256];
        let kept = requests.restore(&mut buffer);
        buffer[kept..kept + bytes.len()].copy_from_slice(bytes);
        requests.consume(&buffer[..kept + bytes.len()]).expect("the requests are valid")
    }

    #[test]
    fn pipelined_requests_count_at_every_split() {
        for split in 0..=THREE.len() {
            let mut requests = Requests::default();
            let (first, second) = THREE.split_at(split);
            assert_eq!(feed(&mut requests, first) + feed(&mut requests, second), 3, "split at {split}");
        }
    }

    #[test]
    fn pipelined_requests_count_byte_by_byte() {
        let mut requests = Requests::default();
        let completed: usize = THREE.chunks(1).map(|byte| feed(&mut requests, byte)).sum();
        assert_eq!(completed, 3);
    }

    #[test]
    fn a_framing_it_cannot_follow_is_an_error() {
        let refused: [&[u8]; 4] = [
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: \xff\r\n\r\n",
            b"\x00\x01\r\n\r\n",
        ];
        for bytes in refused {
            assert!(Requests::default().consume(bytes).is_err(), "{bytes:?}");
        }
    }
}
