//! The Pannier bundle: one file with a model, everything that is known of it, and the signatures over it.
//!
//! A bundle is opened in steps, and the types keep the order: [`Bundle::open`] reads what stands before the body and
//! trusts nothing; [`Bundle::verify`] decides trust and gives a [`Verified`]; only a [`Verified`] reads sections. The
//! [`Stream`] does the same for bytes that arrive piece by piece, and the [`Preflight`] answers from the first few
//! KiB what the whole file will need.
//!
//! The format is specified in `SPEC.md` beside this crate, with test vectors in `tests/vectors`.
//!
//! # Invariants
//!
//! - Every byte read is hostile. Nothing here panics on it, and nothing is allocated before its length was compared
//!   with the [`Limits`] and with what the source has.
//! - The bytes that were verified are the bytes that are used: they are copied once into memory that nobody else can
//!   change, checked there and decoded from there.
//! - A file has one reading. What could be encoded in two ways is refused in all but one.
//!
//! # What it does not do
//!
//! It never sees a tensor, an operator or an engine; it opens no socket and reads no clock. It makes no keys and no
//! signatures: it says what is to be signed ([`trust::statement_payload`]) and checks what was.
//!
//! # Example
//!
//! ```
//! use pannier_bundle::{Bundle, Error, Limits, trust::{PublicKey, Trust}};
//!
//! fn card(file: Vec<u8>, publisher: &str) -> Result<Vec<u8>, Error> {
//!     let trust = Trust::Keys(vec![PublicKey::from_pem(publisher)?]);
//!     let bundle = Bundle::open(file, &Limits::default())?.verify(&trust, None)?;
//!     bundle.read("card")
//! }
//! ```

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::as_conversions)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions,
        reason = "a test that panics has failed"
    )
)]

extern crate alloc;

mod bundle;
mod chunk;
mod code;
mod error;
mod frame;
pub mod header;
mod limits;
pub mod manifest;
#[cfg(feature = "oracle")]
#[doc(hidden)]
pub mod oracle;
mod prefix;
mod preflight;
mod reader;
mod semantics;
mod source;
mod stream;
pub mod trust;
pub mod versioned;
#[cfg(feature = "write")]
pub mod write;

pub use bundle::{Bundle, Progress, Verified};
pub use code::Code;
pub use error::{
    ChunkError, DecodeError, Error, FrameError, HeaderError, ManifestError, SectionError, SignatureBlockError,
};
pub use frame::Decoder;
pub use header::{Header, Section};
pub use limits::{Limits, Quantity};
pub use manifest::{DType, Dim, Manifest};
pub use preflight::{FromPrefix, Preflight};
pub use semantics::MODEL_NAME_BYTES_MAX;
#[cfg(feature = "std")]
pub use source::FileSource;
pub use source::Source;
pub use stream::{Event, Opened, Stream};
pub use trust::{Policy, PublicKey, Trust, Verdict};
pub use versioned::{decode_versioned, encode_versioned};
