//! Reading what the command line names: files, bundles and whom to trust.

use crate::args::TrustArgs;
use crate::error::Error;
use crate::standalone;
use pannier_bundle::trust::{Policy, PublicKey, Trust, TrustError};
use pannier_bundle::{Bundle, FileSource, Limits, Source, Verified};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a whole file; `-` is stdin.
///
/// # Errors
/// [`Error::Read`].
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::Read { path: path.to_owned(), cause };
    if is_stdin(path) {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(failed)
}

/// Reads a whole text file.
///
/// # Errors
/// [`Error::Read`], also where it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Error> {
    String::from_utf8(read(path)?).map_err(|_| Error::Read {
        path: path.to_owned(),
        cause: std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not text"),
    })
}

/// Whether a path stands for stdin.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Where a bundle's bytes come from. A clone reads the same bytes.
#[derive(Debug, Clone)]
pub enum BundleSource {
    /// A file, read where it is needed.
    File(Arc<FileSource>),
    /// Stdin, or a pipe, read whole.
    Memory(Arc<Vec<u8>>),
}

impl BundleSource {
    /// Opens the file at `path`; `-` is stdin.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn open(path: &Path) -> Result<BundleSource, Error> {
        let failed = |cause| Error::Read { path: path.to_owned(), cause };
        if is_stdin(path) || !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Ok(BundleSource::Memory(Arc::new(read(path)?)));
        }
        // Opened once with the standard library, so that a refusal reads the same for every kind of file.
        std::fs::File::open(path).map_err(failed)?;
        Ok(BundleSource::File(Arc::new(FileSource::open(path)?)))
    }
}

impl Source for BundleSource {
    fn size_bytes(&self) -> u64 {
        match self {
            BundleSource::File(file) => file.size_bytes(),
            BundleSource::Memory(bytes) => bytes.size_bytes(),
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), pannier_bundle::Error> {
        match self {
            BundleSource::File(file) => file.read_at(offset, into),
            BundleSource::Memory(bytes) => bytes.read_at(offset, into),
        }
    }
}

/// Opens a bundle; `-` is stdin. Nothing of it is trusted yet.
///
/// # Errors
/// [`Error::Read`]; [`Error::Bundle`]: it is not well-formed.
pub fn open(path: &Path) -> Result<Bundle<BundleSource>, Error> {
    open_source(bundle_source(path)?, path)
}

/// Opens the file of a command that takes bundles and nothing else.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`]: it is a self-contained file.
pub fn bundle_source(path: &Path) -> Result<BundleSource, Error> {
    let source = BundleSource::open(path)?;
    if standalone::starts_as_wasm(&source)? { Err(self_contained(path)) } else { Ok(source) }
}

/// Reads all of the file of a command that takes bundles and nothing else.
///
/// # Errors
/// Those of [`bundle_source`].
pub fn bundle_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read(path)?;
    if standalone::is_wasm(&bytes) { Err(self_contained(path)) } else { Ok(bytes) }
}

fn self_contained(path: &Path) -> Error {
    Error::usage_with_hint(
        format!("{} is a self-contained WebAssembly file, and this command takes bundles", path.display()),
        "it runs without Pannier: `packager inspect` shows how",
    )
}

/// Opens the bundle in a source that was opened from `path`.
///
/// # Errors
/// [`Error::Bundle`]: it is not well-formed.
pub fn open_source<S: Source>(source: S, path: &Path) -> Result<Bundle<S>, Error> {
    Bundle::open(source, &Limits::default()).map_err(|error| Error::from(error).in_file(path))
}

/// Opens a bundle and verifies it as the command line asks.
///
/// # Errors
/// As [`open`] and [`required_trust`]; whatever the verification says.
pub fn open_verified(path: &Path, trust: &TrustArgs) -> Result<Verified<BundleSource>, Error> {
    // The command line first: a wrong one is wrong whatever is in the file.
    let trust = required_trust(trust)?;
    verify(open(path)?, &trust, path)
}

/// Verifies an opened bundle at the present time.
///
/// # Errors
/// Whatever the verification says, with the path.
pub fn verify<S: Source>(bundle: Bundle<S>, trust: &Trust, path: &Path) -> Result<Verified<S>, Error> {
    bundle.verify(trust, now_unix_s()).map_err(|error| Error::from(error).in_file(path))
}

/// Whom to trust. Nobody said: that is an error, never a default.
///
/// # Errors
/// [`Error::Usage`]: nothing was said. Otherwise as [`trust`].
pub fn required_trust(args: &TrustArgs) -> Result<Trust, Error> {
    trust(args)?.ok_or_else(|| {
        Error::usage_with_hint(
            "nothing says whom to trust",
            "give --key FILE.pub or --policy FILE, or --allow-unsigned where anything may run",
        )
    })
}

/// Whom to trust, if the flags or the environment say so. Flags win as a whole: `--key` hides `PACKAGER_POLICY`.
///
/// # Errors
/// [`Error::Read`]; [`Error::Bundle`]: not a usable key or policy.
pub fn trust(args: &TrustArgs) -> Result<Option<Trust>, Error> {
    if args.allow_unsigned {
        return Ok(Some(Trust::AllowUnsigned));
    }
    if !args.key.is_empty() {
        return keys(&args.key).map(Some);
    }
    if let Some(path) = &args.policy {
        return policy(path).map(Trust::Policy).map(Some);
    }
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match (variable("PACKAGER_KEY"), variable("PACKAGER_POLICY")) {
        (Some(_), Some(_)) => Err(Error::usage("PACKAGER_KEY and PACKAGER_POLICY are both set; one of them decides")),
        (Some(path), None) => keys(&[path]).map(Some),
        (None, Some(path)) => policy(&path).map(Trust::Policy).map(Some),
        (None, None) => Ok(None),
    }
}

/// Trust in any one of some public keys.
///
/// # Errors
/// [`Error::Read`]; [`Error::Bundle`]: not a usable key.
pub fn keys(paths: &[PathBuf]) -> Result<Trust, Error> {
    let read_key = |path: &PathBuf| PublicKey::from_pem(&read_text(path)?).map_err(|error| trust_error(error, path));
    Ok(Trust::Keys(paths.iter().map(read_key).collect::<Result<_, Error>>()?))
}

/// A trust policy.
///
/// # Errors
/// [`Error::Read`]; [`Error::Bundle`]: not a valid policy.
pub fn policy(path: &Path) -> Result<Policy, Error> {
    Policy::from_toml(&read_text(path)?).map_err(|error| trust_error(error, path))
}

fn trust_error(error: TrustError, path: &Path) -> Error {
    Error::from(pannier_bundle::Error::Trust(error)).in_file(path)
}

/// Seconds since 1970, if the machine's clock is set to a time after that.
pub fn now_unix_s() -> Option<u64> {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
