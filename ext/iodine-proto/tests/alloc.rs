//! A connection in its stride allocates nothing in this crate, but for the messages that it hands out.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use flate2::{Compress, Compression, FlushCompress};
use iodine_proto::http1::{
    BodyReader, Framing, Head, HeadLimits, HeadReader, Persistence, ResponseWriter, chunk_head, date,
};
use iodine_proto::websocket::{
    Deflate, DeflateSettings, Deflater, Encoder, Error, Event, Kind, Publication, Reader, Role, Window, WindowBits,
    encode_message, encode_ping, encode_pong,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches thread-locals that need neither
// allocation nor destruction.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + layout.size());
        PEAK.set(PEAK.get().max(LIVE.get()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // Memory of another thread, such as a test's name, may come to its end here.
        LIVE.set(LIVE.get().saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`, and all memory came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The bytes that `work` leaves allocated, and those it had at its peak.
fn memory<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, LIVE.get() - before, PEAK.get() - before)
}

fn both(bits: u8, takeover: bool) -> Deflate {
    let window = Window { bits: WindowBits::new(bits).unwrap(), takeover };
    Deflate { outgoing: window, incoming: window, min_size: 0 }
}

/// Reads messages and sends them back, as a server without compression does.
fn echo(mut input: &[u8], reader: &mut Reader, out: &mut Vec<u8>) {
    out.clear();
    while let Some(event) = reader.read(&mut input).unwrap() {
        match event {
            Event::Text(data) => encode_message(Kind::Text, &data, None, out),
            Event::Binary(data) => encode_message(Kind::Binary, &data, None, out),
            Event::Ping(data) => encode_pong(&data, None, out),
            Event::Pong(_) | Event::Close(_) => {}
        }
    }
}

/// Reads a request with a body and answers it.
fn serve(input: &[u8], reader: &mut HeadReader, head: &mut Head, out: &mut Vec<u8>) {
    out.clear();
    let mut at = reader.read(input, head).unwrap().unwrap();
    let mut body = BodyReader::new(head.body_length(), 1024).unwrap();
    loop {
        let step = body.read(&input[at..]).unwrap();
        at += step.consumed;
        if step.done {
            break;
        }
    }
    assert_eq!(at, input.len());
    let mut response = ResponseWriter::new(out, 200);
    response.field(b"Content-Type", b"text/plain").unwrap();
    response.finish(Framing::Length(12_345), Persistence::KeepAlive, &date::imf_fixdate(784_111_777));
    chunk_head(12_345, out);
}

#[test]
fn none_after_the_second_request() {
    let fields: String = (0..99).map(|number| format!("X-Field-{number}: value {number}\r\n")).collect();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nA: b\r\n\r\n";
    let table = [
        "GET / HTTP/1.1\r\nHost: a:3000\r\n\r\n".to_owned(),
        "POST http://[::1]:80/a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}{chunked}"),
    ];
    let mut reader = HeadReader::new(HeadLimits::default());
    let mut head = Head::default();
    let mut out = Vec::new();
    for input in &table {
        // From the second one on, the reader remembers the field lines.
        for _ in 0..2 {
            serve(input.as_bytes(), &mut reader, &mut head, &mut out);
        }
        let again = allocations(|| {
            for _ in 0..10 {
                head.clear();
                serve(input.as_bytes(), &mut reader, &mut head, &mut out);
            }
        });
        assert_eq!(again, 0, "{input:?}");
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0u8; 100]))), 1);
}

#[test]
fn an_idle_head_lets_go_of_a_large_one() {
    let mut reader = HeadReader::new(HeadLimits::default());
    let mut head = Head::default();
    let large = format!("GET / HTTP/1.0\r\n{}\r\n", format!("A: {}\r\n", "b".repeat(8000)).repeat(4));
    reader.read(large.as_bytes(), &mut head).unwrap().unwrap();
    head.clear();
    // Beyond the 16 KiB kept, the buffer has to grow again; the default `realloc` above counts as well.
    assert!(allocations(|| assert!(reader.read(large.as_bytes(), &mut head).is_ok())) > 0);
}

#[test]
fn one_for_each_message_of_a_websocket() {
    let key = Some([1, 2, 3, 4]);
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    let table: &[(Vec<u8>, usize)] = &[
        (encoded(&|out| encode_message(Kind::Text, b"hello", key, out)), 1),
        (encoded(&|out| encode_message(Kind::Binary, &[7; 60_000], key, out)), 1),
        (encoded(&|out| encode_message(Kind::Text, b"", key, out)), 0),
        (encoded(&|out| encode_ping(b"", key, out)), 0),
        (encoded(&|out| encode_ping(b"ping", key, out)), 1),
        (encoded(&|out| (0..10).for_each(|_| encode_message(Kind::Text, b"hello", key, out))), 10),
    ];
    let mut reader = Reader::new(Role::Server, 262_144, None);
    let mut out = Vec::new();
    for (input, expected) in table {
        echo(input, &mut reader, &mut out);
        assert_eq!(allocations(|| echo(input, &mut reader, &mut out)), *expected, "{:?}", &input[..6]);
    }
}

#[test]
fn none_for_a_compressed_message_that_is_sent() {
    let settings = DeflateSettings { min_size: 0, ..DeflateSettings::default() };
    let mut shared = Deflater::new(&settings);
    let mut out = Vec::new();
    for takeover in [false, true] {
        let mut encoder = Encoder::new(Some(both(15, takeover)));
        encoder.message(Kind::Text, &[b'a'; 1000], None, &mut shared, &mut out);
        let again = allocations(|| {
            for _ in 0..10 {
                out.clear();
                encoder.message(Kind::Text, &[b'b'; 1000], None, &mut shared, &mut out);
            }
        });
        assert_eq!(again, 0, "takeover {takeover}");
    }
}

#[test]
fn none_for_a_publication_beyond_the_first_connection() {
    let mut shared = Deflater::new(&DeflateSettings::default());
    let mut publication = Publication::new(Kind::Text, &[b'a'; 5000]);
    let mut encoders = [None, Some(both(15, false)), Some(both(15, true))].map(Encoder::new);
    let mut publish =
        || encoders.iter_mut().for_each(|encoder| drop(encoder.publication(&mut publication, &mut shared)));
    publish();
    assert_eq!(allocations(publish), 0);
}

#[test]
fn an_idle_websocket_is_small() {
    assert!(size_of::<Reader>() <= 200, "{}", size_of::<Reader>());
    assert_eq!((size_of::<Encoder>(), size_of::<Error>()), (16, 1));
    let settings = DeflateSettings { min_size: 0, ..DeflateSettings::default() };
    // Compression, the bytes an end holds to inflate with, and those to compress with.
    let table = [
        (None, 0..=0, 0..=0),
        (Some(both(15, false)), 0..=0, 0..=0),
        (Some(both(15, true)), 40_000..=48_500, 370_000..=380_500),
        (Some(both(9, true)), 40_000..=48_500, 240_000..=251_500),
    ];
    let mut shared = Deflater::new(&settings);
    let mut out = Vec::with_capacity(1000);
    Encoder::new(Some(both(15, false))).message(Kind::Text, b"warm", None, &mut shared, &mut out);
    for (deflate, inflating, deflating) in table {
        out.clear();
        let mut encoder = Encoder::new(deflate);
        let ((), held, _) = memory(|| encoder.message(Kind::Text, &[b'a'; 500], Some([0; 4]), &mut shared, &mut out));
        assert_eq!(out[0] & 0x40 > 0, deflate.is_some());
        assert!(deflating.contains(&held), "{deflate:?} compresses with {held}");
        let mut reader = Reader::new(Role::Server, 262_144, deflate);
        let ((), held, _) = memory(|| drop(reader.read(&mut &out[..]).unwrap()));
        assert!(inflating.contains(&held), "{deflate:?} inflates with {held}");
    }
}

#[test]
fn a_header_reserves_nothing() {
    let mut reader = Reader::new(Role::Server, 1 << 30, None);
    let (result, held, _) = memory(|| reader.read(&mut &b"\x82\xff\0\0\0\0\x30\0\0\0\0\0\0\0abc"[..]));
    assert_eq!(result, Ok(None));
    assert!(held < 100, "{held}");
}

/// 1 GiB of zeros in 1 MiB.
#[test]
fn a_bomb_takes_no_more_than_a_message() {
    let mut blocks = Vec::with_capacity(4096);
    Compress::new(Compression::best(), false).compress_vec(&[0; 1 << 20], &mut blocks, FlushCompress::Sync).unwrap();
    assert!(blocks.len() < blocks.capacity());
    let bomb = blocks.repeat(1024);
    let mut header = vec![0xc2, 0xff];
    header.extend((bomb.len() as u64).to_be_bytes());
    header.extend([0; 4]);

    const MAX: usize = 262_144;
    let mut reader = Reader::new(Role::Server, MAX, Some(both(15, true)));
    let (result, held, peak) = memory(|| {
        assert_eq!(reader.read(&mut &header[..]), Ok(None));
        reader.read(&mut &bomb[..])
    });
    assert_eq!((result, held), (Err(Error::TooBig), 0));
    // While the data grows, the old room is there with the new.
    assert!(peak < 2 * MAX + 50_000, "{peak}");
}
