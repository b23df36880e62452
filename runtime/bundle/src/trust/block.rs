//! Several signatures as one run of bytes: a `u32` count, then each signature behind its `u32` size, little-endian.

use crate::error::{Error, SignatureBlockError};
use crate::header::size;
use crate::limits::{Limits, Quantity};
use alloc::vec::Vec;

/// Puts signatures (Sigstore bundles in JSON) one behind the other.
///
/// # Errors
/// [`Error::Limit`]: they exceed 4 GiB.
#[cfg(feature = "write")]
pub fn encode_signatures(signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let to_u32 = |what, size: usize| {
        let (value, limit) = (crate::header::bytes(size), u32::MAX.into());
        u32::try_from(size).map_err(|_| Error::Limit { what, value, limit })
    };
    let mut block = to_u32(Quantity::Signatures, signatures.len())?.to_le_bytes().to_vec();
    for signature in signatures {
        block.extend(to_u32(Quantity::SignaturesBytes, signature.len())?.to_le_bytes());
        block.extend(signature);
    }
    Ok(block)
}

/// Takes them apart again. Nothing is said about what they are worth.
///
/// # Errors
/// [`Error::Limit`]: more signatures than `limits` allow. [`Error::SignatureBlock`]: the sizes do not add up. Never panics.
pub fn decode_signatures(block: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, Error> {
    let (count, mut rest) = take_u32(block)?;
    Limits::check(Quantity::Signatures, count.into(), limits.signatures)?;
    let mut signatures = Vec::new();
    for _ in 0..count {
        let (length, after) = take_u32(rest)?;
        let (signature, after) = after.split_at_checked(size(length)).ok_or(SignatureBlockError::Framing)?;
        signatures.push(signature.to_vec());
        rest = after;
    }
    if rest.is_empty() { Ok(signatures) } else { Err(SignatureBlockError::Framing.into()) }
}

fn take_u32(bytes: &[u8]) -> Result<(u32, &[u8]), SignatureBlockError> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(SignatureBlockError::Framing)?;
    Ok((u32::from_le_bytes(*number), rest))
}
