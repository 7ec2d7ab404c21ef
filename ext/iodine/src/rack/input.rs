//! `rack.input`: the request body as an IO-like object (Rack SPEC, "The Input Stream").

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iodine_core::exchange::{BodySource, RequestBody};
use magnus::prelude::*;
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

#[derive(Default)]
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
        // Not by `scan_args`, which writes a text that tells Ruby what is expected, and allocates twice for it.
        let (length, buffer): (Option<i64>, Option<RString>) = match *arguments {
            [] => (None, None),
            [length] => (Option::try_convert(length)?, None),
            [length, buffer] => (Option::try_convert(length)?, Option::try_convert(buffer)?),
            _ => return Err(wrong_number(ruby, arguments.len())),
        };
        let most = length.map_or(Ok(u64::MAX), |length| checked(ruby, length))?;
        if let Some(buffer) = buffer {
            buffer.funcall::<_, _, Value>("clear", ())?;
            buffer.funcall::<_, _, Value>("force_encoding", ("BINARY",))?;
        }
        let read = this.with_reader(|reader| {
            let data = reader.read(most)?;
            let at_end = data.is_empty() && length.is_some_and(|length| length > 0);
            Ok((!at_end).then(|| match buffer {
                None => ruby.str_from_slice(&data),
                Some(buffer) => {
                    buffer.cat(&data);
                    buffer
                }
            }))
        });
        read.map_err(|error| io_error(ruby, &error))
    }

    fn gets(ruby: &Ruby, this: &Self) -> Result<Option<RString>, Error> {
        let line = lock(&this.0).line().map_err(|error| io_error(ruby, &error))?;
        Ok((!line.is_empty()).then(|| ruby.str_from_slice(&line)))
    }

    /// The reader, for what makes Ruby Strings of its bytes: no lock is held meanwhile. Nobody misses it, because Ruby
    /// does not change threads to make a String.
    fn with_reader<T>(&self, use_it: impl FnOnce(&mut Reader) -> T) -> T {
        let mut reader = std::mem::take(&mut *lock(&self.0));
        let outcome = use_it(&mut reader);
        *lock(&self.0) = reader;
        outcome
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
    /// The next bytes, `most` of them or fewer when there are no more.
    fn read(&mut self, most: u64) -> io::Result<Cow<'_, [u8]>> {
        let start = self.position;
        let length = self.body.len().saturating_sub(start).min(most);
        match self.body.source() {
            BodySource::Memory(bytes) => {
                self.position += length;
                Ok(Cow::Borrowed(&bytes[(start as usize).min(bytes.len())..][..length as usize]))
            }
            BodySource::File(file) => {
                let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or(usize::MAX));
                file.seek(SeekFrom::Start(start))?;
                file.take(length).read_to_end(&mut data)?;
                self.position += data.len() as u64;
                Ok(Cow::Owned(data))
            }
        }
    }

    /// Up to and with the next line feed.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let chunk = self.read(LINE_CHUNK as u64)?;
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let (read, taken) = (chunk.len(), end.map_or(chunk.len(), |end| end + 1));
            line.extend_from_slice(&chunk[..taken]);
            self.position -= (read - taken) as u64;
            if end.is_some() || read < LINE_CHUNK {
                return Ok(line);
            }
        }
    }

    fn close(&mut self) {
        self.body = RequestBody::default();
        self.position = 0;
    }
}

fn wrong_number(ruby: &Ruby, given: usize) -> Error {
    let message = format!("wrong number of arguments (given {given}, expected 0..2)");
    Error::new(ruby.exception_arg_error(), message)
}

fn checked(ruby: &Ruby, length: i64) -> Result<u64, Error> {
    u64::try_from(length).map_err(|_| {
        let message = format!("negative length {length} given to rack.input.read");
        Error::new(ruby.exception_range_error(), message)
    })
}

fn io_error(ruby: &Ruby, error: &io::Error) -> Error {
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
