//! Looks at JSON text sixteen bytes at a time. Called by [`crate::raw`] and [`crate::json`].

use wide::u8x16;

/// Bytes looked at together.
pub(crate) const BLOCK: usize = 16;

/// Bytes at the start that mean themselves inside a JSON string: no quote, backslash or control character.
#[inline]
pub(crate) fn plain_prefix(block: &[u8; BLOCK]) -> usize {
    let block = u8x16::new(*block);
    let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    let quote = block.simd_eq(u8x16::splat(b'"'));
    let backslash = block.simd_eq(u8x16::splat(b'\\'));
    let marks = (control | quote | backslash).to_bitmask();
    (marks.trailing_zeros() as usize).min(BLOCK)
}
