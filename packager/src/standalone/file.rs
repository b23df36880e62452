//! Reading a self-contained file. Nothing of it runs here.

use super::{LABELS, MANIFEST, RUNTIME, SIGNATURE, StandaloneError, Why};
use crate::build::LABELS_VERSION;
use crate::error::Error;
use pannier_bundle::trust::{self, Resources, Trust, Verdict};
use pannier_bundle::{Limits, Manifest, decode_versioned};
use pannier_wasm_module::{Kind, custom_section, kind, last_section};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Length of the digest that ends the signature section.
const DIGEST_BYTES: usize = 32;

/// What runs the model in a self-contained file. Contents of the section `pannier.runtime`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Name of this document's form: `pannier.dev/runtime/v1`.
    pub schema: String,
    /// Version of the guest's plain ABI.
    pub abi: u32,
    /// The engine that runs the model.
    pub engine: String,
    /// The instructions that a host must know: `simd128` or `relaxed-simd`.
    pub flavour: String,
}

impl Runtime {
    /// The form that this version writes and reads.
    pub const SCHEMA: &'static str = "pannier.dev/runtime/v1";

    /// Contents of the section.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number have a JSON form")
    }

    fn from_json(json: &[u8]) -> Result<Runtime, StandaloneError> {
        let invalid = |detail: String| StandaloneError::from(Why::Runtime { detail });
        let runtime: Runtime = serde_json::from_slice(json).map_err(|error| invalid(error.to_string()))?;
        match runtime.schema.as_str() {
            Runtime::SCHEMA => Ok(runtime),
            other => Err(invalid(format!("expected {}, found {other:?}", Runtime::SCHEMA))),
        }
    }
}

/// A self-contained file that is whole. Nothing is said about whom it is from before [`Standalone::verify`].
#[derive(Debug, Clone)]
pub struct Standalone<'f> {
    /// All bytes before the signature section.
    unsigned: &'f [u8],
    manifest_bytes: &'f [u8],
    kind: Kind,
    manifest: Manifest,
    labels: Vec<Vec<String>>,
    runtime: Runtime,
    signatures: Vec<Vec<u8>>,
}

impl<'f> Standalone<'f> {
    /// Reads a file and checks that it is whole.
    ///
    /// # Errors
    /// [`Error::Standalone`]: it is not a self-contained file, or damaged. [`Error::Bundle`]: its manifest is not valid, or it has too many
    /// signatures.
    pub fn read(file: &'f [u8]) -> Result<Standalone<'f>, Error> {
        let kind = kind(file).map_err(broken)?;
        let (unsigned, block) = last_section(file, SIGNATURE).map_err(broken)?.ok_or_else(|| lacks(SIGNATURE))?;
        let (block, digest) = block
            .split_last_chunk::<DIGEST_BYTES>()
            .ok_or(StandaloneError::from(Why::SignatureSize { size_bytes: block.len() }))?;
        let before = file.len().saturating_sub(DIGEST_BYTES);
        if digest_of(file.get(..before).unwrap_or_default()) != *digest {
            return Err(StandaloneError::from(Why::Digest).into());
        }
        let section = |name| custom_section(unsigned, name).map_err(broken)?.ok_or_else(|| lacks(name));
        let manifest_bytes = section(MANIFEST)?;
        Ok(Standalone {
            unsigned,
            manifest_bytes,
            kind,
            manifest: Manifest::decode(manifest_bytes)?,
            labels: custom_section(unsigned, LABELS).map_err(broken)?.map_or(Ok(Vec::new()), labels)?,
            runtime: Runtime::from_json(section(RUNTIME)?)?,
            signatures: trust::decode_signatures(block, &Limits::default())?,
        })
    }

    /// Decides whether the file is trusted.
    ///
    /// `now_unix_s` is the time in seconds since 1970, for keys and policies that expire.
    ///
    /// # Errors
    /// [`Error::Bundle`]: it is not trusted, with the same codes as for a bundle.
    pub fn verify(&self, trust: &Trust, now_unix_s: Option<u64>) -> Result<Verdict, Error> {
        let judge = || {
            let verdict = trust::verify_over(&self.resources(), &self.signatures, trust, now_unix_s)?;
            trust::check_version(trust, &self.manifest)?;
            Ok(verdict)
        };
        judge().map_err(|error| pannier_bundle::Error::Trust(error).into())
    }

    /// Module or component.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name in documents and on the command line: `wasm` or `component`.
    pub fn format(&self) -> &'static str {
        match self.kind {
            Kind::Module => "wasm",
            Kind::Component => "component",
        }
    }

    /// What the file says of its model.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The lists of labels that outputs refer to.
    pub fn labels(&self) -> &[Vec<String>] {
        &self.labels
    }

    /// What runs the model.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The signatures, each a Sigstore bundle in JSON.
    pub fn signatures(&self) -> &[Vec<u8>] {
        &self.signatures
    }

    /// What signatures are about: `manifest` and `module`.
    pub fn resources(&self) -> Resources<'static> {
        resources(self.manifest_bytes, self.unsigned)
    }

    /// All bytes before the signature section.
    pub(super) fn unsigned(&self) -> &'f [u8] {
        self.unsigned
    }
}

/// What signatures are about: the manifest for those who want to see what they sign, and everything.
pub(super) fn resources(manifest_bytes: &[u8], unsigned: &[u8]) -> Resources<'static> {
    Resources::of(&[("manifest", manifest_bytes), ("module", unsigned)])
}

/// What ends the signature section.
pub(super) fn digest_of(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::digest(bytes).into()
}

fn labels(content: &[u8]) -> Result<Vec<Vec<String>>, Error> {
    let decoded = decode_versioned(content, LABELS_VERSION);
    Ok(decoded.map_err(|why| pannier_bundle::Error::Decode { what: "the labels".to_owned(), why })?)
}

fn broken(error: pannier_wasm_module::Error) -> StandaloneError {
    StandaloneError::File(error.into())
}

fn lacks(name: &'static str) -> StandaloneError {
    StandaloneError::File(Why::NoSection { name })
}
