//! What must not be sent.

use iodine_proto::websocket::{CloseCode, Error, Event, Reader, Role};

use crate::feed::{self, both, masked, plain};

#[test]
fn refusals() {
    let table: &[(Vec<Vec<u8>>, Error)] = &[
        // Bits without meaning here.
        (vec![masked(0xc1, b"a")], Error::ReservedBits),
        (vec![masked(0xa1, b"a")], Error::ReservedBits),
        (vec![masked(0x91, b"a")], Error::ReservedBits),
        (vec![masked(0xc9, b"a")], Error::ReservedBits),
        (vec![masked(0x01, b"a"), masked(0xc0, b"a")], Error::ReservedBits),
        // Opcodes without meaning.
        (vec![masked(0x83, b"")], Error::Opcode),
        (vec![masked(0x87, b"a")], Error::Opcode),
        (vec![masked(0x8b, b"")], Error::Opcode),
        (vec![masked(0x8f, b"a")], Error::Opcode),
        // Masking.
        (vec![plain(0x81, b"a")], Error::Unmasked),
        (vec![plain(0x89, b"")], Error::Unmasked),
        (vec![plain(0x88, b"")], Error::Unmasked),
        // Lengths in more bytes than they need, and of 64 bits.
        (vec![b"\x82\xfe\x00\x7d\0\0\0\0".to_vec()], Error::Length),
        (vec![b"\x82\xff\0\0\0\0\0\0\0\x7d\0\0\0\0".to_vec()], Error::Length),
        (vec![b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0".to_vec()], Error::Length),
        (vec![b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec()], Error::Length),
        (vec![b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec()], Error::Length),
        (vec![b"\x89\xfe\x00\x05\0\0\0\0".to_vec()], Error::Length),
        // Control frames.
        (vec![masked(0x09, b"a")], Error::FragmentedControl),
        (vec![masked(0x0a, b"")], Error::FragmentedControl),
        (vec![masked(0x08, b"\x03\xe8")], Error::FragmentedControl),
        (vec![masked(0x89, &[0; 126])], Error::LongControl),
        (vec![masked(0x8a, &[0; 70_000])], Error::LongControl),
        (vec![b"\x88\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec()], Error::LongControl),
        // Continuations.
        (vec![masked(0x80, b"")], Error::StrayContinuation),
        (vec![masked(0x00, b"a")], Error::StrayContinuation),
        (vec![masked(0x01, b"a"), masked(0x80, b"b"), masked(0x80, b"c")], Error::StrayContinuation),
        (vec![masked(0x01, b"a"), masked(0x81, b"b")], Error::Interleaved),
        (vec![masked(0x02, b"a"), masked(0x02, b"b")], Error::Interleaved),
        (vec![masked(0x01, b"a"), masked(0x89, b""), masked(0x01, b"b")], Error::Interleaved),
        // Close frames.
        (vec![masked(0x88, b"\x03")], Error::CloseLength),
        (vec![masked(0x88, b"\x03\xec")], Error::CloseCode),
        (vec![masked(0x88, b"\x03\xedx")], Error::CloseCode),
        (vec![masked(0x88, b"\x03\xe8\xc0")], Error::Utf8),
        // Sizes.
        (vec![masked(0x82, &[0; feed::MAX + 1])], Error::TooBig),
        (vec![masked(0x02, &[0; 2]), masked(0x80, &[0; feed::MAX - 1])], Error::TooBig),
        (vec![b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec()], Error::TooBig),
        (vec![masked(0x02, b"a"), b"\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec()], Error::TooBig),
    ];
    for (frames, error) in table {
        // The first mistake counts, and what was good before it.
        let input = [masked(0x8a, b"good"), frames.concat(), masked(0x83, b"")].concat();
        let outcome = feed::events(Role::Server, &input);
        assert_eq!((outcome.events.first(), outcome.error), (Some(&Event::Pong(b"good".to_vec())), Some(*error)));
    }
}

#[test]
fn a_server_does_not_mask() {
    let outcome = feed::events(Role::Client, &masked(0x81, b"a"));
    assert_eq!(outcome.error, Some(Error::Masked));
}

#[test]
fn compression_marks_the_first_frame_alone() {
    let reader = || Reader::new(Role::Server, feed::MAX, both(15, true));
    for frames in [
        vec![masked(0xc9, b"a")],
        vec![masked(0xc8, b"")],
        vec![masked(0x41, b"\xf2"), masked(0xc0, b"a")],
        vec![masked(0x01, b"a"), masked(0xc0, b"a")],
        vec![masked(0xe1, b"a")],
    ] {
        assert_eq!(feed::everywhere(&frames.concat(), reader).error, Some(Error::ReservedBits));
    }
}

#[test]
fn text_that_is_not_utf8() {
    let table: &[&[u8]] = &[
        b"\xff",
        b"\x80",
        b"a\xc0\x80",
        b"\xc3",
        b"\xc3a",
        b"\xe2\x82",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf0\x9d\x84",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ];
    for text in table {
        let error = Some(Error::Utf8);
        assert_eq!(feed::events(Role::Server, &masked(0x81, text)).error, error, "{}", text.escape_ascii());
        for cut in 0..text.len() {
            let (first, second) = text.split_at(cut);
            let fragments = [masked(0x01, first), masked(0x89, b""), masked(0x80, second)].concat();
            assert_eq!(feed::events(Role::Server, &fragments).error, error, "{} cut at {cut}", text.escape_ascii());
        }
    }
}

#[test]
fn mistakes_show_before_the_frame_is_complete() {
    let table: &[(&[u8], Error)] = &[
        // A header, without its payload.
        (b"\x82\xff\0\0\0\0\0\x0f\0\0\0\0\0\0", Error::TooBig),
        (b"\x89\xfe\x00\x7e\0\0\0\0", Error::LongControl),
        // Of a payload of 100 bytes, up to the first that cannot be in a text.
        (b"\x81\xe4\0\0\0\0ab\xff", Error::Utf8),
        (b"\x81\xe4\0\0\0\0ab\xf4\x90", Error::Utf8),
        (b"\x81\xe4\0\0\0\0ab\xed\xa0", Error::Utf8),
    ];
    for (input, error) in table {
        assert_eq!(feed::events(Role::Server, input).error, Some(*error), "{}", input.escape_ascii());
        assert_eq!(feed::events(Role::Server, &input[..input.len() - 1]).error, None, "{}", input.escape_ascii());
    }
}

#[test]
fn codes_to_close_with() {
    assert_eq!(Error::Opcode.close_code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(Error::Utf8.close_code(), CloseCode::INVALID_DATA);
    assert_eq!(Error::Deflate.close_code(), CloseCode::INVALID_DATA);
    assert_eq!(Error::TooBig.close_code(), CloseCode::TOO_BIG);
}
