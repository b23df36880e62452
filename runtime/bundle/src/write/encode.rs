//! The smallest encoding of each chunk.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use sha2::{Digest, Sha256};
use zstd::bulk::Compressor;

use super::pieces::Piece;
use crate::bundle::Progress;
use crate::error::Error;
use crate::header::{Chunk, Codec, Plane, bytes};

/// Compression level of zstd.
pub const LEVEL: i32 = 19;
/// Largest window as a power of two: the format's maximum of 1 MiB.
pub const WINDOW_LOG: u32 = 20;

/// A plane is compressed only if that saves at least one part in this many: less is not worth the time that it takes to
/// read it again.
const WORTHWHILE: usize = 50;
/// What one more plane costs in the table.
const PLANE_ENTRY_BYTES: usize = 4;

/// Encodes the pieces with `threads` threads; the result is in the order of the pieces.
pub(super) fn encode_all(
    pieces: &[Piece<'_>],
    threads: NonZeroUsize,
    progress: &mut Progress<'_>,
) -> Result<Vec<(Chunk, Vec<u8>)>, Error> {
    let total = pieces.iter().map(|piece| bytes(piece.bytes.len())).sum();
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let mut results: Vec<Option<(Chunk, Vec<u8>)>> = vec![None; pieces.len()];
    let threads = threads.get().min(pieces.len());

    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let sender = sender.clone();
            let (next, stopped) = (&next, &stopped);
            scope.spawn(move || {
                let mut encoder = Encoder::new().map_err(|error| error.to_string());
                while !stopped.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(piece) = pieces.get(index) else { break };
                    let encoded = match &mut encoder {
                        Ok(encoder) => encoder.encode(piece).map_err(|error| error.to_string()),
                        Err(error) => Err(error.clone()),
                    };
                    let encoded = encoded.map_err(|cause| Error::Write { section: piece.name.to_string(), cause });
                    if sender.send((index, encoded)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut done = 0;
        let outcome = receiver.iter().try_for_each(|(index, encoded)| {
            let encoded = encoded?;
            done += u64::from(encoded.0.content_bytes);
            if let Some(slot) = results.get_mut(index) {
                *slot = Some(encoded);
            }
            if progress(done, total).is_break() { Err(Error::Interrupted) } else { Ok(()) }
        });
        stopped.store(true, Ordering::Relaxed);
        outcome
    })?;
    Ok(results.into_iter().flatten().collect())
}

struct Encoder {
    compressor: Compressor<'static>,
}

impl Encoder {
    fn new() -> std::io::Result<Encoder> {
        use zstd::zstd_safe::CParameter;
        let parameters = [
            CParameter::CompressionLevel(LEVEL),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ContentSizeFlag(true),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ];
        let mut compressor = Compressor::default();
        for parameter in parameters {
            compressor.set_parameter(parameter)?;
        }
        Ok(Encoder { compressor })
    }

    /// Without a filter, and split into planes where that is smaller.
    fn encode(&mut self, piece: &Piece<'_>) -> std::io::Result<(Chunk, Vec<u8>)> {
        let content = piece.bytes;
        let mut best = self.encode_planes(&[content])?;
        let width = usize::from(piece.element_bytes);
        if width > 1 && content.len().is_multiple_of(width) {
            let planes = split(content, width);
            let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
            let split = self.encode_planes(&planes)?;
            if split.1.len() + PLANE_ENTRY_BYTES * (width - 1) < best.1.len() {
                best = split;
            }
        }
        let (planes, stored) = best;
        let content_bytes = u32::try_from(content.len()).unwrap_or(u32::MAX);
        Ok((Chunk { content_bytes, sha256: Sha256::digest(&stored).into(), planes }, stored))
    }

    fn encode_planes(&mut self, planes: &[&[u8]]) -> std::io::Result<(Vec<Plane>, Vec<u8>)> {
        let mut table = Vec::new();
        let mut stored = Vec::new();
        for plane in planes {
            let compressed = self.compressor.compress(plane)?;
            let worthwhile = compressed.len() + plane.len() / WORTHWHILE < plane.len();
            let (codec, bytes) = if worthwhile { (Codec::Zstd, &*compressed) } else { (Codec::Raw, *plane) };
            table.push(Plane { codec, stored_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) });
            stored.extend(bytes);
        }
        Ok((table, stored))
    }
}

/// Byte `p` of each element, for each `p`.
fn split(content: &[u8], width: usize) -> Vec<Vec<u8>> {
    (0..width).map(|plane| content.iter().skip(plane).step_by(width).copied().collect()).collect()
}
