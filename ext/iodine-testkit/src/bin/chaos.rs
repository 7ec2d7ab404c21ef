//! A bad network for specs: `chaos to=HOST:PORT [seed=N] [delay_us=N] [pieces=N] [harm=PERCENT] [within=BYTES]
//! [ends=close,half,reset]`, as [`Faults`] says it.
//!
//! It prints `port N`, and a line for each connection that it harms. A line `calm` on its input ends that; the end of its
//! input ends it.

use std::{
    error::Error,
    io::{self, BufRead},
    process::ExitCode,
    time::Duration,
};

use iodine_testkit::chaos::{End, Faults, Harm, Proxy};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut server = None;
    let mut faults = Faults::default();
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').ok_or("arguments are of the form name=value")?;
        match name {
            "to" => server = Some(value.parse()?),
            "seed" => faults.seed = value.parse()?,
            "delay_us" => faults.delay = Duration::from_micros(value.parse()?),
            "pieces" => faults.pieces = value.parse()?,
            "harm" => faults.harm = value.parse()?,
            "within" => faults.within = value.parse()?,
            "ends" => faults.ends = value.split(',').map(end).collect::<Result<_, _>>()?,
            _ => return Err(format!("there is no {name}").into()),
        }
    }
    let proxy = Proxy::start(server.ok_or("to=HOST:PORT is missing")?, faults, print)?;
    println!("port {}", proxy.address().port());
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "calm" => proxy.calm(),
            other => return Err(format!("{other} is no command").into()),
        }
    }
    Ok(())
}

fn end(name: &str) -> Result<End, String> {
    match name {
        "close" => Ok(End::Close),
        "half" => Ok(End::HalfClose),
        "reset" => Ok(End::Reset),
        _ => Err(format!("{name} is no end of a connection")),
    }
}

fn print(harm: Harm) {
    let Harm { number, port, fate } = harm;
    println!("harmed {port}: connection {number}, {:?} {:?} after {} bytes", fate.end, fate.way, fate.after);
}
