//! A whole server with no Ruby in it: the proof of the seam, and the ceiling for the binding.
//!
//! `cargo run --release -p iodine-core --example hello [ADDRESS [PORT]]`

use std::error::Error;
use std::sync::Arc;
use std::{env, thread};

use iodine_core::date;
use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_core::jobs::{Consumer, Job, JobQueue, Taken};
use iodine_core::net::address::Address;
use iodine_core::net::listener::BoundSocket;
use iodine_core::reactor::Reactor;
use iodine_core::reactor::leader::Leadership;
use iodine_core::settings::ListenerSettings;
use iodine_proto::http1::{Framing, Persistence, ResponseWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let host = env::args().nth(1).unwrap_or_else(|| "127.0.0.1".into());
    let port = env::args().nth(2).map_or(Ok(3000), |port| port.parse())?;
    let socket = BoundSocket::bind(&Address::Tcp { host: Some(host), port })?;
    println!("listening on {}", socket.address());

    let jobs = Arc::new(JobQueue::default());
    let reactor = Reactor::new(Arc::clone(&jobs))?;
    let handle = reactor.handle();
    handle.listen(socket.listener(0, ListenerSettings::Http(Arc::default()))?);

    let leadership = Arc::new(Leadership::new(reactor, true));
    let consumer = Consumer::new(jobs, Arc::clone(&leadership));
    thread::spawn(move || application(consumer, &handle));
    leadership.guard()?;
    Ok(())
}

fn application(mut consumer: Consumer, handle: &Handle) {
    while let Taken::Job(job) = consumer.take(|| false) {
        let mut next = Some(job);
        while let Some(job) = next {
            if let Job::Request(exchange) = job {
                answer_all(exchange, handle);
            }
            next = consumer.try_take();
        }
    }
}

fn answer_all(first: Box<Exchange>, handle: &Handle) {
    let mut next = Some(first);
    while let Some(mut exchange) = next {
        next = exchange.next.take();
        hello(&mut exchange);
        handle.answer(exchange);
    }
}

fn hello(exchange: &mut Exchange) {
    const BODY: &[u8] = b"Hello, World!";
    exchange.response.close = !exchange.head.keep_alive();
    let persistence = if exchange.response.close { Persistence::Close } else { Persistence::Default };
    let head = &mut exchange.response.head;
    let mut writer = ResponseWriter::new(head, 200);
    // A constant name and value are always valid.
    let _ = writer.field(b"content-type", b"text/plain");
    writer.finish(Framing::Length(BODY.len() as u64), persistence, &date::now());
    head.extend_from_slice(BODY);
}
