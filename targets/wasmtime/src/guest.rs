//! The guest modules that this crate carries, and which of them runs.

use crate::config::{Config, Flavour};
use crate::error::{Error, GuestFault};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/guests.rs"));
}

/// Most bytes that an embedded guest decompresses to.
const GUEST_BYTES_MAX: usize = 256 << 20;

/// The flavour that a wish comes to: never [`Flavour::Auto`].
pub(crate) fn choose(wish: Flavour, deterministic: bool) -> Flavour {
    match wish {
        Flavour::RelaxedSimd if !deterministic => Flavour::RelaxedSimd,
        _ => Flavour::Simd128,
    }
}

/// Where a guest comes from.
pub(crate) enum Source<'a> {
    /// The configuration.
    Given(&'a [u8]),
    /// This crate, compressed.
    Embedded(&'static [u8]),
}

/// The guest that a configuration runs.
pub(crate) fn source(config: &Config, flavour: Flavour) -> Result<Source<'_>, Error> {
    if let Some(bytes) = &config.guest {
        return Ok(Source::Given(bytes));
    }
    let compressed = match flavour {
        Flavour::RelaxedSimd => embedded::RELAXED_SIMD,
        Flavour::Simd128 | Flavour::Auto => embedded::SIMD128,
    };
    compressed.map(Source::Embedded).ok_or(Error::NoGuest { flavour: name(flavour) })
}

impl<'a> Source<'a> {
    /// Tells it from every other. Of an embedded one it is of the compressed bytes, so that they stay so where its
    /// compiled code is in the cache.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let (Source::Given(bytes) | Source::Embedded(bytes)) = self;
        Sha256::digest(bytes).into()
    }

    /// The raw module.
    pub(crate) fn module(&self) -> Result<Cow<'a, [u8]>, Error> {
        match self {
            Source::Given(bytes) => Ok(Cow::Borrowed(bytes)),
            Source::Embedded(compressed) => {
                let module = zstd::bulk::decompress(compressed, GUEST_BYTES_MAX);
                Ok(Cow::Owned(module.map_err(|error| GuestFault::Module { reason: error.to_string() })?))
            }
        }
    }
}

/// The guest module that this crate carries, as it was linked: plain ABI and exports of the WIT package. What
/// [`SandboxedModel::memory_image`](crate::SandboxedModel::memory_image) gives is a memory of the same flavour.
///
/// # Errors
/// [`Error::NoGuest`]: this build carries none.
pub fn guest(flavour: Flavour) -> Result<Vec<u8>, Error> {
    let config = Config::default();
    Ok(source(&config, choose(flavour, false))?.module()?.into_owned())
}

/// The name of a flavour in files.
pub(crate) fn name(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::RelaxedSimd => "relaxed-simd",
        Flavour::Simd128 | Flavour::Auto => "simd128",
    }
}
