//! The first bytes of a peer: what it speaks, when that is not TLS, or a version that is too old.

use std::io::{self, Read};

use crate::net::socket::Socket;

/// As many bytes as it takes to read the version of a ClientHello.
#[derive(Default)]
pub(super) struct Beginning {
    bytes: [u8; 11],
    length: usize,
}

impl Beginning {
    fn note(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(self.bytes.len() - self.length);
        self.bytes[self.length..][..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }

    /// Whether it is plain HTTP: no record begins with a letter (RFC 8446, 5.1), and every request does.
    pub(super) fn is_request(&self) -> bool {
        self.length > 0 && self.bytes[0].is_ascii_uppercase()
    }

    /// The alert for a client that speaks nothing from TLS 1.2 on. It must be `protocol_version` (RFC 5246, E.1), but
    /// rustls misses the extensions of 1.2 before it looks at the version, and says `handshake_failure`.
    pub(super) fn too_old(&self) -> Option<[u8; 7]> {
        let [HANDSHAKE, _, _, _, _, CLIENT_HELLO, _, _, _, 3, minor] = self.bytes else { return None };
        (self.length == self.bytes.len() && minor < TLS_1_2).then_some([ALERT, 3, minor, 0, 2, FATAL, PROTOCOL_VERSION])
    }
}

/// A socket whose first bytes are noted.
pub(super) struct Noted<'a> {
    pub(super) socket: &'a mut Socket,
    pub(super) beginning: &'a mut Beginning,
}

impl Read for Noted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.socket.read(buffer)?;
        self.beginning.note(&buffer[..length]);
        Ok(length)
    }
}

// Records (RFC 5246, 6.2.1), messages (7.4) and alerts (7.2). The version is 3 and this.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const FATAL: u8 = 2;
const PROTOCOL_VERSION: u8 = 70;
const TLS_1_2: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(bytes: &[u8]) -> Beginning {
        // However they come.
        let mut whole = Beginning::default();
        whole.note(bytes);
        let mut cut = Beginning::default();
        bytes.iter().for_each(|byte| cut.note(&[*byte]));
        assert_eq!((whole.bytes, whole.length), (cut.bytes, cut.length));
        whole
    }

    #[test]
    fn requests_are_told_from_all_else() {
        for (bytes, expected) in
            [(&b"GET / HTTP/1.1"[..], true), (b"P", true), (b"", false), (b"\x16\x03", false), (b"get", false)]
        {
            assert_eq!(beginning(bytes).is_request(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn an_old_client_is_told_so_in_its_version() {
        for (minor, expected) in [(0, true), (1, true), (2, true), (3, false), (4, false)] {
            let hello = [22, 3, 1, 0, 99, 1, 0, 0, 95, 3, minor, 7, 7];
            assert_eq!(beginning(&hello).too_old(), expected.then_some([21, 3, minor, 0, 2, 2, 70]), "{minor}");
            assert_eq!(beginning(&hello[..10]).too_old(), None);
        }
        for odd in [
            [21, 3, 1, 0, 99, 1, 0, 0, 95, 3, 1],
            [22, 3, 1, 0, 99, 2, 0, 0, 95, 3, 1],
            [22, 3, 1, 0, 99, 1, 0, 0, 95, 2, 1],
        ] {
            assert_eq!(beginning(&odd).too_old(), None);
        }
    }
}
