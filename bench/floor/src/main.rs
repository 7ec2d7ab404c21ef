//! The benchmark floor: what one thread with mio and a parser spends when it does nothing but answer.
//!
//! A server's cost is reported as a ratio to this program's, measured in the same minute on the same machine. It
//! therefore leaves out everything a real server needs: limits, deadlines, refusals with a status, keep-alive
//! decisions. It must never be exposed to a network.
//!
//! One module a mode; each takes a listener and runs until it is killed.

mod http;
mod realtime;

use std::{error::Error, io::Write, net::SocketAddr, process::ExitCode};

use clap::{Parser, ValueEnum};
use mio::net::TcpListener;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], options.port)))
        .map_err(|error| format!("cannot listen on 127.0.0.1:{}: {error}", options.port))?;
    announce(&listener)?;
    match options.mode {
        Mode::Http => http::serve(listener, options.response_bytes),
        Mode::Realtime => Ok(realtime::serve(listener)?),
    }
}

/// Tells whoever started the program which port the kernel chose.
fn announce(listener: &TcpListener) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()
}

/// The benchmark floor: a bare event loop that answers every request with the same bytes.
#[derive(Parser)]
struct Options {
    /// What to speak
    #[arg(value_enum, default_value_t = Mode::Http)]
    mode: Mode,

    /// Port on 127.0.0.1; 0 lets the kernel choose
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Size of one whole answer, head included, in bytes
    #[arg(long, default_value_t = http::HELLO_BYTES, value_name = "BYTES")]
    response_bytes: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// HTTP/1.1 with persistent connections, pipelining and request bodies by Content-Length
    Http,
    /// WebSockets and event streams: echo on /echo, messages of /publish to all of /subscribe
    Realtime,
}
