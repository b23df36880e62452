//! The Pannier bundle: one file with a model, everything that is known of it, and the signatures over it.

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod code;
pub mod manifest;

pub use code::Code;
pub use manifest::{DType, Dim, Manifest};
