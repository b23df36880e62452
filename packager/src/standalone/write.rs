//! Making and signing self-contained files.

use super::file::{digest_of, resources};
use super::{LABELS, MANIFEST, RUNTIME, Runtime, SIGNATURE, Standalone, StandaloneError};
use crate::error::Error;
use crate::interrupt::OnCtrlC;
use crate::sign::PrivateKey;
use pannier_bundle::trust::{self, Trust};
use pannier_bundle::{Bundle, Limits};
use pannier_wasm_module::{CustomSection, Kind, append_section, self_contained, self_contained_component};
use pannier_wasmtime::{Config, Flavour, LoadOptions, Sandbox};
use std::sync::Arc;

/// The flavour of every self-contained file: all engines have these instructions, relaxed SIMD only newer ones.
const FLAVOUR: Flavour = Flavour::Simd128;
const FLAVOUR_NAME: &str = "simd128";

/// Version of the plain ABI that the guest has.
const ABI: u32 = 1;

/// Makes a self-contained file of a bundle, which is loaded and tested in the sandbox for it. The same bundle and key
/// give the same bytes.
///
/// # Errors
/// [`Error::Bundle`]: it is not a bundle. [`Error::Sandbox`]: it cannot be loaded there, or this packager was built without
/// the guest. [`Error::Standalone`]: no valid module comes out.
pub fn contain(bundle: &[u8], kind: Kind, signer: Option<&PrivateKey>) -> Result<Vec<u8>, Error> {
    let opened = Bundle::open(bundle, &Limits::default())?.verify(&Trust::AllowUnsigned, None)?;
    let manifest = opened.read("manifest")?;
    let labels = opened.section("labels").map(|section| opened.read(&section.name)).transpose()?;
    let guest = pannier_wasmtime::guest(FLAVOUR)?;
    // Deterministic, because preparing a model computes with it, and what comes out becomes part of the file.
    let sandbox = Sandbox::new(&Config { flavour: FLAVOUR, deterministic: true, ..Config::default() })?;
    let options = LoadOptions { watch: Some(Arc::new(OnCtrlC)), ..LoadOptions::default() };
    let model = sandbox.load(bundle, &Trust::AllowUnsigned, &options)?;
    let runtime = Runtime {
        schema: Runtime::SCHEMA.to_owned(),
        abi: ABI,
        engine: model.report().engine.clone(),
        flavour: FLAVOUR_NAME.to_owned(),
    };
    let runtime = runtime.to_json();
    let mut sections = vec![CustomSection { name: MANIFEST, contents: &manifest }];
    sections.extend(labels.as_ref().map(|contents| CustomSection { name: LABELS, contents }));
    sections.push(CustomSection { name: RUNTIME, contents: &runtime });
    let image = model.memory_image()?;
    let unsigned = match kind {
        Kind::Module => self_contained(&guest, &image, &sections),
        Kind::Component => self_contained_component(&guest, &image, &sections),
    };
    let unsigned = unsigned.map_err(StandaloneError::Module)?;
    let document = |key: &PrivateKey| {
        let statement = trust::statement_over(&model.manifest().name, &resources(&manifest, &unsigned));
        key.sign_statement(&statement)
    };
    let signatures: Vec<Vec<u8>> = signer.map(document).into_iter().collect();
    finish(&unsigned, &signatures)
}

impl Standalone<'_> {
    /// The same file with other signatures, each a Sigstore bundle in JSON, in this order.
    ///
    /// # Errors
    /// [`Error::Bundle`]: they exceed 4 GiB.
    pub fn with_signatures(&self, signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
        finish(self.unsigned(), signatures)
    }
}

/// Adds the signature section. Its size is known before the digest in it, which is over the size as well.
pub(super) fn finish(unsigned: &[u8], signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let mut contents = trust::encode_signatures(signatures)?;
    let digest_bytes = digest_of(&[]).len();
    contents.resize(contents.len() + digest_bytes, 0);
    let mut file = unsigned.to_vec();
    append_section(&mut file, SIGNATURE, &contents);
    let digest_at = file.len() - digest_bytes;
    let (before, place) = file.split_at_mut(digest_at);
    place.copy_from_slice(&digest_of(before));
    Ok(file)
}
