//! What every program here is called with: a bundle, the key it is signed with, and cases.

use anyhow::{Context as _, Result, bail};
use pannier::{Options, PublicKey, Trust};
use pannier_bundle::{Bundle, FileSource, Limits};
use pannier_wasmtime::{Cache, Config, Flavour, Sandbox};
use std::path::{Path, PathBuf};

use crate::cases::Case;

/// A bundle on disk and a case of its model.
pub struct Model {
    /// The bundle.
    pub path: PathBuf,
    /// The key that it must be signed with.
    pub trust: Trust,
    /// The first case of its evaluation set.
    pub case: Case,
}

impl Model {
    /// Takes `BUNDLE KEY.pub EVALUATION.npz` from the command line, and whatever else this program wants behind them.
    ///
    /// # Errors
    /// An argument is missing or one too many; a file cannot be read; the bundle is not signed with the key.
    pub fn from_arguments<const N: usize>(usage: [&str; N]) -> Result<(Model, [String; N])> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [bundle, key, evaluation, rest @ ..] = arguments.as_slice() else {
            bail!("usage: BUNDLE KEY.pub EVALUATION.npz {}", usage.join(" "));
        };
        let Ok(rest) = <[String; N]>::try_from(rest.to_vec()) else {
            bail!("usage: BUNDLE KEY.pub EVALUATION.npz {}", usage.join(" "));
        };
        let trust = Trust::Keys(vec![PublicKey::from_pem(&std::fs::read_to_string(key).context(key.clone())?)?]);
        let opened = Bundle::open(FileSource::open(bundle)?, &Limits::default())?;
        let case = Case::first(Path::new(evaluation), opened.verify(&trust, None)?.manifest())?;
        Ok((Model { path: bundle.into(), trust, case }, rest))
    }

    /// The bundle's bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.path).with_context(|| self.path.display().to_string())
    }
}

/// How a session is opened where a fresh instance of the sandbox is compared with it: an instance does not repeat the self-test, so
/// neither does the session.
pub fn untested() -> Options {
    Options { self_test: false, ..Options::default() }
}

/// A sandbox with its cache in this folder.
///
/// # Errors
/// There is no such flavour; the sandbox cannot be made.
pub fn sandbox(cache: &str, flavour: &str) -> Result<Sandbox> {
    let flavour = match flavour {
        "auto" => Flavour::Auto,
        "simd128" => Flavour::Simd128,
        "relaxed-simd" => Flavour::RelaxedSimd,
        other => bail!("`{other}` is not a flavour"),
    };
    Ok(Sandbox::new(&Config { flavour, cache: Cache::Dir(cache.into()), ..Config::default() })?)
}
