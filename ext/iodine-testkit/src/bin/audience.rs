//! Open WebSockets for a soak: `audience to=HOST:PORT clients=N churn=N`.
//!
//! It opens them and prints `open N in N ms`. Then it listens, and each second lets as many leave as `churn` says, and
//! others come. A line on its input ends that, and when all are subscribed it prints `ready`. The next line is a number:
//! it waits until all have heard it, and prints a result. At one more line it waits until the server has closed all
//! connections, and prints how. Failures end it with status 1.

use std::{
    error::Error,
    io,
    process::ExitCode,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use iodine_testkit::audience::Audience;

const TURN: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("audience: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut server, mut clients, mut churn) = (None, 0, 0);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=').ok_or("arguments are of the form name=value")? {
            ("to", value) => server = Some(value.parse()?),
            ("clients", value) => clients = value.parse()?,
            ("churn", value) => churn = value.parse()?,
            (name, _) => return Err(format!("there is no {name}").into()),
        }
    }
    let mut audience = Audience::new(server.ok_or("to=HOST:PORT is missing")?)?;
    let began = Instant::now();
    for number in 0..clients {
        audience.open()?;
        if number % 100 == 0 {
            audience.listen(Duration::ZERO)?;
        }
    }
    println!("open {clients} in {} ms", began.elapsed().as_millis());
    let orders = orders();
    come_and_go(&mut audience, churn, &orders)?;
    wait(&mut audience, "for all to be subscribed", Audience::are_all_ready)?;
    println!("ready");
    let last = orders.recv()?.parse()?;
    wait(&mut audience, "for all to hear the last number", |audience| audience.have_all_heard(last))?;
    print(&audience);
    orders.recv()?;
    wait(&mut audience, "for the server to close all connections", Audience::is_empty)?;
    print(&audience);
    Ok(())
}

fn come_and_go(audience: &mut Audience, churn: usize, orders: &Receiver<String>) -> Result<(), Box<dyn Error>> {
    let (began, mut changed) = (Instant::now(), 0);
    loop {
        audience.listen(TURN)?;
        let due = (churn as f64 * began.elapsed().as_secs_f64()) as usize;
        for _ in changed..due {
            audience.leave()?;
            audience.open()?;
        }
        changed = due;
        if audience.heard.ends + audience.heard.farewells > 0 {
            return Err("the server has closed a connection".into());
        }
        if orders.try_recv().is_ok() {
            return Ok(());
        }
    }
}

fn wait(audience: &mut Audience, event: &str, is_over: impl Fn(&Audience) -> bool) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while !is_over(audience) {
        if began.elapsed() > PATIENCE {
            return Err(format!("it waited {event} in vain, with {} connections", audience.len()).into());
        }
        audience.listen(TURN)?;
    }
    Ok(())
}

fn print(audience: &Audience) {
    let heard = audience.heard;
    println!(
        "result clients={} opened={} messages={} pings={} farewells={} ends={} spread_ms={}",
        audience.len(),
        audience.opened(),
        heard.messages,
        heard.pings,
        heard.farewells,
        heard.ends,
        audience.spread().as_millis(),
    );
}

/// The lines of the input.
fn orders() -> Receiver<String> {
    let (give, given) = channel();
    thread::spawn(move || io::stdin().lines().map_while(Result::ok).try_for_each(|line| give.send(line)));
    given
}
