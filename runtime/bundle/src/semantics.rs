//! What the manifest's encoding cannot express.

use alloc::collections::BTreeSet;

use crate::error::ManifestError;
use crate::manifest::{Content, Dim, Manifest, Port};

/// Longest name of a model, in bytes.
pub const MODEL_NAME_BYTES_MAX: usize = 64;

pub(crate) fn check_manifest(manifest: &Manifest) -> Result<(), ManifestError> {
    if !is_model_name(&manifest.name) {
        return Err(ManifestError::Name { name: manifest.name.clone() });
    }
    if semver::Version::parse(&manifest.version).is_err() {
        return Err(ManifestError::Version { version: manifest.version.clone() });
    }
    for ports in [&manifest.inputs, &manifest.outputs] {
        let mut names = BTreeSet::new();
        for port in ports {
            if port.name.is_empty() || !names.insert(&port.name) {
                return Err(ManifestError::PortName { name: port.name.clone() });
            }
            check_shape(port)?;
        }
    }
    manifest.inputs.iter().try_for_each(|input| check_state(manifest, input))
}

/// `a-z 0-9` first, then also `- _ .`.
fn is_model_name(name: &str) -> bool {
    let mut letters = name.bytes();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= MODEL_NAME_BYTES_MAX
        && letters.next().is_some_and(plain)
        && letters.all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}

/// The fixed dimensions must make a size in bytes that fits 63 bits.
fn check_shape(port: &Port) -> Result<(), ManifestError> {
    let element = u64::try_from(port.dtype.size_bytes()).unwrap_or(u64::MAX);
    let fixed = port.shape.iter().filter_map(|dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Symbol(_) => None,
    });
    let size_bytes = fixed.into_iter().try_fold(element, |product, size| product.checked_mul(size));
    match size_bytes {
        Some(size_bytes) if i64::try_from(size_bytes).is_ok() => Ok(()),
        _ => Err(ManifestError::PortShape { name: port.name.clone() }),
    }
}

/// A state input is fed from an output of the same type.
fn check_state(manifest: &Manifest, input: &Port) -> Result<(), ManifestError> {
    let Content::State { output } = &input.content else { return Ok(()) };
    match manifest.output(output) {
        Some(output) if output.dtype == input.dtype && output.content == Content::NextState => Ok(()),
        _ => Err(ManifestError::State { name: input.name.clone() }),
    }
}
