//! The first and last bytes of any file as a window of integers.
//!
//! This is the feature extraction that magika 1.x publishes (`beg`, `end`, `block_size`, `padding_token` of its model
//! configuration).

use pannier_bundle::manifest::ByteWindow;

/// Most bytes of one end that a window may ask for.
pub const BLOCK_BYTES: u32 = 16 << 20;

/// The two ends of a file, `block` bytes each (overlapping, and the whole file, when it is shorter).
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// The first `block` bytes.
    pub first: &'a [u8],
    /// The last `block` bytes.
    pub last: &'a [u8],
}

impl<'a> Ends<'a> {
    /// The ends of a file that is in memory.
    pub fn of(file: &'a [u8], block: u32) -> Self {
        let block = usize::try_from(block).unwrap_or(usize::MAX).min(file.len());
        let (first, _) = file.split_at(block);
        let (_, last) = file.split_at(file.len() - block);
        Ends { first, last }
    }
}

/// The window: `head` values, padded on the right, then `tail` values, padded on the left.
pub fn window(spec: &ByteWindow, ends: Ends<'_>) -> Vec<i32> {
    let first = &ends.first[ends.first.iter().take_while(|b| is_space(**b)).count()..];
    let last = &ends.last[..ends.last.len() - ends.last.iter().rev().take_while(|b| is_space(**b)).count()];
    let head = spec.head as usize;
    let tail = spec.tail as usize;

    let mut values = Vec::with_capacity(head + tail);
    values.extend(first.iter().take(head).map(|b| i32::from(*b)));
    values.resize(head, spec.padding);
    let kept = &last[last.len().saturating_sub(tail)..];
    values.resize(head + tail - kept.len(), spec.padding);
    values.extend(kept.iter().map(|b| i32::from(*b)));
    values
}

/// White space as Python's `bytes.strip` knows it, which is what the published models were trained with.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_the_published_one() {
        let spec = ByteWindow { head: 4, tail: 4, block: 6, padding: 256 };
        let cases: &[(&str, &[u8], [i32; 8])] = &[
            ("empty", b"", [256; 8]),
            ("only white space", b" \t\n", [256; 8]),
            ("short: both ends see all of it", b"ab", [97, 98, 256, 256, 256, 256, 97, 98]),
            ("spaces inside stay", b" a b ", [97, 32, 98, 32, 32, 97, 32, 98]),
            ("vertical tab and form feed are space", b"\x0b\x0cab\x0c", [97, 98, 12, 256, 11, 12, 97, 98]),
            ("long: only blocks are looked at", b"      abcdefgh      ", [256; 8]),
            ("long", b"  abcdefghijkl", [97, 98, 99, 100, 105, 106, 107, 108]),
            ("0xff is a value, not padding", b"\xff", [255, 256, 256, 256, 256, 256, 256, 255]),
        ];
        for (name, file, expected) in cases {
            assert_eq!(window(&spec, Ends::of(file, spec.block)), expected, "{name}");
        }
    }
}
