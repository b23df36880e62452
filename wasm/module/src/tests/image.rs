//! Images of memories.

use proptest::prelude::*;

use crate::{Error, MAX_PAGES, MemoryImage, PAGE_BYTES, memory_module, self_contained, split};

const PAGE: usize = 65_536;

/// A memory of up to three pages in which a few places are not zero.
fn memory() -> impl Strategy<Value = Vec<u8>> {
    let writes = proptest::collection::vec((0..3 * PAGE, proptest::collection::vec(any::<u8>(), 1..200)), 0..30);
    (0..4_usize, writes).prop_map(|(pages, writes)| {
        let mut memory = vec![0; pages * PAGE];
        for (offset, bytes) in writes {
            for (place, byte) in memory.iter_mut().skip(offset).zip(bytes) {
                *place = byte;
            }
        }
        memory
    })
}

fn restored(image: &MemoryImage) -> Vec<u8> {
    // Not zero before: what is not in the image has to be cleared.
    let mut memory = vec![0xaa; usize::try_from(image.size_bytes()).unwrap()];
    image.write_to(&mut memory).unwrap();
    memory
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_image_gives_back_the_memory_it_was_made_of(memory in memory()) {
        let image = MemoryImage::of(&memory);
        prop_assert_eq!(restored(&image), memory);
    }

    /// A memory that went through a module that defines it, a guest that contains it, and back by splitting.
    #[test]
    fn modules_give_back_the_memory_they_were_made_with(memory in memory()) {
        let image = MemoryImage::of(&memory);
        let of_memory_module = split(&memory_module(&image, None).unwrap()).unwrap().memory;
        prop_assert_eq!(&restored(&of_memory_module), &memory);
        let contained = self_contained(&super::wat(super::RAW), &image, &[]).unwrap();
        prop_assert_eq!(restored(&split(&contained).unwrap().memory), memory);
    }

    #[test]
    fn runs_are_in_order_apart_and_inside(memory in memory()) {
        let image = MemoryImage::of(&memory);
        let mut end = 0;
        for (offset, bytes) in image.runs() {
            prop_assert!(offset >= end);
            prop_assert!(!bytes.is_empty());
            end = offset + bytes.len() as u64;
        }
        prop_assert!(end <= image.size_bytes());
    }
}

#[test]
fn near_runs_are_joined_and_far_ones_are_not() {
    let mut memory = vec![0; PAGE];
    for offset in [100, 140, 5000] {
        memory[offset] = 1;
    }
    let image = MemoryImage::of(&memory);
    let runs: Vec<_> = image.runs().map(|(offset, bytes)| (offset, bytes.len())).collect();
    assert_eq!(runs, [(96, 48), (4992, 16)]);
    assert_eq!(image.stored_bytes(), 64);
}

#[test]
fn pages_are_counted_once() {
    let mut memory = vec![0; 3 * PAGE];
    for offset in [0, 4000, 2 * 4096 - 1, 2 * PAGE] {
        memory[offset] = 1;
    }
    memory[4096..4096 + 2000].fill(1);
    let image = MemoryImage::of(&memory);
    assert_eq!(image.touched_pages(4096), 3);
    assert_eq!(image.touched_pages(PAGE_BYTES), 2);
    assert_eq!(image.touched_pages(0), 0);
    assert_eq!(MemoryImage::of(&[0; PAGE]).touched_pages(4096), 0);
}

/// One byte in 64 bytes over 8 MiB would be 131,072 runs.
#[test]
fn engines_limit_of_data_segments_is_kept() {
    let mut memory = vec![0; 128 * PAGE];
    for place in memory.iter_mut().step_by(64) {
        *place = 1;
    }
    let image = MemoryImage::of(&memory);
    assert!(image.runs().len() <= 100_000, "{} runs", image.runs().len());
    assert_eq!(restored(&image), memory);
}

#[test]
fn what_does_not_fit_is_refused() {
    let image = MemoryImage::of(&[1; 2 * PAGE]);
    let mut small = vec![7; 2 * PAGE - 1];
    let size =
        |needed: usize, available: u64| Error::ImageSize { needed_bytes: needed as u64, available_bytes: available };
    assert_eq!(image.write_to(&mut small), Err(size(2 * PAGE, 2 * PAGE_BYTES - 1)));
    assert!(small.iter().all(|&byte| byte == 7), "a memory that is too small is not touched");
    assert_eq!(memory_module(&image, Some(1)), Err(size(2 * PAGE, PAGE_BYTES)));
    assert!(memory_module(&image, Some(2)).is_ok());
    let guest = super::wat(r#"(module (memory (export "memory") 1 1))"#);
    assert_eq!(self_contained(&guest, &image, &[]), Err(size(2 * PAGE, PAGE_BYTES)));
    let huge = MemoryImage::empty(MAX_PAGES + 1);
    assert!(matches!(memory_module(&huge, None), Err(Error::ImageSize { .. })));
}

/// Offsets from 2 GiB on are negative as i32.
#[test]
fn the_upper_half_of_the_address_space_can_be_written() {
    let mut image = MemoryImage::empty(MAX_PAGES);
    image.push(MAX_PAGES * PAGE_BYTES - 4, b"last");
    let memory = split(&memory_module(&image, None).unwrap()).unwrap().memory;
    assert_eq!(memory, image);
}
