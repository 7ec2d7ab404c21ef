//! A range of a head's bytes, in half the space of a `Range<usize>`.

use core::ops::Range;

/// A range of a head's bytes. A head is below [`LARGEST`] bytes, so 32 bits hold any offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// The largest head whose offsets a span can hold, with room to spare: 1 GiB.
pub(super) const LARGEST: usize = 1 << 30;

impl Span {
    /// The bytes of this range.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// From the start of this range to the end of a later one.
    pub(super) fn through(self, last: Span) -> Span {
        Span { start: self.start, end: last.end }
    }

    /// The range of the same bytes in another head, where they begin at `new` instead of `old`.
    pub(super) fn moved(self, old: usize, new: usize) -> Span {
        let moved = |at: u32| at - old as u32 + new as u32;
        Span { start: moved(self.start), end: moved(self.end) }
    }

    /// The range that `part`, a subslice, takes in `whole`.
    pub(super) fn locate(part: &[u8], whole: &[u8]) -> Span {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Span::from(start..start + part.len())
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Span { start: range.start as u32, end: range.end as u32 }
    }
}
