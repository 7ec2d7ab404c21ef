//! What a template asks of the data it is rendered with.

use crate::output::Output;

/// The data of one rendering: finds, walks and writes its values.
///
/// Values are named by small handles, which are copied from step to step: references, or the objects of an embedded
/// language. Rendering asks for names and elements as it comes to them and keeps nothing, so the data need no copy or
/// tree made for the purpose.
///
/// An error of any method ends the rendering with [`RenderError::Host`](crate::RenderError::Host). To print nothing
/// for a value that fails, an implementation returns `Ok(None)` or writes nothing.
pub trait Data {
    /// What the data need to look a name up, made once for each distinct name of a template.
    type Key: Key;
    /// A handle of a value.
    type Value: Copy;
    /// Why the data cannot be had.
    type Error;

    /// The value that the template is rendered with.
    fn root(&self) -> Self::Value;

    /// What the name means in this context; `None` if nothing, which continues the search in the enclosing contexts.
    ///
    /// A name that is known and whose value is nil, null or false must be found: that is what ends the recursion of
    /// a partial over a tree.
    fn lookup(&self, context: Self::Value, name: &Name<Self::Key>) -> Result<Option<Self::Value>, Self::Error>;

    /// What a section does with the value.
    fn shape(&self, value: Self::Value) -> Result<Shape, Self::Error>;

    /// The element of a list; `None` ends the section early, for a list that has become shorter meanwhile.
    fn element(&self, list: Self::Value, index: usize) -> Result<Option<Self::Value>, Self::Error>;

    /// Writes the value as text, nothing for nil and null; or tells that it is a [lambda](Shape::Lambda).
    fn write(&self, value: Self::Value, output: &mut Output<'_>) -> Result<Written, Self::Error>;

    /// Calls a [lambda](Shape::Lambda): with the text of the section it was used for, tags unrendered, or with `None`
    /// if it was used as a variable. The text excludes the line ends and indentation of section tags alone on their
    /// lines.
    fn call(&self, lambda: Self::Value, section: Option<&[u8]>) -> Result<Expansion, Self::Error>;

    /// A section begins to need the value, which is kept on the heap meanwhile: the place to tell a garbage collector.
    /// Does nothing by default.
    ///
    /// What is held last is released first. The [root](Data::root) is not held; other handles live in variables only.
    /// After an error nothing is needed any more, and nothing released.
    fn hold(&self, _value: Self::Value) {}

    /// The value held last is no longer needed. Does nothing by default.
    fn release(&self) {}

    /// Called after each 1,024 elements of lists, however they are nested: the place to let others work, and to end a
    /// rendering that has become too long. Does nothing by default.
    fn pause(&self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// How a value behaves in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// False, nil or null: the section is skipped, an inverted one rendered.
    Falsy,
    /// Any other single value: the section is rendered once with the value as context.
    Truthy,
    /// As [`Truthy`](Shape::Truthy), but no names are looked up in the context: it is the `.` of its section, and no
    /// more.
    Nameless,
    /// The section is rendered once for each of this many elements; an empty list is falsy.
    List(usize),
    /// A callable: truthy, and expanded where it is named.
    Lambda,
}

/// What became of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Its text is written.
    Text,
    /// Nothing is written: it is a lambda, which is to be called.
    Lambda,
}

/// What a lambda gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expansion {
    /// Template source, to be rendered in place of the tag: with the section's delimiters, or with `{{` and `}}` for a
    /// variable. Text from users must not get in here, since its tags would be rendered too.
    Template(Vec<u8>),
    /// Text, printed as it is; a variable escapes it.
    Text(Vec<u8>),
}

/// A name that a template uses: one part of a dotted name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<K> {
    text: Box<[u8]>,
    key: K,
}

impl<K: Key> Name<K> {
    pub(crate) fn new(text: &[u8]) -> Name<K> {
        Name { text: text.into(), key: K::new(text) }
    }
}

impl<K> Name<K> {
    /// The name as written in the template; not always UTF-8.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What the data made of the name when the template was compiled.
    pub fn key(&self) -> &K {
        &self.key
    }
}

/// A prepared name, for instance an interned symbol.
pub trait Key {
    /// Prepares a name.
    fn new(name: &[u8]) -> Self;
}

/// For data that look names up by their text.
impl Key for () {
    fn new(_name: &[u8]) {}
}
