//! Compressed planes that are not the one frame that the format allows. Their digests are right.

use pannier_bundle::header::{Chunk, Codec, Kind, Plane};
use pannier_bundle::{Code, Section};

use super::{Case, unsigned};
use crate::support::{file, lay_out, section, sha256};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Single segment, content size in four bytes.
const PLAIN: u8 = 0b1010_0000;

pub fn cases() -> Vec<Case> {
    let corrupt = |name: &str, why, bytes| unsigned(&format!("invalid/frame-{name}"), Code::Corrupt, why, bytes);
    vec![
        corrupt(
            "magic",
            "no zstd frame",
            card(&[b"zstd".as_slice(), &[PLAIN], &size(100), &repeated(100, true)].concat(), 100),
        ),
        corrupt("short", "the frame ends within its header", card(&[&MAGIC[..], &[PLAIN, 100]].concat(), 100)),
        corrupt("cut", "the last block is missing", card(&frame(PLAIN, 100, &[repeated(100, false)]), 100)),
        corrupt(
            "larger",
            "a chunk that expands past its recorded size: the frame says so",
            card(&frame(PLAIN, 200, &[repeated(200, true)]), 100),
        ),
        corrupt(
            "expands",
            "a chunk that expands past its recorded size: the frame does not say so",
            card(&frame(PLAIN, 100, &[repeated(200, true)]), 100),
        ),
        corrupt("expands-late", "a chunk that expands past its recorded size in a later block", {
            card(&frame(PLAIN, 100, &[repeated(100, false), repeated(100, true)]), 100)
        }),
        corrupt(
            "smaller",
            "a chunk that ends before its recorded size",
            card(&frame(PLAIN, 100, &[repeated(99, true)]), 100),
        ),
        corrupt("no-size", "the frame does not record its content size", {
            card(&[&MAGIC[..], &[0x00, 0x00], &repeated(100, true)].concat(), 100)
        }),
        corrupt("window", "a window of 2 MiB", {
            // Window descriptor 11 << 3: 2^21 bytes.
            card(&[&MAGIC[..], &[0x80, 11 << 3], &size(100), &repeated(100, true)].concat(), 100)
        }),
        corrupt("window-huge", "a window of 3.75 TiB", {
            card(&[&MAGIC[..], &[0x80, 0xff], &size(100), &repeated(100, true)].concat(), 100)
        }),
        corrupt("dictionary", "a dictionary is asked for", {
            card(&[&MAGIC[..], &[PLAIN | 1, 7], &size(100), &repeated(100, true)].concat(), 100)
        }),
        corrupt("checksum", "a checksum at the end", {
            card(&[frame(PLAIN | 4, 100, &[repeated(100, true)]), vec![0; 4]].concat(), 100)
        }),
        corrupt("reserved", "a reserved bit", card(&frame(PLAIN | 8, 100, &[repeated(100, true)]), 100)),
        corrupt("unused", "an unused bit", card(&frame(PLAIN | 16, 100, &[repeated(100, true)]), 100)),
        corrupt("trailing", "a byte after the frame", {
            card(&[frame(PLAIN, 100, &[repeated(100, true)]), vec![0]].concat(), 100)
        }),
        corrupt("two", "two frames", {
            let half = frame(PLAIN, 50, &[repeated(50, true)]);
            card(&[half.clone(), half].concat(), 100)
        }),
        corrupt("skippable", "a skippable frame in front", {
            let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0];
            card(&[&skippable[..], &frame(PLAIN, 100, &[repeated(100, true)])].concat(), 100)
        }),
        corrupt("block-reserved", "a block of the reserved type", card(&frame(PLAIN, 100, &[vec![0b111, 0, 0]]), 100)),
        corrupt(
            "block-large",
            "a block of more than the window",
            card(&frame(PLAIN, 100, &[repeated(0x1f_ffff, true)]), 100),
        ),
        corrupt("block-garbage", "a compressed block without sense", {
            card(&frame(PLAIN, 100, &[[vec![0b101 | 20 << 3, 0, 0], vec![0xa5; 20]].concat()]), 100)
        }),
        corrupt("plane", "the third of four planes is damaged", planes()),
    ]
}

/// A bundle whose card is this frame; `content_bytes` is what the table says.
fn card(frame: &[u8], content_bytes: usize) -> Vec<u8> {
    let section = section(Kind::Card, "card", Codec::Zstd, frame, &vec![7; content_bytes]);
    bundle(section, frame)
}

fn bundle(section: Section, stored: &[u8]) -> Vec<u8> {
    let (header, body) = lay_out(vec![(section, stored.to_vec())]);
    file(&header.encode(), &body, &[])
}

fn frame(descriptor: u8, content_bytes: u32, blocks: &[Vec<u8>]) -> Vec<u8> {
    [&MAGIC[..], &[descriptor], &size(content_bytes), &blocks.concat()].concat()
}

fn size(content_bytes: u32) -> [u8; 4] {
    content_bytes.to_le_bytes()
}

/// A block of one byte that is repeated.
fn repeated(times: u32, last: bool) -> Vec<u8> {
    let [a, b, c, _] = (times << 3 | 0b10 | u32::from(last)).to_le_bytes();
    vec![a, b, c, 7]
}

fn planes() -> Vec<u8> {
    let good = frame(PLAIN, 100, &[repeated(100, true)]);
    let bad = frame(PLAIN, 100, &[repeated(99, true)]);
    let stored = [good.clone(), good.clone(), bad, good].concat();
    let mut weights = section(Kind::Weights, "weights/0", Codec::Raw, &stored, &[7; 400]);
    let planes = vec![Plane { codec: Codec::Zstd, stored_bytes: 13 }; 4];
    weights.chunks = vec![Chunk { content_bytes: 400, sha256: sha256(&stored), planes }];
    bundle(weights, &stored)
}
