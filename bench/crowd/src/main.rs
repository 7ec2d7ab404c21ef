//! The load that wrk cannot make: clients that keep their connections and are written to.
//!
//! ```text
//! crowd echo --port P --connections 100      each sends a message, waits for it, sends it again
//! crowd fan-out --port P --connections 1000  one publishes, all wait for it, it publishes again
//! crowd idle --port P --connections 10000    they are there
//! ```
//!
//! It opens the connections, prints `ready`, and waits for a line on its input: so whoever started it can read clocks and
//! meters without the cost of the handshakes. After `--seconds` it prints `result messages=... duration_us=...`, and
//! leaves when its input ends. Every byte that comes is compared with what must come.

mod client;
mod load;

use std::{error::Error, io, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

use client::Kind;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crowd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let kind = if options.event_stream { Kind::EventStream } else { Kind::WebSocket };
    let path = match options.mode {
        Mode::Echo => "/echo",
        Mode::FanOut => "/subscribe",
        Mode::Idle => "/idle",
    };
    let clients = client::open_all(options.port, path, kind, options.connections)?;
    let payload = vec![b'x'; options.bytes];
    let length = Duration::from_secs(options.seconds);
    match options.mode {
        Mode::Echo => {
            await_line("ready")?;
            load::echo(clients, &payload, length)?.print();
        }
        Mode::FanOut => {
            let publisher = client::open_all(options.port, "/publish", Kind::WebSocket, 1)?;
            await_line("ready")?;
            load::fan_out(clients, publisher, kind, &payload, length)?.print();
        }
        Mode::Idle => await_line("ready")?,
    }
    await_end()
}

fn await_line(announcement: &str) -> io::Result<()> {
    println!("{announcement}");
    io::stdin().read_line(&mut String::new()).map(drop)
}

fn await_end() -> Result<(), Box<dyn Error>> {
    Ok(io::copy(&mut io::stdin(), &mut io::sink()).map(drop)?)
}

/// Clients for the benchmarks of WebSockets and event streams.
#[derive(Parser)]
struct Options {
    /// What the clients do
    #[arg(value_enum)]
    mode: Mode,

    /// Port on 127.0.0.1
    #[arg(long)]
    port: u16,

    /// How many there are
    #[arg(long, default_value_t = 100)]
    connections: usize,

    /// Size of a message
    #[arg(long, default_value_t = 32)]
    bytes: usize,

    /// How long messages are sent
    #[arg(long, default_value_t = 4)]
    seconds: u64,

    /// Receive by Server-Sent Events instead of WebSockets
    #[arg(long)]
    event_stream: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Echo,
    FanOut,
    Idle,
}
