//! The application's threads: made by Ruby, they take jobs from the core and run them under the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iodine_core::handle::Handle;
use iodine_core::jobs::{Consumer, Job, Taken};
use iodine_core::reactor::leader::Leadership;
use magnus::error::ErrorType;
use magnus::prelude::*;
use magnus::value::LazyId;
use magnus::{Error, RModule, Ruby, Value};

use crate::connection;
use crate::gvl;
use crate::pubsub;
use crate::rack::{Applications, serve};

/// Runs jobs until the queue is closed, or one of them has ended the thread (`Thread#kill`), or has made another process
/// of it (`fork`). One take of the lock serves all the jobs that are there.
///
/// # Errors
/// When Ruby ends the thread while it waits (`Thread#kill`, an exception raised into it).
pub(crate) fn work(
    ruby: &Ruby,
    handle: &Handle,
    leadership: &Arc<Leadership>,
    applications: &Arc<Applications>,
) -> Result<(), Error> {
    let mut consumer = Consumer::new(Arc::clone(handle.jobs()), Arc::clone(leadership));
    loop {
        match park(ruby, handle, leadership, &mut consumer) {
            Taken::Job(job) => {
                let mut next = Some(job);
                while let Some(job) = next {
                    let ran = run(ruby, handle, applications, job);
                    if applications.are_left() {
                        // The lock of the queue may have been taken when the process was copied.
                        std::mem::forget(consumer);
                        return ran.or_else(|error| leave(ruby, error));
                    }
                    if let Err(error) = ran {
                        return leave(ruby, error);
                    }
                    next = consumer.try_take();
                }
            }
            Taken::Interrupted => gvl::check_interrupts(ruby)?,
            Taken::Closed => return Ok(()),
        }
    }
}

/// The end of the thread may have been put off for the sake of a response, and then cannot be resumed: Ruby would look
/// for the rest of it in `$!`. Who called us has nothing left to do, so to return is to end the thread.
fn leave(ruby: &Ruby, error: Error) -> Result<(), Error> {
    if !is_jump(&error) {
        return Err(error);
    }
    gvl::forget_jump(ruby);
    Ok(())
}

fn park(ruby: &Ruby, handle: &Handle, leadership: &Leadership, consumer: &mut Consumer) -> Taken {
    let interrupted = AtomicBool::new(false);
    let unblock = || {
        interrupted.store(true, Ordering::SeqCst);
        handle.jobs().interrupt();
        leadership.interrupt();
    };
    gvl::without(ruby, || consumer.take(|| interrupted.load(Ordering::SeqCst)), unblock).unwrap_or(Taken::Interrupted)
}

fn run(ruby: &Ruby, handle: &Handle, applications: &Arc<Applications>, job: Job) -> Result<(), Error> {
    static FIRE: LazyId = LazyId::new("fire");
    static RUN_TASK: LazyId = LazyId::new("run_task");
    static IDLE: LazyId = LazyId::new("idle");
    static ORPHANED: LazyId = LazyId::new("orphaned");
    match job {
        Job::Request(exchange) => serve(ruby, handle, applications, exchange),
        Job::Client(client) => connection::deliver(ruby, applications, &client),
        Job::Subscription(subscription) => pubsub::deliver(ruby, handle, subscription),
        Job::Listener(listener) => pubsub::inform(ruby, handle, listener),
        Job::Orphaned => base(ruby)?.const_get::<_, RModule>("Server")?.funcall::<_, _, Value>(*ORPHANED, ()).map(drop),
        Job::Timer(id) => scheduler(ruby)?.funcall::<_, _, Value>(*FIRE, (id.0,)).map(drop),
        Job::Task(id) => scheduler(ruby)?.funcall::<_, _, Value>(*RUN_TASK, (id,)).map(drop),
        Job::Idle => scheduler(ruby)?.funcall::<_, _, Value>(*IDLE, ()).map(drop),
    }
}

fn scheduler(ruby: &Ruby) -> Result<RModule, Error> {
    base(ruby)?.const_get("Scheduler")
}

/// `Iodine::Base`
pub(crate) fn base(ruby: &Ruby) -> Result<RModule, Error> {
    ruby.class_object().const_get::<_, RModule>("Iodine")?.const_get("Base")
}

/// Tells the user about an exception of the application, in Ruby, where backtraces and log levels are known.
pub(crate) fn report(ruby: &Ruby, error: &Error, place: &str) {
    static REPORT: LazyId = LazyId::new("report");
    let Some(exception) = exception_of(error) else {
        return log::error!("{place}: the thread was told to stop");
    };
    let reported = base(ruby).and_then(|base| base.funcall::<_, _, Value>(*REPORT, (exception, place)));
    if let Err(failure) = reported {
        log::error!("{place}: {error} (and the report failed: {failure})");
    }
}

/// The exception that an error is, or is raised as. `None` when it is the end of the thread.
pub(crate) fn exception_of(error: &Error) -> Option<Value> {
    match error.error_type() {
        ErrorType::Exception(exception) => Some(exception.as_value()),
        ErrorType::Error(class, message) => {
            class.new_instance((message.as_ref(),)).ok().map(|exception| exception.as_value())
        }
        ErrorType::Jump(_) => None,
    }
}

/// What the user's code ended with at `place`: an exception is told and goes no further; the end of the thread does.
///
/// # Errors
/// The end of the thread, which is forgotten for now: what is owed to the peer and to the application comes first.
pub(crate) fn conclude(ruby: &Ruby, error: Error, place: &str) -> Result<(), Error> {
    report(ruby, &error, place);
    if is_jump(&error) {
        gvl::forget_jump(ruby);
        return Err(error);
    }
    Ok(())
}

/// Whether the error is no exception but the end of the thread.
pub(crate) fn is_jump(error: &Error) -> bool {
    matches!(error.error_type(), ErrorType::Jump(_))
}
