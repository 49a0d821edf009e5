//! Where the strings of a JSON text may end: quotes, backslashes and control characters, found 64 bytes at a time and
//! kept while the reader goes through those bytes, since most strings are much shorter. Called by `json`.

use super::blocks::{BLOCK, LONG, long_plain_end, marks};

/// The marks of one stretch of a text.
pub(super) struct Marks<'a> {
    bytes: &'a [u8],
    /// Where the stretch starts: a multiple of its length, or no place in the text before the first look.
    start: usize,
    /// A one for each mark, the first byte's lowest.
    ones: u64,
}

impl<'a> Marks<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            start: usize::MAX,
            ones: 0,
        }
    }

    /// All of the text.
    #[inline]
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first mark from `at` on, or the end of the text.
    #[inline]
    pub(super) fn plain_end(&mut self, at: usize) -> usize {
        let start = at & !(LONG - 1);
        if start != self.start {
            self.look(start);
        }
        match self.ones >> (at % LONG) {
            0 => self.long_plain_end(start + LONG),
            rest => at + rest.trailing_zeros() as usize,
        }
    }

    #[inline(never)]
    fn long_plain_end(&mut self, from: usize) -> usize {
        let start = long_plain_end(self.bytes, from);
        if start >= self.bytes.len() {
            return self.bytes.len();
        }
        self.look(start);
        // Without a mark this was the rest of the text.
        (start + self.ones.trailing_zeros() as usize).min(self.bytes.len())
    }

    #[inline]
    fn look(&mut self, start: usize) {
        self.start = start;
        let rest = self.bytes.get(start..).unwrap_or_default();
        self.ones = match rest.first_chunk() {
            Some(stretch) => ones(stretch),
            None => {
                // What is not there means itself.
                let mut stretch = [b' '; LONG];
                for (to, from) in stretch.iter_mut().zip(rest) {
                    *to = *from;
                }
                ones(&stretch)
            }
        };
    }
}

#[inline]
fn ones(stretch: &[u8; LONG]) -> u64 {
    let blocks = stretch.as_chunks::<BLOCK>().0.iter();
    blocks.rev().fold(0, |ones, block| {
        ones << BLOCK | u64::from(marks(block).to_bitmask())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::blocks::plain_end;

    proptest! {
        #[test]
        fn marks_are_found_in_any_order_of_looks(
            text in "[a\"\\\\\n]{0,3}([ab]{0,90}[\"\\\\\n]){0,4}[ab]{0,200}",
            places in prop::collection::vec(0_usize..600, 1..20),
        ) {
            let mut marks = Marks::new(&text);
            for at in places.into_iter().map(|at| at % (text.len() + 1)) {
                prop_assert_eq!(marks.plain_end(at), plain_end(text.as_bytes(), at), "{} of {:?}", at, &text);
            }
        }
    }
}
