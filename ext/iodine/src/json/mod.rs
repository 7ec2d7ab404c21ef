//! `Iodine::JSON` (RFC 8259): documents as Ruby objects, and Ruby objects as documents.
//!
//! - `parse`: builds Ruby objects while the text is read, with no tree in between
//! - `names`: the names of members that documents repeat, as Strings and Symbols made once
//! - `generate`: writes objects
//! - `text`: writes strings

mod generate;
mod names;
mod parse;
mod text;

use magnus::prelude::*;
use magnus::{Error, RModule, Ruby};

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    let module = base.define_module("JSON")?;
    parse::init(ruby, module)?;
    generate::init(ruby, module)
}
