//! Masking (RFC 6455 section 5.3).

/// What a client masks a frame with: four bytes that nobody can foresee, new ones for each frame.
pub type MaskKey = [u8; 4];

/// Masks bytes that begin at a multiple of four in the payload, or unmasks them.
pub(super) fn apply(key: MaskKey, bytes: &mut [u8]) {
    let wide = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The key as it applies to what follows so many bytes.
pub(super) fn rotate(mut key: MaskKey, by: usize) -> MaskKey {
    key.rotate_left(by % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_by_its_place() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for length in 0..70 {
            let plain: Vec<u8> = (0..length).map(|byte| byte * 3).collect();
            let expected: Vec<u8> = plain.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            let mut whole = plain.clone();
            apply(key, &mut whole);
            assert_eq!(whole, expected, "{length}");
            for cut in 0..=plain.len() {
                let mut pieces = plain.clone();
                let (first, second) = pieces.split_at_mut(cut);
                apply(key, first);
                apply(rotate(key, cut), second);
                assert_eq!(pieces, expected, "{length} cut at {cut}");
            }
        }
    }
}
