//! Mustache templates: source to a flat program once, program and data to bytes as often as wanted.
//!
//! The language is that of the Mustache specification with its optional parts: inheritance (`{{<parent}}` and
//! `{{$block}}`), dynamic names (`{{>*name}}`) and lambdas. Values are found, walked and written through [`Data`],
//! partials come from [`Partials`]; the crate reads no file itself and knows no object model but the plain [`Value`].
//!
//! ```text
//! source ──▶ parse::scan ──▶ parse (layout, inherit, names) ──▶ program ──┐
//!            tags            lines, nesting, one number a name            ▼
//! data, partials ─────────────────────────────────────────────────▶ render ──▶ output (escaping) ──▶ bytes
//! ```
//!
//! A program holds ranges of its source, so text is copied once, from the source to the output. Rendering is a loop
//! with its own stacks: sections and partials may nest without using the thread's stack, and nothing is allocated for
//! a tag. Only lambdas and dynamic names make buffers.
//!
//! Whatever bytes a template has, compiling ends in a [`Template`] or an [`Error`]. How long a rendering takes is up to
//! the template and the data: who may write templates may write loops.
#![forbid(unsafe_code)]

mod data;
mod error;
mod output;
mod parse;
mod partials;
mod program;
mod render;
mod template;
mod value;

pub use data::{Data, Expansion, Key, Name, Shape, Written};
pub use error::{Error, ErrorKind, Location, RenderError};
pub use output::Output;
pub use partials::{DEPTH_LIMIT, Loaded, Partials};
pub use template::{NESTING_LIMIT, SIZE_LIMIT, Template};
pub use value::{Lambda, Value};
