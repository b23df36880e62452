//! zstd frames (RFC 8878): checked from outside, then decoded by a decoder that the caller chose.

use alloc::boxed::Box;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::FrameError;
use crate::header::{WINDOW_BYTES_MAX, bytes};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Largest block of any frame (RFC 8878, 3.1.1.2.4).
const BLOCK_BYTES_MAX: u64 = 128 << 10;

/// Which zstd decoder reads the compressed planes. They differ in speed only.
///
/// The default is the fastest that this build has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(feature = "zstd")]
    Native,
}

impl Decoder {
    /// `ruzstd`: pure Rust, every target.
    pub const fn portable() -> Decoder {
        Decoder(Kind::Portable)
    }

    /// The reference implementation in C: several times faster.
    #[cfg(feature = "zstd")]
    pub const fn native() -> Decoder {
        Decoder(Kind::Native)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        #[cfg(feature = "zstd")]
        return Decoder::native();
        #[cfg(not(feature = "zstd"))]
        Decoder::portable()
    }
}

/// A decoder with its working memory, which is reused from frame to frame.
pub(crate) enum FrameReader {
    Portable(Box<FrameDecoder>),
    #[cfg(feature = "zstd")]
    Native(zstd::bulk::Decompressor<'static>),
}

impl FrameReader {
    pub(crate) fn new(decoder: Decoder) -> FrameReader {
        match decoder.0 {
            Kind::Portable => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size(WINDOW_BYTES_MAX);
                FrameReader::Portable(Box::new(decoder))
            }
            #[cfg(feature = "zstd")]
            Kind::Native => FrameReader::Native(zstd::bulk::Decompressor::default()),
        }
    }

    /// Decodes the one frame that `stored` must be, filling `into` exactly.
    pub(crate) fn decode(&mut self, stored: &[u8], into: &mut [u8]) -> Result<(), FrameError> {
        check_frame(stored, bytes(into.len()))?;
        let written = match self {
            FrameReader::Portable(decoder) => decode_portable(decoder, stored, into)?,
            #[cfg(feature = "zstd")]
            FrameReader::Native(decoder) => {
                decoder.decompress_to_buffer(stored, into).map_err(|_| FrameError::Content)?
            }
        };
        if written == into.len() { Ok(()) } else { Err(FrameError::Content) }
    }
}

/// Block by block, so that no more than a window and a block are in the decoder's own memory.
fn decode_portable(decoder: &mut FrameDecoder, stored: &[u8], into: &mut [u8]) -> Result<usize, FrameError> {
    use ruzstd::io::Read;
    let content = |_| FrameError::Content;
    let mut rest = stored;
    let mut written = 0;
    decoder.reset(&mut rest).map_err(content)?;
    while !decoder.is_finished() || decoder.can_collect() > 0 {
        if !decoder.is_finished() {
            decoder.decode_blocks(&mut rest, BlockDecodingStrategy::UptoBlocks(1)).map_err(content)?;
        }
        let free = into.get_mut(written..).unwrap_or_default();
        let taken = decoder.read(free).map_err(|_| FrameError::Content)?;
        written += taken;
        if decoder.can_collect() > 0 {
            return Err(FrameError::Content);
        }
    }
    Ok(written)
}

/// Checks that `stored` is one frame of `content_bytes` bytes with the options that the format allows, and nothing
/// else, without decoding it.
fn check_frame(stored: &[u8], content_bytes: u64) -> Result<(), FrameError> {
    let (magic, rest) = stored.split_first_chunk::<4>().ok_or(FrameError::Malformed)?;
    let (&descriptor, rest) = rest.split_first().ok_or(FrameError::Malformed)?;
    if *magic != MAGIC {
        return Err(FrameError::Malformed);
    }
    // Bits 0-1 dictionary, 2 checksum, 3 reserved, 4 unused.
    if descriptor & 0b0001_1111 != 0 {
        return Err(FrameError::Option);
    }
    let single_segment = descriptor & 0b0010_0000 != 0;
    let (window, rest) = if single_segment {
        (None, rest)
    } else {
        let (&byte, rest) = rest.split_first().ok_or(FrameError::Malformed)?;
        let base = 1_u64 << (10 + (byte >> 3));
        (Some(base + base / 8 * u64::from(byte & 7)), rest)
    };
    let (size, mut rest) = take_content_size(descriptor >> 6, single_segment, rest)?;
    let window_bytes = window.unwrap_or(size.unwrap_or(0));
    if window_bytes > WINDOW_BYTES_MAX {
        return Err(FrameError::Window { window_bytes });
    }
    if size != Some(content_bytes) {
        return Err(FrameError::ContentSize { expected_bytes: content_bytes });
    }
    loop {
        let (last, after) = take_block(rest, window_bytes)?;
        rest = after;
        if last {
            break;
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(FrameError::TrailingBytes) }
}

/// The frame content size field (RFC 8878, 3.1.1.1.4).
fn take_content_size(flag: u8, single_segment: bool, rest: &[u8]) -> Result<(Option<u64>, &[u8]), FrameError> {
    let width = match flag {
        0 if single_segment => 1,
        0 => return Ok((None, rest)),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let (field, rest) = rest.split_at_checked(width).ok_or(FrameError::Malformed)?;
    let value = field.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let bias = if width == 2 { 256 } else { 0 };
    Ok((value.checked_add(bias), rest))
}

/// Steps over one block (RFC 8878, 3.1.1.2): whether it is the last one, and what follows.
fn take_block(rest: &[u8], window_bytes: u64) -> Result<(bool, &[u8]), FrameError> {
    let (&[a, b, c], rest) = rest.split_first_chunk::<3>().ok_or(FrameError::Malformed)?;
    let header = u32::from_le_bytes([a, b, c, 0]);
    let (kind, block_bytes) = (header >> 1 & 3, header >> 3);
    if u64::from(block_bytes) > window_bytes.min(BLOCK_BYTES_MAX) {
        return Err(FrameError::Content);
    }
    let stored = match kind {
        // Raw and compressed blocks are as long as they say; of a repeated byte there is one.
        0 | 2 => usize::try_from(block_bytes).map_err(|_| FrameError::Malformed)?,
        1 => 1,
        _ => return Err(FrameError::Malformed),
    };
    let (_, rest) = rest.split_at_checked(stored).ok_or(FrameError::Malformed)?;
    Ok((header & 1 != 0, rest))
}
