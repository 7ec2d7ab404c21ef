//! HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112), the server's side.

pub mod accept_encoding;
mod authority;
mod body;
pub mod conditional;
pub mod date;
mod error;
mod field;
mod head;
mod meaning;
mod number;
pub mod range;
mod reader;
mod request_line;
mod response;
mod span;
mod status;
pub(crate) mod syntax;
mod target;
pub mod url;

pub use body::{BodyReader, BodyStep};
pub use error::Refusal;
pub use field::{FieldError, FieldLine, FieldName};
pub use head::{BodyLength, Head, Version};
pub use number::push_decimal;
pub use reader::{HeadLimits, HeadReader};
pub use response::{CHUNK_END, Framing, LAST_CHUNK, Persistence, ResponseWriter, chunk_head, chunk_len};
pub use status::{bodyless, reason};
