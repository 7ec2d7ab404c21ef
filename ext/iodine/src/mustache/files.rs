//! Template files, and where each of them looks for its partials.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::str;
use std::sync::Arc;

use super::Template;
use super::rendering::Failure;

/// The files that one template needs: its own, its partials, theirs.
#[derive(Default)]
pub(super) struct Files {
    opened: HashMap<Identity, File>,
    /// By the names of the templates.
    places: HashMap<Box<str>, Place>,
}

struct File {
    path: PathBuf,
    version: Version,
    template: Arc<Template>,
}

/// Where a template looks for partials, and what it has found.
struct Place {
    /// Its own folder, then those of the templates above it. The current one has the path "".
    folders: Vec<PathBuf>,
    partials: HashMap<Box<[u8]>, Arc<Template>>,
}

/// Device and inode: a file has many paths, `../views/page` among them.
type Identity = (u64, u64);

#[derive(PartialEq)]
struct Version {
    identity: Identity,
    modified: (i64, i64),
    size: u64,
}

impl Files {
    /// Opens a template by its name, without its partials.
    pub(super) fn open(&mut self, name: &str) -> Result<Arc<Template>, Failure> {
        self.find(name, &[PathBuf::new()])
    }

    /// Finds all partials that are named by the template, and by its partials. `path` is the template's own.
    pub(super) fn open_partials(&mut self, template: &Arc<Template>, path: &str) -> Result<(), Failure> {
        let mut waiting = vec![(Arc::clone(template), folders(path, &[]))];
        while let Some((template, above)) = waiting.pop() {
            let mut partials = HashMap::new();
            for name in template.partials() {
                let partial = self.find_named(name, &above).map_err(|failure| at_tag(failure, &template, name))?;
                let path = name_of(&partial);
                if !self.places.contains_key(path) {
                    waiting.push((Arc::clone(&partial), folders(path, &above)));
                }
                partials.insert(name.into(), partial);
            }
            self.places.insert(name_of(&template).into(), Place { folders: above, partials });
        }
        Ok(())
    }

    /// The partial that a tag of the template `from` names. One that is not known yet got its name from the data, and
    /// has to be below the folders.
    pub(super) fn partial(&mut self, name: &[u8], from: &str) -> Result<Arc<Template>, Failure> {
        let Some(place) = self.places.get(from) else {
            return Err(Failure::Missing(format!("template {from:?} is not known")));
        };
        if let Some(partial) = place.partials.get(name) {
            return Ok(Arc::clone(partial));
        }
        if !is_below(name) {
            let name = String::from_utf8_lossy(name);
            return Err(Failure::Missing(format!(
                "the name {name:?} comes from data and leaves the template's folder"
            )));
        }
        let above = place.folders.clone();
        let partial = self.find_named(name, &above)?;
        let path = name_of(&partial);
        if !self.places.contains_key(path) {
            self.open_partials(&partial, path)?;
        }
        if let Some(place) = self.places.get_mut(from) {
            place.partials.insert(name.into(), Arc::clone(&partial));
        }
        Ok(partial)
    }

    /// Whether a file was changed, replaced or removed since it was opened.
    pub(super) fn changed(&self) -> bool {
        self.opened.values().any(|file| match fs::metadata(&file.path) {
            Ok(metadata) => Version::of(&metadata) != file.version,
            Err(_) => true,
        })
    }

    fn find_named(&mut self, name: &[u8], folders: &[PathBuf]) -> Result<Arc<Template>, Failure> {
        let name = str::from_utf8(name)
            .map_err(|_| Failure::Missing(format!("the name {:?} is not UTF-8", String::from_utf8_lossy(name))))?;
        self.find(name, folders)
    }

    fn find(&mut self, name: &str, folders: &[PathBuf]) -> Result<Arc<Template>, Failure> {
        let candidates = folders.iter().flat_map(|folder| [folder.join(name), folder.join(format!("{name}.mustache"))]);
        for path in candidates {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => return self.read(path, &metadata),
                _ => {}
            }
        }
        Err(Failure::Missing(not_found(name, folders)))
    }

    /// The metadata are older than what is read, so that a change in between is seen as one.
    fn read(&mut self, path: PathBuf, metadata: &Metadata) -> Result<Arc<Template>, Failure> {
        let version = Version::of(metadata);
        if let Some(file) = self.opened.get(&version.identity) {
            return Ok(Arc::clone(&file.template));
        }
        let unreadable = |reason: String| Failure::Missing(format!("{}: {reason}", path.display()));
        let name = path.to_str().ok_or_else(|| unreadable("the path is not UTF-8".into()))?;
        let source = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let template = Arc::new(Template::compile(source, Some(name)).map_err(Failure::Template)?);
        self.opened.insert(version.identity, File { version, template: Arc::clone(&template), path });
        Ok(template)
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Version {
            identity: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
        }
    }
}

/// The folder of a path, and then those of the templates above.
fn folders(path: &str, above: &[PathBuf]) -> Vec<PathBuf> {
    let own = Path::new(path).parent().unwrap_or(Path::new(""));
    let others = above.iter().filter(|folder| *folder != own).cloned();
    [own.to_path_buf()].into_iter().chain(others).collect()
}

fn name_of(template: &Template) -> &str {
    template.name().unwrap_or_default()
}

/// Names from data must not reach other files of the machine.
fn is_below(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    Path::new(&*name).components().all(|component| matches!(component, Component::Normal(_)))
}

fn at_tag(failure: Failure, template: &Template, name: &[u8]) -> Failure {
    match (failure, template.locate_partial(name)) {
        (Failure::Missing(reason), Some(location)) => Failure::Missing(format!("{location}: {reason}")),
        (failure, _) => failure,
    }
}

fn not_found(name: &str, folders: &[PathBuf]) -> String {
    let shown = |folder: &PathBuf| match folder.to_string_lossy() {
        path if path.is_empty() => "the current folder".to_owned(),
        path => path.into_owned(),
    };
    let folders: Vec<String> = folders.iter().map(shown).collect();
    format!("no template {name:?}; looked for it and for {:?} in {}", format!("{name}.mustache"), folders.join(", "))
}
