//! Whom to trust, as a host says it.

use pannier::{Policy, PublicKey, Trust};

use crate::Failure;

/// Whom to trust, from a text: public keys in PEM one after the other, or a policy in TOML. No text trusts nobody, unless
/// unsigned bundles are allowed.
///
/// # Errors
/// A key or a policy that is not valid; a text beside the permission to do without.
pub fn from_text(text: &str, allow_unsigned: bool) -> Result<Trust, Failure> {
    const END: &str = "-----END PUBLIC KEY-----";
    let text = text.trim();
    match (text.is_empty(), allow_unsigned) {
        (true, true) => Ok(Trust::AllowUnsigned),
        (false, true) => Err(Failure::usage("unsigned bundles are allowed, and yet there are keys or a policy")),
        (false, false) if !text.starts_with("-----BEGIN") => from_policy(text),
        (_, false) => from_keys(text.split_inclusive(END)),
    }
}

/// Trust in any one of these keys.
///
/// # Errors
/// A key that is not valid.
pub fn from_keys<'t>(pems: impl IntoIterator<Item = &'t str>) -> Result<Trust, Failure> {
    let keys = pems.into_iter().map(PublicKey::from_pem).collect::<Result<_, _>>();
    keys.map(Trust::Keys).map_err(|why| pannier_bundle::Error::from(why).into())
}

/// Trust as a policy says.
///
/// # Errors
/// A policy that is not valid.
pub fn from_policy(toml: &str) -> Result<Trust, Failure> {
    Policy::from_toml(toml).map(Trust::Policy).map_err(|why| pannier_bundle::Error::from(why).into())
}
