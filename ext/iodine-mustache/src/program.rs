//! What a template compiles to: a flat list of operations over ranges of the source.

/// One step of rendering. Sixteen bytes; everything larger is in a table of [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Copy a part of the source.
    Text(Span),
    /// A line of the source begins: write the indentation that standalone tags put before this template.
    Indent,
    /// Write a value.
    Variable(Path, Escaping),
    /// Run up to [`Op::End`] for each element. Index of [`Program::sections`].
    Section(Path, u32),
    /// Go on if the value is false or empty, otherwise at this operation.
    Inverted(Path, u32),
    /// The next element of the innermost section, if there is one.
    End,
    /// Render a partial or a parent. Index of [`Program::includes`].
    Include(u32),
    /// Go on (with the default content) unless a caller overrides it. Index of [`Program::blocks`].
    Block(u32),
    /// The template or an argument ends.
    Return,
}

/// Whether a value is made safe for HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    Html,
    Verbatim,
}

/// A range of the source, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Invariant: the source is no longer than [`SIZE_LIMIT`](crate::SIZE_LIMIT), which fits 32 bits.
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    pub(crate) fn end(self) -> usize {
        self.end as usize
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start >= self.end
    }

    pub(crate) fn of(self, source: &[u8]) -> &[u8] {
        &source[self.start()..self.end()]
    }
}

/// A dotted name: a range of [`Program::segments`]; empty for `.`, the current context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// The opening and closing delimiter of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delimiters {
    pub(crate) open: Box<[u8]>,
    pub(crate) close: Box<[u8]>,
}

impl Default for Delimiters {
    fn default() -> Self {
        Delimiters { open: Box::from(*b"{{"), close: Box::from(*b"}}") }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    /// The operation after the section.
    pub(crate) end: u32,
    /// What a lambda is called with.
    pub(crate) text: Span,
    /// The delimiters in force at the section, index of [`Program::delimiters`].
    pub(crate) delimiters: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateName {
    Static(Span),
    /// `{{>*name}}`: the value of this path is the name.
    Dynamic(Path),
}

/// A partial, or a parent with arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Include {
    pub(crate) name: TemplateName,
    pub(crate) placement: Placement,
    /// Whitespace between the line's begin and the tag, unless the placement is inline.
    pub(crate) prefix: Span,
    /// Range of [`Program::arguments`].
    pub(crate) arguments: Span,
    /// The operation after the tag and its arguments.
    pub(crate) end: u32,
}

/// How an included template sits on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Alone: each of its lines is indented by the prefix.
    Standalone,
    /// First on a line that goes on behind it: the prefix is written once.
    Leading,
    /// Within a line; what is before it are other operations.
    Inline,
}

/// Content that a parent tag gives to a block of the parent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument {
    pub(crate) name: Span,
    /// First operation; the content lasts until [`Op::Return`].
    pub(crate) start: u32,
}

/// A place that callers may override.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) name: Span,
    /// What indents an override's lines; none for a block within a line.
    pub(crate) indent: Option<Span>,
    /// The operation after the default content.
    pub(crate) end: u32,
}

/// A compiled template without its source.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    /// For each operation the offset of its tag in the source, for errors.
    pub(crate) offsets: Vec<u32>,
    /// The distinct names, in order of first use.
    pub(crate) names: Vec<Span>,
    /// Indices of `names`: the parts of all paths.
    pub(crate) segments: Vec<u32>,
    pub(crate) sections: Vec<Section>,
    pub(crate) includes: Vec<Include>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) delimiters: Vec<Delimiters>,
}

impl Program {
    pub(crate) fn push(&mut self, op: Op, offset: usize) {
        self.ops.push(op);
        self.offsets.push(offset as u32);
    }

    /// The index that the next operation will have.
    pub(crate) fn next(&self) -> u32 {
        self.ops.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_small() {
        assert_eq!(size_of::<Op>(), 16);
    }
}
