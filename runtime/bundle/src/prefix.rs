//! Everything before the body: preamble, header and signature block.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::error::{Error, SignatureBlockError};
#[cfg(feature = "write")]
use crate::header::bytes;
use crate::header::{Header, Preamble, size};
use crate::limits::Limits;
#[cfg(feature = "write")]
use crate::limits::Quantity;
use crate::trust::{self, Trust, Verdict};

/// Length of the digest that ends the signature block.
const DIGEST_BYTES: usize = 32;

/// The decoded parts before the body, and the header's bytes as they were read.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    pub(crate) preamble: Preamble,
    pub(crate) header_bytes: Vec<u8>,
    pub(crate) header: Header,
    pub(crate) signatures: Vec<Vec<u8>>,
    /// The digest that ends the signature block.
    pub(crate) sha256: [u8; DIGEST_BYTES],
}

impl Prefix {
    /// Decodes the parts after the preamble: `rest` holds exactly the header and the signature block.
    pub(crate) fn decode(preamble: Preamble, rest: &[u8], limits: &Limits) -> Result<Prefix, Error> {
        let framing = SignatureBlockError::Framing;
        let (header_bytes, block) = rest.split_at_checked(size(preamble.header_bytes)).ok_or(framing.clone())?;
        let (block, digest) = block.split_last_chunk::<DIGEST_BYTES>().ok_or(framing)?;
        // Damage first: whatever it did to the table, its name is damage.
        if digest_of(&preamble, header_bytes, block) != *digest {
            return Err(SignatureBlockError::Digest.into());
        }
        let header = Header::decode(header_bytes, preamble.body_bytes, limits)?;
        let signatures = trust::decode_signatures(block, limits)?;
        Ok(Prefix { preamble, header_bytes: header_bytes.to_vec(), header, signatures, sha256: *digest })
    }

    /// Decides trust: nothing of the body is needed for it but the manifest's version.
    pub(crate) fn verify(&self, trust: &Trust, now_unix_s: Option<u64>) -> Result<Verdict, Error> {
        Ok(trust::verify(&self.header_bytes, &self.header, &self.signatures, trust, now_unix_s)?)
    }
}

/// The parts before the body. The signature block in it: the [encoded](trust::encode_signatures) signatures, and the SHA-256
/// of everything before.
#[cfg(feature = "write")]
pub(crate) fn encode_prefix(header_bytes: &[u8], body_bytes: u64, signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let to_u32 = |what, size: usize| {
        let limit = u32::MAX.into();
        u32::try_from(size).map_err(|_| Error::Limit { what, value: bytes(size), limit })
    };
    let block = trust::encode_signatures(signatures)?;
    let preamble = Preamble {
        header_bytes: to_u32(Quantity::HeaderBytes, header_bytes.len())?,
        signatures_bytes: to_u32(Quantity::SignaturesBytes, block.len() + DIGEST_BYTES)?,
        body_bytes,
    };
    let digest = digest_of(&preamble, header_bytes, &block);
    let mut prefix = preamble.encode().to_vec();
    prefix.extend(header_bytes);
    prefix.extend(block);
    prefix.extend(digest);
    Ok(prefix)
}

fn digest_of(preamble: &Preamble, header_bytes: &[u8], block: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(preamble.encode()).chain_update(header_bytes).chain_update(block).finalize().into()
}
