//! Where partials and parents come from.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::data::Data;
use crate::template::Template;

/// Finds the templates that tags name, for data of type `D`.
pub trait Partials<D: Data> {
    /// The template of that name; `Ok(None)` if there is none, which prints nothing.
    ///
    /// `from` is the name of the template that has the tag, so that names can be relative to it. Called each time a
    /// tag is rendered: keep what is loaded.
    fn load(&self, name: &[u8], from: Option<&str>) -> Result<Loaded<D::Key>, D::Error>;

    /// How deep partials, parents, blocks and lambdas may use one another before the rendering is given up.
    /// [`DEPTH_LIMIT`] (256) by default. The depth costs heap, not stack.
    fn depth_limit(&self) -> usize {
        DEPTH_LIMIT
    }
}

/// A template, or that there is none.
pub type Loaded<K> = Option<Arc<Template<K>>>;

/// The default of [`Partials::depth_limit`].
pub const DEPTH_LIMIT: usize = 256;

/// No partials.
impl<D: Data> Partials<D> for () {
    fn load(&self, _name: &[u8], _from: Option<&str>) -> Result<Loaded<D::Key>, D::Error> {
        Ok(None)
    }
}

/// Templates that are all there beforehand, by name.
impl<D: Data, S: BuildHasher> Partials<D> for HashMap<Vec<u8>, Arc<Template<D::Key>>, S> {
    fn load(&self, name: &[u8], _from: Option<&str>) -> Result<Loaded<D::Key>, D::Error> {
        Ok(self.get(name).cloned())
    }
}
