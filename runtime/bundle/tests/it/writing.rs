//! What the writer promises: the same bytes, the smallest encoding, cuts at tensors.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use pannier_bundle::header::{CHUNK_CONTENT_BYTES_MAX, Codec};
use pannier_bundle::write::{MERGE_BYTES, SealOptions, SectionContent, content_id, seal};
use pannier_bundle::{Code, Header};

use crate::support::{content, floats, manifest, quietly, sealed_with};

fn chunk_lengths(header: &Header, name: &str) -> Vec<u32> {
    header.section(name).unwrap().chunks.iter().map(|chunk| chunk.content_bytes).collect()
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_order() {
    let sections = || {
        let mut weights = content("weights/0", floats(500_000), 4);
        weights.cuts = vec![0, 100_000, 900_000, 1_500_000];
        vec![content("manifest", "m", 1), weights, content("weights/1", floats(70_000), 2), content("card", "c", 1)]
    };
    let file = |sections: Vec<SectionContent<'static>>, threads| {
        let options = SealOptions { threads: NonZeroUsize::new(threads).unwrap() };
        seal(sections, &options, &mut quietly).unwrap().assemble(&[]).unwrap()
    };
    let reference = file(sections(), 1);
    for threads in [2, 5] {
        assert!(file(sections(), threads) == reference, "{threads} threads");
    }
    assert!(file(sections().into_iter().rev().collect(), 2) == reference, "another order");
    let reversed: Vec<_> = sections().into_iter().rev().collect();
    assert_eq!(content_id(&sections()).unwrap(), content_id(&reversed).unwrap());
}

#[test]
fn chunks_end_where_tensors_end() {
    let (kib, max) = (1 << 10, CHUNK_CONTENT_BYTES_MAX);
    let merge = MERGE_BYTES as u32;
    // Content in bytes, where tensors begin, and the chunks that come of it.
    let cases: [(u32, &[u32], &[u32]); 8] = [
        (0, &[], &[]),
        (1, &[0], &[1]),
        (200 * kib, &[0], &[200 * kib]),
        (200 * kib, &[0, 70 * kib], &[70 * kib, 130 * kib]),
        (200 * kib, &[0, 10 * kib, 20 * kib, 80 * kib], &[80 * kib, 120 * kib]),
        (merge + 5, &[0, merge], &[merge, 5]),
        (2 * max + 7, &[0], &[max, max, 7]),
        (2 * max + 7, &[0, max + 9, max + 10], &[max, max, 7]),
    ];
    let mut wrong = Vec::new();
    for (length, cuts, expected) in cases {
        let mut section = content("weights/0", vec![0; length as usize], 1);
        section.cuts = cuts.iter().map(|cut| u64::from(*cut)).collect();
        let sealed = sealed_with(manifest("m", "1.0.0"), vec![section]);
        let lengths = chunk_lengths(sealed.header(), "weights/0");
        if lengths != expected {
            wrong.push(format!("{length} bytes, tensors at {cuts:?}: {lengths:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_chunk_has_its_smallest_encoding() {
    let noise: Vec<u8> =
        (0..40_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8 ^ ((i * i) >> 7) as u8).collect();
    let halves: Vec<u8> = noise[..20_000].iter().flat_map(|low| [*low, 0x3c]).collect();
    let text = "all work and no play makes jack a dull boy\n".repeat(200).into_bytes();
    use Codec::{Raw, Zstd};
    let cases: [(&str, Vec<u8>, u8, &[Codec]); 6] = [
        ("noise stays raw, without planes", noise.clone(), 4, &[Raw]),
        ("floats have one plane that compresses", floats(10_000), 4, &[Raw, Raw, Raw, Zstd]),
        ("so have halves", halves, 2, &[Raw, Zstd]),
        ("text compresses without planes", text, 4, &[Zstd]),
        ("zeros need no planes", vec![0; 8000], 8, &[Zstd]),
        ("a length that planes do not divide has none", floats(1000)[1..].to_vec(), 4, &[Zstd]),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, element_bytes, expected) in cases {
        let sealed = sealed_with(manifest("m", "1.0.0"), vec![content("weights/0", bytes, element_bytes)]);
        let planes = &sealed.header().section("weights/0").unwrap().chunks[0].planes;
        let codecs: Vec<Codec> = planes.iter().map(|plane| plane.codec).collect();
        if codecs != expected {
            wrong.push(format!("{what}: {codecs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let manifest = || content("manifest", "m", 1);
    let card = |change: fn(&mut SectionContent<'static>)| {
        let mut card = content("card", "0123456789", 1);
        change(&mut card);
        vec![manifest(), card]
    };
    let cases = [
        ("an unknown name", card(|card| card.name = "secrets".into()), Code::Failed),
        ("a name that leaves the folder", card(|card| card.name = "../card".into()), Code::Failed),
        ("an element of three bytes", card(|card| card.element_bytes = 3), Code::Failed),
        ("cuts that descend", card(|card| card.cuts = vec![5, 4]), Code::Failed),
        ("cuts past the end", card(|card| card.cuts = vec![11]), Code::Failed),
        ("a name that occurs twice", [card(|_| ()), card(|_| ())].concat(), Code::Corrupt),
        ("no manifest", vec![content("card", "c", 1)], Code::Corrupt),
        ("numbers that do not count from zero", vec![manifest(), content("weights/1", "w", 1)], Code::Corrupt),
    ];
    for (what, sections, code) in cases {
        let outcome = seal(sections, &SealOptions::default(), &mut quietly);
        assert_eq!(outcome.map(|_| ()).map_err(|error| error.code()), Err(code), "{what}");
    }
}

#[test]
fn progress_can_stop_the_work() {
    let sections = vec![content("manifest", "m", 1), content("weights/0", floats(1_000_000), 4)];
    let mut seen = Vec::new();
    let outcome = seal(sections, &SealOptions::default(), &mut |done, total| {
        seen.push((done, total));
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(outcome.unwrap_err().code(), Code::Interrupted);
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|(done, total)| done < total && *total == 4_000_001), "{seen:?}");
}
