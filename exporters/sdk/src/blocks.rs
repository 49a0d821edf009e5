//! Looks at JSON text sixteen bytes at a time. Called by `raw` and `json` here, and by the host's `event::marks` and
//! `event::escape`, which compile this file, too.

use wide::u8x16;

/// Bytes looked at together.
pub(crate) const BLOCK: usize = 16;

/// Bytes looked at together where that many before them meant themselves: most texts are short or have many escapes.
pub(crate) const LONG: usize = 4 * BLOCK;

/// Bytes at the start that mean themselves inside a JSON string: no quote, backslash or control character.
#[inline]
pub(crate) fn plain_prefix(block: &[u8; BLOCK]) -> usize {
    (marks(block).to_bitmask().trailing_zeros() as usize).min(BLOCK)
}

/// The end of the text from `at` on that means itself: a quote, a backslash, a control character or the end of all.
#[inline]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    let long = at + LONG;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let plain = plain_prefix(block);
        if plain < BLOCK {
            return at + plain;
        }
        at += BLOCK;
        if at == long {
            at = long_plain_end(bytes, at);
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_mark = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    at + rest.iter().position(is_mark).unwrap_or(rest.len())
}

/// How far from `at` on all is plain, in steps of many bytes. The steps do not depend on what is found, so that the next
/// can begin before this one is done.
pub(crate) fn long_plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(long) = bytes.get(at..).and_then(<[u8]>::first_chunk::<LONG>) {
        let found = long.as_chunks().0.iter().map(marks);
        if found.fold(u8x16::ZERO, |all, one| all | one).to_bitmask() != 0 {
            break;
        }
        at += LONG;
    }
    at
}

/// Ones where a byte does not mean itself.
#[inline]
pub(crate) fn marks(block: &[u8; BLOCK]) -> u8x16 {
    let block = u8x16::new(*block);
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    let quote = block.simd_eq(u8x16::splat(b'"'));
    let backslash = block.simd_eq(u8x16::splat(b'\\'));
    control | quote | backslash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_ends_at_its_first_mark_however_long_it_is() {
        for length in 0..200 {
            let text = vec![b'a'; length];
            assert_eq!(plain_end(&text, 0), length);
            for at in 0..length {
                let mut text = text.clone();
                text[at] = [b'"', b'\\', b'\n'][at % 3];
                assert_eq!(
                    (plain_end(&text, 0), plain_end(&text, at + 1)),
                    (at, length)
                );
            }
        }
    }
}
