//! `Iodine::Rack::Utils`, and the faster methods that `Iodine.patch_rack` puts before those of `Rack::Utils`.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use iodine_proto::http1::date::{cookie_date, imf_fixdate, mail_date};
use iodine_proto::http1::url::{Malformed, decode_form, decode_path};
use magnus::encoding::{Coderange, Encoding, EncodingCapable, Index, RbEncoding};
use magnus::prelude::*;
use magnus::value::LazyId;
use magnus::{Error, RModule, RString, Ruby, Time, Value, function, method};

type Decode = fn(&[u8]) -> Result<Cow<'_, [u8]>, Malformed>;

/// `Iodine::Rack::Utils`
mod utils {
    use super::*;

    pub(super) fn url(ruby: &Ruby, text: RString) -> Result<RString, Error> {
        decoded(ruby, text, decode_form, ruby.ascii8bit_encindex())
    }

    pub(super) fn path(ruby: &Ruby, text: RString) -> Result<RString, Error> {
        decoded(ruby, text, decode_path, ruby.ascii8bit_encindex())
    }

    pub(super) fn url_in_place(ruby: &Ruby, text: RString) -> Result<RString, Error> {
        text.replace(decoded(ruby, text, decode_form, text.enc_get())?)?;
        Ok(text)
    }

    pub(super) fn path_in_place(ruby: &Ruby, text: RString) -> Result<RString, Error> {
        text.replace(decoded(ruby, text, decode_path, text.enc_get())?)?;
        Ok(text)
    }

    pub(super) fn http_date(ruby: &Ruby, arguments: &[Value]) -> Result<RString, Error> {
        let (time,) = magnus::scan_args::scan_args::<(), (Option<Value>,), (), (), (), ()>(arguments)?.optional;
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let seconds = match time.filter(|time| !time.is_nil()) {
            None => now(),
            Some(time) => match unix_seconds(time)? {
                0 => now(),
                seconds => u64::try_from(seconds).unwrap_or(0),
            },
        };
        Ok(utf8(ruby, &imf_fixdate(seconds)))
    }

    pub(super) fn rfc2109(ruby: &Ruby, time: Value) -> Result<RString, Error> {
        Ok(utf8(ruby, cookie_date(unix_seconds(time)?).as_bytes()))
    }

    pub(super) fn rfc2822(ruby: &Ruby, time: Value) -> Result<RString, Error> {
        Ok(utf8(ruby, mail_date(unix_seconds(time)?, None).as_bytes()))
    }

    fn decoded(ruby: &Ruby, text: RString, decode: Decode, encoding: Index) -> Result<RString, Error> {
        super::decoded(ruby, text, decode, encoding).map_err(|error| {
            let message = format!("Malformed URL string - couldn't decode. In {:?}, {error}.", text.as_value());
            Error::new(ruby.exception_runtime_error(), message)
        })
    }

    fn unix_seconds(time: Value) -> Result<i64, Error> {
        static TO_I: LazyId = LazyId::new("to_i");
        if time.respond_to(*TO_I, false)? {
            return time.funcall(*TO_I, ());
        }
        let ruby = Ruby::get_with(time);
        Err(Error::new(ruby.exception_type_error(), format!("a Time or an Integer is needed, got {time:?}")))
    }
}

/// `Iodine::Base::MonkeyPatch::RackUtils`: everything but the well-formed and usual goes to Rack's own method, so that
/// the answer and the errors are Rack's.
mod patch {
    use super::*;

    pub(super) fn unescape(ruby: &Ruby, _utils: Value, arguments: &[Value]) -> Result<Value, Error> {
        let (text, encoding) = match *arguments {
            [text] => (plain(text), Some(ruby.utf8_encindex())),
            [text, encoding] => (plain(text), Encoding::from_value(encoding).map(Index::from)),
            _ => (None, None),
        };
        let answer = text.zip(encoding).and_then(|(text, encoding)| decoded(ruby, text, decode_form, encoding).ok());
        answer.map_or_else(|| ruby.call_super(arguments), |answer| Ok(answer.as_value()))
    }

    pub(super) fn unescape_path(ruby: &Ruby, _utils: Value, text: Value) -> Result<Value, Error> {
        let answer = plain(text).and_then(|text| {
            let encoding = text.enc_get();
            let encoding = if encoding == ruby.usascii_encindex() { ruby.utf8_encindex() } else { encoding };
            decoded(ruby, text, decode_path, encoding).ok()
        });
        answer.map_or_else(|| ruby.call_super((text,)), |answer| Ok(answer.as_value()))
    }

    pub(super) fn rfc2109(ruby: &Ruby, _utils: Value, time: Value) -> Result<Value, Error> {
        let Some(moment) = Time::from_value(time) else { return ruby.call_super((time,)) };
        let date = cookie_date(moment.timespec()?.tv_sec.saturating_add(moment.utc_offset()));
        Ok(utf8(ruby, date.as_bytes()).as_value())
    }

    pub(super) fn rfc2822(ruby: &Ruby, _utils: Value, time: Value) -> Result<Value, Error> {
        static IS_UTC: LazyId = LazyId::new("utc?");
        let Some(moment) = Time::from_value(time) else { return ruby.call_super((time,)) };
        let offset = if time.funcall(*IS_UTC, ())? { None } else { i32::try_from(moment.utc_offset()).ok() };
        Ok(utf8(ruby, mail_date(moment.timespec()?.tv_sec, offset).as_bytes()).as_value())
    }

    /// A String that can be decoded byte by byte. Rack refuses to look into the others.
    fn plain(text: Value) -> Option<RString> {
        let text = RString::from_value(text)?;
        let ascii_compatible = RbEncoding::from(text.enc_get()).mbminlen() == 1;
        (ascii_compatible && text.enc_coderange_scan() != Coderange::Broken).then_some(text)
    }
}

fn decoded(ruby: &Ruby, text: RString, decode: Decode, encoding: Index) -> Result<RString, Malformed> {
    // SAFETY: nothing calls Ruby while the bytes are read; a new String has its own.
    let bytes = decode(unsafe { text.as_slice() })?;
    Ok(ruby.enc_str_new(&*bytes, encoding))
}

fn utf8(ruby: &Ruby, text: &[u8]) -> RString {
    ruby.enc_str_new(text, ruby.utf8_encindex())
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let module = ruby.define_module("Iodine")?.define_module("Rack")?.define_module("Utils")?;
    module.define_module_function("decode_url", function!(utils::url, 1))?;
    module.define_module_function("decode_url!", function!(utils::url_in_place, 1))?;
    module.define_module_function("decode_path", function!(utils::path, 1))?;
    module.define_module_function("decode_path!", function!(utils::path_in_place, 1))?;
    module.define_module_function("time2str", function!(utils::http_date, -1))?;
    module.define_module_function("rfc2109", function!(utils::rfc2109, 1))?;
    module.define_module_function("rfc2822", function!(utils::rfc2822, 1))?;

    let module = base.define_module("MonkeyPatch")?.define_module("RackUtils")?;
    module.define_method("unescape", method!(patch::unescape, -1))?;
    module.define_method("unescape_path", method!(patch::unescape_path, 1))?;
    module.define_method("rfc2109", method!(patch::rfc2109, 1))?;
    module.define_method("rfc2822", method!(patch::rfc2822, 1))
}
