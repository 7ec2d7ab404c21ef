//! The reactor's remote control: what any thread may ask of it.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use iodine_proto::websocket::{Close, DeflateSettings, Deflater, Window, WindowBits};
use mio::Waker;

use crate::client::Client;
use crate::connection::gate::Gate;
use crate::exchange::Exchange;
use crate::handover::{Giver, Handover};
use crate::jobs::{Job, JobQueue};
use crate::metrics::Sheet;
use crate::net::Listener;
use crate::net::descriptor::Descriptor;
use crate::pubsub::{self, End};
use crate::reactor::{Connect, ConnectionId, TimerId};
use crate::settings::WriteLimits;

/// Sends commands to a reactor. Cheap to clone; commands of one thread are carried out in order.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    commands: Mutex<Vec<Command>>,
    /// True while the reactor is in `poll`, or about to enter it after a look at `commands`.
    sleeping: AtomicBool,
    draining: AtomicBool,
    /// This process was forked from that of the reactor.
    disowned: AtomicBool,
    /// Somebody waits for `Job::Idle`.
    wants_idle: AtomicBool,
    waker: Waker,
    jobs: Arc<JobQueue>,
    sheet: Sheet,
    /// Those that the WebSockets of the process share: one for each size of the window, from the smallest on.
    deflaters: [Mutex<Deflater>; WINDOWS],
}

/// What a reactor is asked to do.
pub(crate) enum Command {
    Answer(Box<Exchange>),
    /// Bytes of a response that is still being produced.
    Write(ConnectionId, Bytes),
    /// A part of a file, as a part of a response that is still being produced.
    WriteFile(ConnectionId, File, u64, u64),
    /// A response that begins with these bytes is being produced; `Gate` holds its producer back.
    Stream(ConnectionId, Vec<u8>, Arc<Gate>),
    /// The producer of the response failed; the exchange has another one, for the case that nothing was sent yet.
    Fail(Box<Exchange>),
    Abort(ConnectionId),
    Hijack(ConnectionId, Giver),
    /// The response in the exchange is the last of HTTP: from then on the connection is the client's.
    Upgrade(Box<Exchange>, Client),
    /// Bytes of a client, framed.
    WriteClient(Client, Bytes),
    CloseClient(Client, Close),
    /// A descriptor that becomes the client's connection.
    Attach(Descriptor, Client, WriteLimits),
    Connect(Box<Connect>),
    /// Something that bears on the client's connection has changed.
    Review(Client),
    PubSub(pubsub::Request),
    Timer(TimerId, Duration),
    CancelTimer(TimerId),
    Listen(Listener),
    Drain(Drain),
    /// Nothing but the end of a sleep.
    Nudge,
    /// A job was queued from outside: there is work.
    Work,
    Pause,
}

/// How long a reactor that has been told to leave waits.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// For idle connections, to send one request more, whose answer then says `connection: close`. A client that has
    /// just sent it would otherwise find its connection reset.
    pub patience: Duration,
    /// For all connections; what is left then is cut off.
    pub deadline: Duration,
}

impl Handle {
    pub(crate) fn new(waker: Waker, jobs: Arc<JobQueue>, sheet: Sheet) -> Self {
        Self(Arc::new(Shared {
            commands: Mutex::default(),
            sleeping: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            disowned: AtomicBool::new(false),
            wants_idle: AtomicBool::new(false),
            waker,
            jobs,
            sheet,
            deflaters: std::array::from_fn(|index| Mutex::new(deflater(index))),
        }))
    }

    /// Sends the answer that is in `exchange.response`, or ends an answer that was streamed. Ignored when the
    /// connection is gone.
    pub fn answer(&self, exchange: Box<Exchange>) {
        self.send(Command::Answer(exchange));
    }

    /// Starts an answer that is produced bit by bit, with its head; `answer` or `fail` ends it.
    ///
    /// The head leaves with the first bytes of the body, or in a moment when they take their time.
    pub fn stream(&self, connection: ConnectionId, head: Vec<u8>) -> Stream {
        let gate = Arc::new(Gate::default());
        self.send(Command::Stream(connection, head, Arc::clone(&gate)));
        Stream { handle: self.clone(), connection, gate }
    }

    /// Breaks off an answer that was being produced: what there is of it leaves, and the connection is closed, so that
    /// the peer cannot take it for complete. When nothing has left yet, `exchange.response` is sent instead.
    pub fn fail(&self, exchange: Box<Exchange>) {
        self.send(Command::Fail(exchange));
    }

    /// Writes bytes ahead of the answer: an interim response (RFC 9110, 15.2).
    pub fn interim(&self, connection: ConnectionId, bytes: Vec<u8>) {
        self.send(Command::Write(connection, bytes.into()));
    }

    /// Takes the connection out of the reactor once what was written has left.
    pub fn hijack(&self, connection: ConnectionId) -> Handover {
        let (handover, giver) = Handover::new();
        self.send(Command::Hijack(connection, giver));
        handover
    }

    /// Sends the answer that is in `exchange.response`, and changes the protocol of the connection to that of `client`,
    /// which is told of all that happens from then on. When the connection is gone, that is its end.
    pub fn upgrade(&self, exchange: Box<Exchange>, client: Client) {
        self.send(Command::Upgrade(exchange, client));
    }

    /// Makes a raw connection of a descriptor. The caller has told the application that it is open. When it cannot be
    /// watched, for there are too many, that is the end of the client.
    pub fn attach(&self, descriptor: Descriptor, client: Client, writes: WriteLimits) {
        self.send(Command::Attach(descriptor, client, writes));
    }

    /// Opens a connection, of which the client is told; its end, if it does not come about.
    pub fn connect(&self, connect: Connect) {
        self.send(Command::Connect(Box::new(connect)));
    }

    /// Closes the connection now; what was not written yet is lost.
    pub fn abort(&self, connection: ConnectionId) {
        self.send(Command::Abort(connection));
    }

    /// Queues [`Job::Timer`](crate::jobs::Job::Timer) in `delay`. Setting a timer again replaces its time.
    pub fn set_timer(&self, timer: TimerId, delay: Duration) {
        self.send(Command::Timer(timer, delay));
    }

    /// Forgets a timer.
    pub fn cancel_timer(&self, timer: TimerId) {
        self.send(Command::CancelTimer(timer));
    }

    /// Starts to accept on one more socket.
    pub fn listen(&self, listener: Listener) {
        self.send(Command::Listen(listener));
    }

    /// Stops accepting, lets running requests finish, and closes connections as [`Drain`] says. The reactor returns
    /// when no connection is left.
    pub fn drain(&self, times: Drain) {
        self.0.draining.store(true, Ordering::Relaxed);
        self.send(Command::Drain(times));
    }

    /// Whether answers should close their connection because the process is about to leave.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Asks for one [`Job::Idle`](crate::jobs::Job::Idle), the next time there is nothing left to do after some work.
    pub fn notify_idle(&self) {
        self.0.wants_idle.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// In a process that was forked from the reactor's, and has no business with it: from now on nothing is sent, and
    /// connections are gone.
    pub fn disown(&self) {
        self.0.disowned.store(true, Ordering::Relaxed);
    }

    fn is_disowned(&self) -> bool {
        self.0.disowned.load(Ordering::Relaxed)
    }

    pub(crate) fn wants_idle(&self) -> bool {
        self.0.wants_idle.load(Ordering::Relaxed)
    }

    pub(crate) fn take_wants_idle(&self) -> bool {
        self.wants_idle() && self.0.wants_idle.swap(false, Ordering::Relaxed)
    }

    /// Connects this process, at one end, with another one of the cluster. `limits` say how many bytes may wait for that
    /// one, beyond which messages are dropped, and for how long it may take nothing.
    pub fn join(&self, end: End, socket: UnixStream, limits: WriteLimits) {
        self.request(pubsub::Request::Join(end, socket, limits));
    }

    /// Queues a job from any thread.
    pub fn push_job(&self, job: Job) {
        self.0.jobs.push(job);
        // It may be the leader's: that looks at the queue between two turns.
        self.send(Command::Work);
    }

    /// Ends the reactor's sleep.
    pub(crate) fn nudge(&self) {
        self.send(Command::Nudge);
    }

    /// Ends the reactor's turns, with all of its state kept, so that the process may fork.
    pub fn pause(&self) {
        self.send(Command::Pause);
    }

    /// What this process counts on.
    pub fn sheet(&self) -> Sheet {
        self.0.sheet
    }

    /// The queue that the reactor's jobs go to.
    pub fn jobs(&self) -> &Arc<JobQueue> {
        &self.0.jobs
    }

    pub(crate) fn request(&self, request: pubsub::Request) {
        self.send(Command::PubSub(request));
    }

    /// The one for the messages to peers with this window that keep no context.
    pub(crate) fn deflater(&self, window: WindowBits) -> MutexGuard<'_, Deflater> {
        let index = usize::from(window.get() - WindowBits::MIN.get());
        self.0.deflaters[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(&self, command: Command) {
        if self.is_disowned() {
            return;
        }
        self.0.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.wake();
    }

    fn wake(&self) {
        // SeqCst on both sides: either this thread sees the reactor asleep, or the reactor sees what was sent.
        if self.0.sleeping.swap(false, Ordering::SeqCst)
            && let Err(error) = self.0.waker.wake()
        {
            log::error!("the reactor could not be woken: {error}");
        }
    }

    /// Swaps the commands that have come into `commands`, which must be empty.
    pub(crate) fn receive(&self, commands: &mut Vec<Command>) {
        std::mem::swap(&mut *self.0.commands.lock().unwrap_or_else(PoisonError::into_inner), commands);
    }

    /// Announces that the reactor is about to sleep. False: there are commands, do not.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.0.sleeping.store(true, Ordering::SeqCst);
        let empty = self.0.commands.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !empty {
            self.wake_up();
        }
        empty
    }

    pub(crate) fn wake_up(&self) {
        self.0.sleeping.store(false, Ordering::SeqCst);
    }
}

/// For the windows from [`WindowBits::MIN`] to [`WindowBits::MAX`].
const WINDOWS: usize = (WindowBits::MAX.get() - WindowBits::MIN.get()) as usize + 1;

/// That of a window. It takes no memory before its first message.
fn deflater(index: usize) -> Deflater {
    let bits = WindowBits::new(WindowBits::MIN.get() + index as u8).unwrap_or(WindowBits::MAX);
    Deflater::new(&DeflateSettings { outgoing: Window { bits, takeover: false }, ..DeflateSettings::default() })
}

/// The body of one answer while it is produced.
pub struct Stream {
    handle: Handle,
    connection: ConnectionId,
    gate: Arc<Gate>,
}

impl Stream {
    /// Appends bytes. False: the connection is gone, stop producing.
    ///
    /// Never blocks; ask [`is_full`](Self::is_full) and [`wait`](Self::wait) between two writes.
    pub fn write(&self, bytes: impl Into<Bytes>) -> bool {
        let bytes = bytes.into();
        let open = !self.handle.is_disowned() && self.gate.enter(bytes.len());
        if open && !bytes.is_empty() {
            self.handle.send(Command::Write(self.connection, bytes));
        }
        open
    }

    /// Appends a part of a file. False: the connection is gone.
    pub fn write_file(&self, file: File, offset: u64, length: u64) -> bool {
        let open = !self.is_closed();
        if open {
            self.handle.send(Command::WriteFile(self.connection, file, offset, length));
        }
        open
    }

    /// Whether more is queued than the peer should make us keep.
    pub fn is_full(&self) -> bool {
        !self.handle.is_disowned() && self.gate.is_full()
    }

    /// Waits until there is room again, the connection is gone, or `interrupted`. False: gone.
    pub fn wait(&self, interrupted: impl Fn() -> bool) -> bool {
        self.gate.wait(interrupted)
    }

    /// Makes a waiting producer ask its `interrupted` again.
    pub fn interrupt(&self) {
        self.gate.interrupt();
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_disowned() || self.gate.is_closed()
    }
}
