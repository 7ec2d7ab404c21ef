//! `Iodine::Base::Template`: a compiled template with its partials, behind `Iodine::Mustache`.
//!
//! `rendering` is one rendering; `data` shows it Ruby objects, `key` has their names, `files` finds templates by name.

mod data;
mod files;
mod key;
mod rendering;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use iodine_mustache::{Loaded, Partials, RenderError};
use magnus::prelude::*;
use magnus::r_hash::ForEach;
use magnus::{Error, RHash, RModule, RString, Ruby, Value, function, method};

use crate::class;
use crate::gvl::GvlCell;
use files::Files;
use key::Key;
use rendering::{Failed, Failure, Rendering};

type Template = iodine_mustache::Template<Key>;

#[magnus::wrap(class = "Iodine::Base::Template", free_immediately)]
struct Page {
    template: Arc<Template>,
    files: GvlCell<Files>,
    /// Partials that were given, by name. Then none is looked for in files.
    given: Option<HashMap<Vec<u8>, Arc<Template>>>,
    /// That of the last result, in bytes: most likely that of the next one, too.
    length: AtomicUsize,
}

impl Page {
    /// Compiles `source`, or else the file of that name, and all partials that can be known before there are data.
    fn compile(
        ruby: &Ruby,
        filename: Option<RString>,
        source: Option<RString>,
        partials: Option<RHash>,
    ) -> Result<Self, Error> {
        let filename = filename.map(RString::to_string).transpose()?;
        let given = partials.map(|partials| compile_given(ruby, partials)).transpose()?;
        let mut files = Files::default();
        let opened = match source {
            Some(source) => {
                Template::compile(bytes(source), filename.as_deref()).map(Arc::new).map_err(Failure::Template)
            }
            None => files.open(filename.as_deref().unwrap_or_default()),
        };
        let template = opened.map_err(|failure| error_of(ruby, failure))?;
        if given.is_none() {
            let path = template.name().unwrap_or_default();
            files.open_partials(&template, path).map_err(|failure| error_of(ruby, failure))?;
        }
        Ok(Self { template, files: GvlCell::new(files), given, length: AtomicUsize::new(0) })
    }

    fn render(ruby: &Ruby, page: &Self, data: Value) -> Result<RString, Error> {
        let rendering = Rendering::new(ruby, data);
        let mut text = Vec::with_capacity(page.length.load(Ordering::Relaxed));
        match page.template.render(&rendering, &Lookup { rendering: &rendering, page }, &mut text) {
            Ok(()) => {
                page.length.store(text.len(), Ordering::Relaxed);
                Ok(ruby.enc_str_new(text, ruby.utf8_encoding()))
            }
            Err(RenderError::Template(error)) => Err(error_of(ruby, Failure::Template(error))),
            Err(RenderError::Host { at, .. }) => Err(match rendering.take_failure() {
                Some(Failure::Missing(reason)) => error_of(ruby, Failure::Missing(format!("{at}: {reason}"))),
                Some(failure) => error_of(ruby, failure),
                None => error_of(ruby, Failure::Missing(at.to_string())),
            }),
        }
    }

    /// Whether one of the files is not what it was.
    fn changed(ruby: &Ruby, page: &Self) -> bool {
        page.files.get(ruby).changed()
    }
}

/// A page's partials, for one rendering.
struct Lookup<'r> {
    rendering: &'r Rendering<'r>,
    page: &'r Page,
}

impl<'r> Partials<&'r Rendering<'r>> for Lookup<'r> {
    fn load(&self, name: &[u8], from: Option<&str>) -> Result<Loaded<Key>, Failed> {
        if let Some(given) = &self.page.given {
            return Ok(given.get(name).cloned());
        }
        let partial = self.page.files.get(self.rendering.ruby).partial(name, from.unwrap_or_default());
        partial.map(Some).map_err(|failure| self.rendering.fail(failure))
    }
}

fn compile_given(ruby: &Ruby, sources: RHash) -> Result<HashMap<Vec<u8>, Arc<Template>>, Error> {
    let mut partials = HashMap::new();
    sources.foreach(|name: Value, source: RString| {
        let name = name.to_r_string()?.to_string()?;
        let partial = Template::compile(bytes(source), Some(&name));
        let partial = partial.map_err(|error| error_of(ruby, Failure::Template(error)))?;
        partials.insert(name.into_bytes(), Arc::new(partial));
        Ok(ForEach::Continue)
    })?;
    Ok(partials)
}

fn bytes(string: RString) -> Vec<u8> {
    // SAFETY: no Ruby code runs while the bytes are copied.
    unsafe { string.as_slice() }.to_vec()
}

fn error_of(ruby: &Ruby, failure: Failure) -> Error {
    match failure {
        Failure::Raised(error) => error,
        Failure::Missing(reason) => Error::new(ruby.exception_load_error(), reason),
        Failure::Template(error) => Error::new(ruby.exception_runtime_error(), error.to_string()),
    }
}

pub(crate) fn init(ruby: &Ruby, base: RModule) -> Result<(), Error> {
    rendering::init(ruby, base)?;
    let class = class::define::<Page>(ruby, base, "Template")?;
    class.undef_default_alloc_func();
    class.define_singleton_method("compile", function!(Page::compile, 3))?;
    class.define_method("render", method!(Page::render, 1))?;
    class.define_method("changed?", method!(Page::changed, 0))
}
