//! One chunk: its digest, its planes, its content.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::error::{ChunkError, FrameError};
use crate::frame::{Decoder, FrameReader};
use crate::header::{Chunk, Codec, size};

/// Decodes chunks, reusing its working memory: at most one chunk of content and one decoder.
pub(crate) struct ChunkReader {
    frames: FrameReader,
    planes: Vec<u8>,
}

impl ChunkReader {
    pub(crate) fn new(decoder: Decoder) -> ChunkReader {
        ChunkReader { frames: FrameReader::new(decoder), planes: Vec::new() }
    }

    /// Checks the digest of `stored` and decodes it into `into`, which is as long as the chunk's content.
    ///
    /// `stored` must be memory that nobody else can change: what is checked is what is decoded.
    pub(crate) fn read(&mut self, chunk: &Chunk, stored: &[u8], into: &mut [u8]) -> Result<(), ChunkError> {
        check_digest(chunk, stored)?;
        match chunk.planes.as_slice() {
            [plane] if plane.codec == Codec::Raw => copy(stored, into),
            [_] => self.frames.decode(stored, into).map_err(|why| ChunkError::Frame { plane: 0, why }),
            _ => self.read_planes(chunk, stored, into),
        }
    }

    fn read_planes(&mut self, chunk: &Chunk, stored: &[u8], into: &mut [u8]) -> Result<(), ChunkError> {
        let plane_bytes = chunk.plane_bytes();
        let compressed = chunk.planes.iter().filter(|plane| plane.codec == Codec::Zstd).count();
        self.planes.resize(plane_bytes.saturating_mul(compressed), 0);

        // Raw planes are used where they lie in `stored`.
        let mut rest = stored;
        let mut free = self.planes.as_mut_slice();
        let mut planes: [&[u8]; 8] = [&[]; 8];
        for (index, (plane, slot)) in chunk.planes.iter().zip(&mut planes).enumerate() {
            let malformed = ChunkError::Frame { plane: index, why: FrameError::Malformed };
            let (bytes, after) = rest.split_at_checked(size(plane.stored_bytes)).ok_or(malformed.clone())?;
            rest = after;
            *slot = match plane.codec {
                Codec::Raw => bytes,
                Codec::Zstd => {
                    let (target, after) = free.split_at_mut_checked(plane_bytes).ok_or(malformed)?;
                    free = after;
                    self.frames.decode(bytes, target).map_err(|why| ChunkError::Frame { plane: index, why })?;
                    target
                }
            };
        }
        match planes {
            [a, b, c, d, e, f, g, h] if !h.is_empty() => interleave([a, b, c, d, e, f, g, h], into),
            [a, b, c, d, ..] if !d.is_empty() => interleave([a, b, c, d], into),
            [a, b, ..] => interleave([a, b], into),
        }
        Ok(())
    }
}

/// Fails if `stored` is not what the table says.
pub(crate) fn check_digest(chunk: &Chunk, stored: &[u8]) -> Result<(), ChunkError> {
    if <[u8; 32]>::from(Sha256::digest(stored)) == chunk.sha256 { Ok(()) } else { Err(ChunkError::Digest) }
}

fn copy(stored: &[u8], into: &mut [u8]) -> Result<(), ChunkError> {
    if stored.len() != into.len() {
        return Err(ChunkError::PlaneBytes { plane: 0, stored_bytes: u32::try_from(stored.len()).unwrap_or(u32::MAX) });
    }
    into.copy_from_slice(stored);
    Ok(())
}

/// Element `i` of `into` gets byte `i` of each plane.
fn interleave<const N: usize>(planes: [&[u8]; N], into: &mut [u8]) {
    let (elements, _) = into.as_chunks_mut::<N>();
    let count = elements.len();
    let planes = planes.map(|plane| plane.get(..count).unwrap_or_default());
    // One length for all lets the compiler drop the bound checks and use vector instructions: 6 to 7 GB/s were
    // measured on x86-64 with its baseline instructions, several times what hashing and decompression reach.
    if planes.iter().any(|plane| plane.len() != count) {
        return;
    }
    for (index, element) in elements.iter_mut().enumerate() {
        for (byte, plane) in element.iter_mut().zip(planes) {
            *byte = plane.get(index).copied().unwrap_or_default();
        }
    }
}
