//! Structured sections: a version number, then postcard.
//!
//! postcard has no schema evolution, so the version stands outside it and a structure is frozen per version.

use alloc::vec::Vec;

use serde::{Serialize, de::DeserializeOwned};

use crate::error::DecodeError;

/// Encodes `value` behind its version: `u16` little-endian, then postcard.
pub fn encode_versioned<T: Serialize>(version: u16, value: &T) -> Vec<u8> {
    let mut bytes = version.to_le_bytes().to_vec();
    // postcard fails only for sequences of unknown length, which no type of this format serialises.
    bytes.extend(postcard::to_allocvec(value).unwrap_or_default());
    bytes
}

/// Decodes what [`encode_versioned`] wrote, and nothing else: one value has one encoding.
///
/// # Errors
/// [`DecodeError::Version`]: another version than `version`. [`DecodeError::Truncated`] and
/// [`DecodeError::Malformed`]: not an encoding of `T`. [`DecodeError::NotCanonical`]: trailing bytes, or an encoding
/// longer than needed. Never panics, and allocates in proportion to `bytes` only.
///
/// ```
/// use pannier_bundle::versioned::{decode_versioned, encode_versioned};
/// let bytes = encode_versioned(1, &vec![1_u32, 300]);
/// assert_eq!(decode_versioned::<Vec<u32>>(&bytes, 1).unwrap(), [1, 300]);
/// assert!(decode_versioned::<Vec<u32>>(&bytes, 2).is_err());
/// ```
pub fn decode_versioned<T: Serialize + DeserializeOwned>(bytes: &[u8], version: u16) -> Result<T, DecodeError> {
    let (found, encoded) = bytes.split_first_chunk::<2>().ok_or(DecodeError::Truncated)?;
    let found = u16::from_le_bytes(*found);
    if found != version {
        return Err(DecodeError::Version { found, known: version });
    }
    let (value, rest) = postcard::take_from_bytes::<T>(encoded).map_err(|error| match error {
        postcard::Error::DeserializeUnexpectedEnd => DecodeError::Truncated,
        _ => DecodeError::Malformed,
    })?;
    if !rest.is_empty() || postcard::serialize_with_flavor(&value, Expected(encoded)).is_err() {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// What an encoding has to be, of which so much was not compared yet: encoding fails at the first difference, without memory for it.
struct Expected<'a>(&'a [u8]);

impl postcard::ser_flavors::Flavor for Expected<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(postcard::Error::SerializeBufferFull) }
    }
}
