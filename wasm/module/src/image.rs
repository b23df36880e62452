//! The contents of a linear memory, without the zeros.

use crate::{Error, PAGE_BYTES};

/// Memory is looked at in blocks of this size; a block with one byte that is not zero is kept as a whole.
const BLOCK_BYTES: usize = 16;

/// Zeros between two runs that are kept rather than begin a new run: a run costs about a dozen bytes in a file.
const GAP_BYTES: u64 = 32;

/// Engines accept no more data segments in a module. From the JavaScript API of WebAssembly, "implementation-defined limits".
pub(crate) const MAX_RUNS: usize = 100_000;

/// What a linear memory holds: its size, and the runs of bytes that are not all zero.
///
/// ```
/// use pannier_wasm_module::MemoryImage;
///
/// let mut memory = vec![0; 65_536];
/// memory[1000..1005].copy_from_slice(b"hello");
/// let image = MemoryImage::of(&memory);
/// assert_eq!(image.pages(), 1);
/// assert!(image.stored_bytes() < 100);
///
/// let mut copy = vec![0xff; 65_536];
/// image.write_to(&mut copy)?;
/// assert_eq!(copy, memory);
/// # Ok::<(), pannier_wasm_module::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryImage {
    pages: u64,
    runs: Vec<Run>,
    /// The bytes of all runs, one after the other.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Where in the memory.
    offset: u64,
    /// Where in `bytes`.
    start: usize,
    size: usize,
}

impl MemoryImage {
    /// Takes an image of a memory. Runs with few zeros between them are joined, as often as it takes to have 100,000 runs
    /// at most. A last page that is not complete counts as one. Never panics.
    #[must_use]
    pub fn of(memory: &[u8]) -> MemoryImage {
        let mut gap_bytes = GAP_BYTES;
        let mut spans = spans(memory);
        join(&mut spans, gap_bytes);
        while spans.len() > MAX_RUNS {
            gap_bytes = gap_bytes.saturating_mul(2);
            join(&mut spans, gap_bytes);
        }
        let mut image = MemoryImage::empty(to_u64(memory.len()).div_ceil(PAGE_BYTES));
        image.bytes.reserve_exact(spans.iter().map(|(start, end)| end.saturating_sub(*start)).sum());
        for (start, end) in spans {
            image.push(to_u64(start), memory.get(start..end).unwrap_or_default());
        }
        image
    }

    /// Only zeros.
    pub(crate) fn empty(pages: u64) -> MemoryImage {
        MemoryImage { pages, runs: Vec::new(), bytes: Vec::new() }
    }

    /// Adds a run. The caller sees to the order and to the end of the memory.
    pub(crate) fn push(&mut self, offset: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.runs.push(Run { offset, start: self.bytes.len(), size: bytes.len() });
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Size of the memory in pages of 64 KiB.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Size of the memory in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.pages.saturating_mul(PAGE_BYTES)
    }

    /// The runs in ascending order: where each starts in the memory, and its bytes. They do not overlap.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        self.runs
            .iter()
            .map(|run| (run.offset, self.bytes.get(run.start..run.start.saturating_add(run.size)).unwrap_or_default()))
    }

    /// Bytes in all runs, the short gaps in them included: about what the image takes in a file.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        to_u64(self.bytes.len())
    }

    /// Number of pages of this size that a run touches: what the image takes in memory. 0 for pages of size 0.
    #[must_use]
    pub fn touched_pages(&self, page_bytes: u64) -> u64 {
        let mut next_page = 0;
        let mut touched = 0_u64;
        for (offset, bytes) in self.runs() {
            let last_byte = offset.saturating_add(to_u64(bytes.len())).saturating_sub(1);
            let (Some(first), Some(last)) = (offset.checked_div(page_bytes), last_byte.checked_div(page_bytes)) else {
                return 0;
            };
            touched = touched.saturating_add(last.saturating_add(1).saturating_sub(first.max(next_page)));
            next_page = last.saturating_add(1);
        }
        touched
    }

    /// Makes a memory equal to the image: the runs, and zeros everywhere else. Never panics.
    ///
    /// # Errors
    /// [`Error::ImageSize`] if the memory is smaller than the image's last run needs; then it is as it was.
    pub fn write_to(&self, memory: &mut [u8]) -> Result<(), Error> {
        let needed_bytes = self.runs().last().map_or(0, |(offset, bytes)| offset.saturating_add(to_u64(bytes.len())));
        let available_bytes = to_u64(memory.len());
        let error = Error::ImageSize { needed_bytes, available_bytes };
        if needed_bytes > available_bytes {
            return Err(error);
        }
        let mut rest = memory;
        let mut at = 0_u64;
        for (offset, bytes) in self.runs() {
            let gap_bytes = usize::try_from(offset.saturating_sub(at)).map_err(|_| error.clone())?;
            let (gap, after) = rest.split_at_mut_checked(gap_bytes).ok_or_else(|| error.clone())?;
            let (place, after) = after.split_at_mut_checked(bytes.len()).ok_or_else(|| error.clone())?;
            gap.fill(0);
            place.copy_from_slice(bytes);
            rest = after;
            at = offset.saturating_add(to_u64(bytes.len()));
        }
        rest.fill(0);
        Ok(())
    }
}

/// Start and end of what is not zero, in whole blocks.
fn spans(memory: &[u8]) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (index, block) in memory.chunks(BLOCK_BYTES).enumerate() {
        let is_zero = match <[u8; BLOCK_BYTES]>::try_from(block) {
            Ok(whole) => u128::from_ne_bytes(whole) == 0,
            Err(_) => block.iter().all(|&byte| byte == 0),
        };
        if is_zero {
            continue;
        }
        let start = index.saturating_mul(BLOCK_BYTES);
        let end = start.saturating_add(block.len());
        match spans.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => spans.push((start, end)),
        }
    }
    spans
}

/// Joins spans with at most so many zeros between them.
fn join(spans: &mut Vec<(usize, usize)>, gap_bytes: u64) {
    spans.dedup_by(|next, last| {
        let is_near = to_u64(next.0.saturating_sub(last.1)) <= gap_bytes;
        if is_near {
            last.1 = next.1;
        }
        is_near
    });
}

fn to_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
