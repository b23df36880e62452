//! What the host says when it loads a bundle.

use std::time::Duration;

use pannier::{Options, Policy, PublicKey, Trust};

use crate::failure::Failure;

/// How a bundle is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadOptions {
    pub(crate) trust: Trust,
    /// Whether the golden cases are run.
    pub(crate) self_test: bool,
    /// Seconds since 1970, for keys and policies that expire.
    pub(crate) now_unix_s: Option<u64>,
    /// Most memory that the session with one run in flight may hold, weights included, in bytes.
    pub(crate) memory_bytes: Option<u64>,
}

impl LoadOptions {
    /// The session's options.
    pub(crate) fn session(&self) -> Options {
        Options {
            memory_bytes: self.memory_bytes,
            self_test: self.self_test,
            now_unix_s: self.now_unix_s,
            // The host keeps the time: it knows the envelope and stops the guest from outside, in the middle of an
            // operator if need be. The session wants a clock before it takes a model with a deadline, and this one
            // never lets it pass.
            clock: Some(|| Duration::ZERO),
            ..Options::default()
        }
    }
}

/// Whom to trust, from a text: public keys in PEM one after the other, or a policy in TOML. No text trusts nobody, unless
/// unsigned bundles are allowed.
///
/// # Errors
/// A key or a policy that is not valid; a text beside the permission to do without.
pub(crate) fn trust(text: &str, allow_unsigned: bool) -> Result<Trust, Failure> {
    const END: &str = "-----END PUBLIC KEY-----";
    let text = text.trim();
    match (text.is_empty(), allow_unsigned) {
        (true, true) => Ok(Trust::AllowUnsigned),
        (false, true) => Err(Failure::usage("unsigned bundles are allowed, and yet there are keys or a policy")),
        (false, false) if !text.starts_with("-----BEGIN") => policy(text),
        (_, false) => keys(text.split_inclusive(END)),
    }
}

/// Trust in any one of these keys.
///
/// # Errors
/// A key that is not valid.
pub(crate) fn keys<'t>(pems: impl IntoIterator<Item = &'t str>) -> Result<Trust, Failure> {
    let keys = pems.into_iter().map(PublicKey::from_pem).collect::<Result<_, _>>();
    keys.map(Trust::Keys).map_err(|why| pannier_bundle::Error::from(why).into())
}

/// Trust as a policy says.
///
/// # Errors
/// A policy that is not valid.
pub(crate) fn policy(toml: &str) -> Result<Trust, Failure> {
    Policy::from_toml(toml).map(Trust::Policy).map_err(|why| pannier_bundle::Error::from(why).into())
}
