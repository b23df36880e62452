//! From signatures to a verdict.

use super::dsse::{Document, pae};
use super::{
    Fingerprint, PolicyKey, PublicKey, Resources, SignatureFault, Signer, Trust, TrustError, Verdict, statement,
};
use crate::header::Header;
use crate::manifest::Manifest;
use alloc::vec::Vec;

/// Signatures on a bundle, at most. A publisher and a handful of approvers need far fewer.
pub const MAX_SIGNATURES: usize = 32;

/// Judges the signatures of a bundle.
///
/// `header_bytes` are the bytes of the header as they stand in the file, `header` is what was decoded from them,
/// `signatures` are the Sigstore bundle documents in any order. `now_unix_s` is the time in seconds since 1970, where
/// it is known; only a [policy](Trust::Policy) with an expiry needs it.
///
/// Each signature that a trusted key made, or is claimed to have made, must be valid and must cover exactly the header
/// and the sections. Signatures of other keys are listed and count for nothing.
///
/// What the manifest says is not known yet at this point; [`check_version`] follows once it is.
///
/// # Errors
/// - [`TrustError::Unsigned`], [`TrustError::UntrustedKey`]: there is no signature, or none by a trusted key.
/// - [`TrustError::Signature`]: a signature is malformed, false or about other bytes, even if another would suffice.
/// - [`TrustError::TooManySignatures`]: more than [`MAX_SIGNATURES`].
/// - [`TrustError::Expired`], [`TrustError::Policy`]: the policy's demands are not met.
///
/// Never panics.
pub fn verify(
    header_bytes: &[u8],
    header: &Header,
    signatures: &[Vec<u8>],
    trust: &Trust,
    now_unix_s: Option<u64>,
) -> Result<Verdict, TrustError> {
    verify_over(&Resources::of_bundle(header_bytes, header), signatures, trust, now_unix_s)
}

/// Judges signatures over other resources than a bundle's, by the same rules as [`verify`].
///
/// # Errors
/// Those of [`verify`]. Never panics.
pub fn verify_over(
    resources: &Resources<'_>,
    signatures: &[Vec<u8>],
    trust: &Trust,
    now_unix_s: Option<u64>,
) -> Result<Verdict, TrustError> {
    if signatures.len() > MAX_SIGNATURES {
        return Err(TrustError::TooManySignatures { found: signatures.len(), limit: MAX_SIGNATURES });
    }
    let known = known_keys(trust);
    let mut signers: Vec<Found<'_>> = Vec::new();
    for (index, json) in signatures.iter().enumerate() {
        let signer = judge(json, &known, resources).map_err(|why| TrustError::Signature { index, why })?;
        // A second signature by the same key adds nothing.
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    require_enough(&signers, trust, now_unix_s)?;
    Ok(Verdict { signers: signers.iter().map(|found| found.to_signer(now_unix_s)).collect() })
}

/// Refuses a model that is older than the policy allows. Without a policy every version is accepted.
///
/// `manifest` is the one that [`verify`] and the digests vouch for.
///
/// # Errors
/// [`TrustError::Downgrade`].
pub fn check_version(trust: &Trust, manifest: &Manifest) -> Result<(), TrustError> {
    match trust {
        Trust::Policy(policy) => policy.check_version(&manifest.name, &manifest.version),
        Trust::Keys(_) | Trust::AllowUnsigned => Ok(()),
    }
}

/// A key that the caller trusts, with its entry in the policy where there is one.
#[derive(Clone, Copy)]
struct Known<'a> {
    key: &'a PublicKey,
    entry: Option<&'a PolicyKey>,
}

fn known_keys(trust: &Trust) -> Vec<Known<'_>> {
    match trust {
        Trust::Keys(keys) => keys.iter().map(|key| Known { key, entry: None }).collect(),
        Trust::Policy(policy) => {
            policy.keys().iter().map(|entry| Known { key: &entry.key, entry: Some(entry) }).collect()
        }
        Trust::AllowUnsigned => Vec::new(),
    }
}

/// Who made a signature.
enum Found<'a> {
    /// This key, verified.
    Known(Known<'a>),
    /// None of the known keys; the document claims this one.
    Stranger(Option<Fingerprint>),
}

impl Found<'_> {
    fn to_signer(&self, now_unix_s: Option<u64>) -> Signer {
        match self {
            Found::Stranger(claimed) => Signer { fingerprint: *claimed, name: None, roles: Vec::new(), trusted: false },
            Found::Known(Known { key, entry }) => Signer {
                fingerprint: Some(key.fingerprint()),
                name: entry.map(|entry| entry.name.clone()),
                roles: entry.map(|entry| entry.roles.clone()).unwrap_or_default(),
                trusted: !entry.is_some_and(|entry| entry.has_expired(now_unix_s)),
            },
        }
    }
}

impl PartialEq for Found<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Found::Known(one), Found::Known(two)) => one.key == two.key,
            (Found::Stranger(one), Found::Stranger(two)) => one == two,
            _ => false,
        }
    }
}

/// Finds out who made a signature and, if it was a known key, whether it is about these resources.
fn judge<'a>(json: &[u8], known: &[Known<'a>], resources: &Resources<'_>) -> Result<Found<'a>, SignatureFault> {
    let document = Document::parse(json)?;
    let signed_bytes = pae(&document.payload);
    let made_it = |known: &&Known<'a>| known.key.verifies(&signed_bytes, &document.signature);
    let is_claimed = |known: &&Known<'a>| Some(known.key.fingerprint()) == document.hint;

    // The claimed key is tried first because it is nearly always the one.
    let claimed = known.iter().find(is_claimed);
    let maker = claimed.filter(made_it).or_else(|| known.iter().filter(|known| !is_claimed(known)).find(made_it));
    match (maker, document.hint) {
        (Some(maker), Some(claimed)) if maker.key.fingerprint() != claimed => {
            Err(SignatureFault::HintMismatch { verified: maker.key.fingerprint(), claimed })
        }
        (Some(maker), _) => {
            // From here on the payload is trusted to be what the key's holder wrote. It is parsed from the bytes that
            // were verified.
            statement::check(&document.payload, resources)?;
            Ok(Found::Known(*maker))
        }
        (None, Some(fingerprint)) if claimed.is_some() => Err(SignatureFault::False { fingerprint }),
        (None, hint) => Ok(Found::Stranger(hint)),
    }
}

/// Decides whether these signers suffice.
fn require_enough(signers: &[Found<'_>], trust: &Trust, now_unix_s: Option<u64>) -> Result<(), TrustError> {
    if matches!(trust, Trust::AllowUnsigned) {
        return Ok(());
    }
    if signers.is_empty() {
        return Err(TrustError::Unsigned);
    }
    let verified: Vec<Known<'_>> =
        signers.iter().filter_map(|found| if let Found::Known(known) = found { Some(*known) } else { None }).collect();
    if verified.is_empty() {
        let claimed =
            signers.iter().filter_map(|found| if let Found::Stranger(claimed) = found { *claimed } else { None });
        return Err(TrustError::UntrustedKey { claimed: claimed.collect() });
    }
    if let Trust::Policy(policy) = trust {
        policy.check_time(now_unix_s)?;
        let entries: Vec<&PolicyKey> = verified.iter().filter_map(|known| known.entry).collect();
        policy.check_roles(&entries, now_unix_s)?;
    }
    Ok(())
}
