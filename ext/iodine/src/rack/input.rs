//! `rack.input`: the request body as an IO-like object (Rack SPEC, "The Input Stream").

use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iodine_core::exchange::{BodySource, RequestBody};
use magnus::prelude::*;
use magnus::scan_args::scan_args;
use magnus::value::Opaque;
use magnus::{Error, RModule, RString, Ruby, Value, method};

use crate::class;

/// Bytes read at a time while looking for the end of a line.
const LINE_CHUNK: usize = 8 << 10;

/// The server's end of an input object. The application's end is empty once this one is dropped, so that memory and
/// temporary file are given back though it may keep its environment.
pub(super) struct Input {
    reader: Arc<Mutex<Reader>>,
    length: u64,
    object: Opaque<Value>,
}

/// What the application holds. Empty once the response is complete.
#[magnus::wrap(class = "Iodine::Base::RackIO")]
struct RackIO(Arc<Mutex<Reader>>);

struct Reader {
    body: RequestBody,
    position: u64,
}

impl Input {
    /// Takes the body out of an exchange. `None` when there is none: the template has an empty input.
    pub(super) fn of(ruby: &Ruby, body: &mut RequestBody) -> Option<Self> {
        if body.is_empty() {
            return None;
        }
        let length = body.len();
        let reader = Arc::new(Mutex::new(Reader { body: std::mem::take(body), position: 0 }));
        let object = ruby.obj_wrap(RackIO(Arc::clone(&reader))).as_value().into();
        Some(Self { reader, length, object })
    }

    /// The object. Valid while it is on the stack or in an environment, as for any `Value`.
    pub(super) fn value(&self, ruby: &Ruby) -> Value {
        ruby.get_inner(self.object)
    }

    /// The object, for who marks it.
    pub(super) fn object(&self) -> Opaque<Value> {
        self.object
    }

    /// Bytes in the body.
    pub(super) fn len(&self) -> u64 {
        self.length
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        lock(&self.reader).close();
    }
}

impl RackIO {
    fn read(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<Option<RString>, Error> {
        let arguments = scan_args::<(), (Option<Option<i64>>, Option<Option<RString>>), (), (), (), ()>(arguments)?;
        let (length, buffer) = arguments.optional;
        let mut reader = lock(&this.0);
        let data = match length.flatten() {
            None => Some(reader.read(u64::MAX).map_err(|error| io_error(ruby, &error))?),
            Some(length) => {
                let length = u64::try_from(length).map_err(|_| {
                    Error::new(
                        ruby.exception_range_error(),
                        format!("negative length {length} given to rack.input.read"),
                    )
                })?;
                let data = reader.read(length).map_err(|error| io_error(ruby, &error))?;
                (length == 0 || !data.is_empty()).then_some(data)
            }
        };
        drop(reader);
        fill(ruby, data, buffer.flatten())
    }

    fn gets(ruby: &Ruby, this: &Self) -> Result<Option<RString>, Error> {
        let line = lock(&this.0).line().map_err(|error| io_error(ruby, &error))?;
        Ok((!line.is_empty()).then(|| ruby.str_from_slice(&line)))
    }

    fn each(ruby: &Ruby, this: magnus::typed_data::Obj<Self>) -> Result<Value, Error> {
        if !ruby.block_given() {
            return Ok(this.enumeratorize("each", ()).as_value());
        }
        lock(&this.0).position = 0;
        while let Some(line) = Self::gets(ruby, &this)? {
            ruby.yield_value::<_, Value>(line)?;
        }
        Ok(this.as_value())
    }

    fn rewind(&self) -> i64 {
        lock(&self.0).position = 0;
        0
    }

    fn close(&self) {
        lock(&self.0).close();
    }

    fn size(&self) -> u64 {
        lock(&self.0).body.len()
    }

    fn is_at_end(&self) -> bool {
        let reader = lock(&self.0);
        reader.position >= reader.body.len()
    }
}

impl Reader {
    fn read(&mut self, length: u64) -> std::io::Result<Vec<u8>> {
        let left = self.body.len().saturating_sub(self.position).min(length);
        let mut data = Vec::with_capacity(usize::try_from(left).unwrap_or(usize::MAX));
        match self.body.source() {
            BodySource::Memory(bytes) => {
                let start = self.position as usize;
                data.extend_from_slice(&bytes[start.min(bytes.len())..][..left as usize]);
            }
            BodySource::File(file) => {
                file.seek(SeekFrom::Start(self.position))?;
                file.take(left).read_to_end(&mut data)?;
            }
        }
        self.position += data.len() as u64;
        Ok(data)
    }

    /// Up to and with the next line feed.
    fn line(&mut self) -> std::io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let chunk = self.read(LINE_CHUNK as u64)?;
            if let Some(end) = chunk.iter().position(|&byte| byte == b'\n') {
                self.position -= (chunk.len() - end - 1) as u64;
                line.extend_from_slice(&chunk[..=end]);
                return Ok(line);
            }
            line.extend_from_slice(&chunk);
            if chunk.len() < LINE_CHUNK {
                return Ok(line);
            }
        }
    }

    fn close(&mut self) {
        self.body = RequestBody::default();
        self.position = 0;
    }
}

/// The data as a new binary String, or in the application's own buffer.
fn fill(ruby: &Ruby, data: Option<Vec<u8>>, buffer: Option<RString>) -> Result<Option<RString>, Error> {
    let Some(buffer) = buffer else { return Ok(data.map(|data| ruby.str_from_slice(&data))) };
    buffer.funcall::<_, _, Value>("clear", ())?;
    buffer.funcall::<_, _, Value>("force_encoding", ("BINARY",))?;
    Ok(data.map(|data| {
        buffer.cat(&data);
        buffer
    }))
}

fn io_error(ruby: &Ruby, error: &std::io::Error) -> Error {
    Error::new(
        ruby.exception_io_error(),
        format!("the request body could not be read from its temporary file: {error}"),
    )
}

fn lock(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let class = class::define::<RackIO>(ruby, base, "RackIO")?;
    class.undef_default_alloc_func();
    class.define_method("read", method!(RackIO::read, -1))?;
    class.define_method("gets", method!(RackIO::gets, 0))?;
    class.define_method("each", method!(RackIO::each, 0))?;
    class.define_method("rewind", method!(RackIO::rewind, 0))?;
    class.define_method("close", method!(RackIO::close, 0))?;
    class.define_method("size", method!(RackIO::size, 0))?;
    class.define_method("eof?", method!(RackIO::is_at_end, 0))
}
