//! How rows are cut into tiles.

use core::ops::Range;

/// Rows in tiles, as even as possible: 9 rows with at most 8 in a tile are 5 + 4, not 8 + 1.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    pub count: usize,
    short: usize,
    taller: usize,
}

impl Tiles {
    pub fn of(rows: usize, most: usize) -> Self {
        let count = rows.div_ceil(most);
        let short = rows.checked_div(count).unwrap_or(0);
        Self { count, short, taller: rows - short * count }
    }

    /// Some tiles, parted into those of one height and those of the other.
    pub fn of_equal_height(&self, tiles: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let middle = self.taller.clamp(tiles.start, tiles.end);
        [tiles.start..middle, middle..tiles.end].into_iter().filter(|tiles| !tiles.is_empty())
    }

    /// The rows of tile `t`.
    pub fn rows(&self, t: usize) -> Range<usize> {
        let start = |t: usize| t * self.short + t.min(self.taller);
        start(t)..start(t + 1)
    }
}
