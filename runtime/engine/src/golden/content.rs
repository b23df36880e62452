//! Bytes as a whole. On the wire they are what a list of bytes is, but that is read and written byte by byte, and grows as it is read.

use core::marker::PhantomData;
use pannier_graph::AlignedBytes;
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// Where content is kept.
pub(super) trait Content: AsRef<[u8]> + Sized {
    /// A copy; `None` where there is no memory.
    fn copy(bytes: &[u8]) -> Option<Self>;
}

impl Content for Vec<u8> {
    fn copy(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl Content for AlignedBytes {
    fn copy(bytes: &[u8]) -> Option<Self> {
        AlignedBytes::lasting_copy(bytes)
    }
}

pub(super) fn serialize<S: Serializer>(content: &impl Content, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(content.as_ref())
}

pub(super) fn deserialize<'de, C: Content, D: Deserializer<'de>>(deserializer: D) -> Result<C, D::Error> {
    struct Copied<C>(PhantomData<C>);
    impl<C: Content> Visitor<'_> for Copied<C> {
        type Value = C;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<C, E> {
            C::copy(bytes).ok_or_else(|| E::custom("there is no memory for them"))
        }
    }
    deserializer.deserialize_bytes(Copied(PhantomData))
}
