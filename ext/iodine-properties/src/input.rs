//! Choices made by the bytes of a fuzzer.

use arbitrary::{Arbitrary, Unstructured};

/// Bytes that are read as choices; when there are none left, every choice is the first one.
pub(crate) struct Input<'a>(Unstructured<'a>);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn any<T: Arbitrary<'a> + Default>(&mut self) -> T {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end.saturating_sub(1)).unwrap_or_default()
    }

    /// Some of the bytes.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        self.0.arbitrary().unwrap_or_default()
    }

    /// So many of the bytes, or as many as there are.
    pub(crate) fn take(&mut self, length: usize) -> &'a [u8] {
        let length = length.min(self.0.len());
        self.0.bytes(length).unwrap_or_default()
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0.take_rest()
    }
}

/// The bytes but for the first ones, which say where to cut them: whole, and in pieces.
pub(crate) fn cut(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let mut input = Input::new(bytes);
    let places = input.any();
    let whole = input.rest();
    (whole, pieces(whole, places))
}

/// The bytes, cut at these places.
pub(crate) fn pieces(whole: &[u8], places: [u16; 3]) -> Vec<&[u8]> {
    let mut places = places.map(|place| usize::from(place) % (whole.len() + 1));
    places.sort_unstable();
    let [first, second, third] = places;
    vec![&whole[..first], &whole[first..second], &whole[second..third], &whole[third..]]
}
