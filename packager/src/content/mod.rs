//! Files become tensors, and answers become words, as the manifest describes.
//!
//! On the way in: arrays ([`read_array`], [`CaseFile`]), the bytes of any file, pictures and sound. On the way out:
//! [`answer`] reads an output's tensor in the terms of its description. Every file is hostile: sizes are checked
//! before anything is allocated for them, and nothing here panics on any bytes.

mod answer;
mod array;
pub mod bytes;
mod cases;
mod error;
mod feed;
pub mod heatmap;
mod labels;
mod npz;
pub mod numbers;
mod picture;
pub mod series;
mod sound;

pub use answer::{Answer, Area, Class, Reading, Text, answer, best};
pub use array::{ARRAY_BYTES, Array, read_array, write_array};
pub use cases::{CONSTANT_OPTION, Case, CaseFile, Interface, Label};
pub use error::ContentError;
pub use feed::{Feed, STDIN};
pub use labels::read_labels;
pub use npz::{Npz, Stream, write_npz};
pub use picture::{Picture, picture};
pub use sound::Sound;
