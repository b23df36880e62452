//! What can be signed: a bundle, or a self-contained WebAssembly file.

use super::signatures::{self, Place, Signed};
use crate::error::Error;
use crate::input;
use crate::printer::Printer;
use crate::sign::PrivateKey;
use crate::standalone::{self, Standalone};
use pannier_bundle::trust::{self, Resources, Trust, Verdict};
use pannier_bundle::{Manifest, Verified, write};
use std::path::Path;

/// A file that is well-formed, in memory. Nobody vouches for it yet.
pub(crate) enum Signable<'f> {
    Bundle { file: &'f [u8], bundle: Verified<&'f [u8]> },
    Standalone(Standalone<'f>),
}

impl<'f> Signable<'f> {
    /// Reads a file; which of the two it is, its first bytes say.
    ///
    /// # Errors
    /// [`Error::Bundle`], [`Error::Standalone`]: it is not well-formed.
    pub(crate) fn read(file: &'f [u8], path: &Path) -> Result<Signable<'f>, Error> {
        if standalone::is_wasm(file) {
            return Ok(Signable::Standalone(Standalone::read(file).map_err(|error| error.in_file(path))?));
        }
        let bundle = input::verify(input::open_source(file, path)?, &Trust::AllowUnsigned, path)?;
        Ok(Signable::Bundle { file, bundle })
    }

    /// What it says of its model.
    pub(crate) fn manifest(&self) -> &Manifest {
        match self {
            Signable::Bundle { bundle, .. } => bundle.manifest(),
            Signable::Standalone(standalone) => standalone.manifest(),
        }
    }

    /// Decides whether it is trusted, at the present time.
    ///
    /// # Errors
    /// [`Error::Bundle`].
    pub(crate) fn verify(&self, trust: &Trust) -> Result<Verdict, pannier_bundle::Error> {
        let verdict = trust::verify_over(&self.resources(), self.signatures(), trust, input::now_unix_s())?;
        trust::check_version(trust, self.manifest())?;
        Ok(verdict)
    }

    /// Compares all contents with their digests: what is signed was checked. A self-contained file was when it was read.
    ///
    /// # Errors
    /// [`Error::Bundle`], [`Error::Interrupted`].
    pub(crate) fn check_contents(&self, path: &Path, printer: &Printer) -> Result<(), Error> {
        match self {
            Signable::Bundle { bundle, .. } => signatures::check_contents(bundle, path, printer),
            Signable::Standalone(_) => Ok(()),
        }
    }

    /// The file with a signature by this key.
    ///
    /// # Errors
    /// [`Error::Bundle`]: too many signatures.
    pub(crate) fn sign(&self, key: &PrivateKey, place: Place) -> Result<Signed, Error> {
        let joined = signatures::join(&self.manifest().name, &self.resources(), self.signatures(), key, place)?;
        let file = match self {
            Signable::Bundle { file, .. } => write::with_signatures(file, &joined.signatures)?,
            Signable::Standalone(standalone) => standalone.with_signatures(&joined.signatures)?,
        };
        Ok(Signed { file, replaced: joined.replaced, signatures: joined.signatures.len() })
    }

    fn resources(&self) -> Resources<'_> {
        match self {
            Signable::Bundle { bundle, .. } => Resources::of_bundle(bundle.header_bytes(), bundle.header()),
            Signable::Standalone(standalone) => standalone.resources(),
        }
    }

    fn signatures(&self) -> &[Vec<u8>] {
        match self {
            Signable::Bundle { bundle, .. } => bundle.signatures(),
            Signable::Standalone(standalone) => standalone.signatures(),
        }
    }
}
