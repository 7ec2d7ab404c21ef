//! Sockets that leave the reactor for the application.

use std::os::fd::IntoRawFd;

use iodine_core::exchange::Exchange;
use iodine_core::handle::Handle;
use iodine_core::handover::{Handover, Hijacked, Interrupter, Waited};
use iodine_core::reactor::ConnectionId;
use magnus::prelude::*;
use magnus::{Error, RClass, Ruby, Value};

use crate::gvl;

/// Where the environment has the IO once it is taken (Rack SPEC, "Hijacking").
pub(super) const IO_KEY: &str = "rack.hijack_io";

/// Has the reactor hand over a connection's socket once all that was written has left. `behind` are requests that were
/// read ahead; their bytes are unread again.
///
/// # Errors
/// `IOError` when the connection is gone. When an interrupt raises or ends the thread; the connection is closed then.
pub(super) fn take_socket(
    ruby: &Ruby,
    handle: &Handle,
    connection: ConnectionId,
    behind: Option<Box<Exchange>>,
) -> Result<Hijacked, Error> {
    let mut hijacked = wait(ruby, &handle.hijack(connection))?;
    let mut unread = behind.map(Exchange::into_bytes).unwrap_or_default();
    unread.append(&mut hijacked.unread);
    hijacked.unread = unread;
    Ok(hijacked)
}

/// The reactor answers in its next turn, unless the peer does not read what was written before: until the write timeout.
fn wait(ruby: &Ruby, handover: &Handover) -> Result<Hijacked, Error> {
    loop {
        let interrupter = Interrupter::default();
        match gvl::without(ruby, || handover.wait(&interrupter), || handover.interrupt(&interrupter)) {
            Some(Waited::Taken(hijacked)) => return Ok(hijacked),
            Some(Waited::Gone) => {
                return Err(Error::new(ruby.exception_io_error(), "the connection was closed by the peer"));
            }
            Some(Waited::Interrupted) | None => gvl::check_interrupts(ruby)?,
        }
    }
}

/// A Ruby socket for a hijacked connection. Bytes that were read already are put back.
pub(super) fn io_of(ruby: &Ruby, hijacked: Hijacked) -> Result<Value, Error> {
    let class: RClass = ruby.class_object().const_get("Socket")?;
    // From here on the descriptor is the Ruby object's.
    let io: Value = class.funcall("for_fd", (hijacked.socket.into_raw_fd(),))?;
    io.funcall::<_, _, Value>("sync=", (true,))?;
    if !hijacked.unread.is_empty() {
        io.funcall::<_, _, Value>("ungetbyte", (ruby.str_from_slice(&hijacked.unread),))?;
    }
    Ok(io)
}
