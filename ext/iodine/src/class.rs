//! Classes whose objects are Rust's.

use magnus::prelude::*;
use magnus::{Error, RClass, RModule, Ruby, TypedData};

/// Defines the class of `T` in `outer`, where [`TypedData::class`] finds it.
///
/// magnus looks the class up when the first object is made, in a cell that other threads wait for meanwhile. The look-up
/// is a Ruby call, which may let another thread have the VM lock: one that came to the same cell would wait there with the
/// lock, for ever. So the look-up is made here, before there is anything to serve.
///
/// # Errors
/// When `outer` has a constant of the name that is no class.
pub(crate) fn define<T: TypedData>(ruby: &Ruby, outer: RModule, name: &str) -> Result<RClass, Error> {
    let class = outer.define_class(name, ruby.class_object())?;
    T::class(ruby);
    Ok(class)
}
