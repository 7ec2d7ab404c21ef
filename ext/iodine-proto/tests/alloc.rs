//! A connection in its stride allocates nothing in this crate.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use iodine_proto::http1::{
    BodyReader, Framing, Head, HeadLimits, HeadReader, Persistence, ResponseWriter, chunk_head, date,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches a thread-local that needs neither
// allocation nor destruction.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
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
fn none_after_the_first_request() {
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
        serve(input.as_bytes(), &mut reader, &mut head, &mut out);
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
