//! `packager approve`: a second person's signature, after a check.

use super::signable::Signable;
use super::signatures::{self, Place};
use crate::args::ApproveArgs;
use crate::{Context, Error, input, secret};
use pannier_bundle::trust::{self, Policy, Trust, TrustError};
use serde::Serialize;
use std::path::Path;

/// `pannier.dev/approve/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    bundle: String,
    fingerprint: String,
    replaced: bool,
    signatures: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_satisfied: Option<bool>,
}

/// Verifies the bundle, contents included, then adds the key's signature after all others, or replaces it.
///
/// # Errors
/// [`Error::Read`], [`Error::Key`], [`Error::Write`]; [`Error::Bundle`]: nobody trusted has signed, or it is damaged.
pub fn run(args: &ApproveArgs, context: &Context) -> Result<(), Error> {
    let target = signatures::target(&args.bundle, args.output.as_deref());
    signatures::check_stdout(context, target)?;
    let policy = args.policy.as_deref().map(input::policy).transpose()?;
    let file = input::read(&args.bundle)?;
    let signable = Signable::read(&file, &args.bundle)?;
    match &policy {
        Some(policy) => verify_for_approval(&signable, policy),
        None => signable.verify(&input::keys(&args.publisher)?).map(drop),
    }
    .map_err(|error| Error::from(error).in_file(&args.bundle))?;
    signable.check_contents(&args.bundle, &context.printer)?;
    let key = secret::signing_key(&args.key)?;
    let signed = signable.sign(&key, Place::Last)?;

    let fingerprint = key.public_key().fingerprint().to_string();
    let mut text = format!("{}: approved by {fingerprint}", target.display());
    let missing = policy.map(|policy| still_missing(&signed.file, policy, target)).transpose()?;
    match &missing {
        Some(Some(missing)) => text.push_str(&format!("\n  policy not satisfied yet: {missing}")),
        Some(None) => text.push_str("\n  policy satisfied"),
        None => {}
    }
    let document = Document {
        schema: "pannier.dev/approve/v1",
        bundle: target.display().to_string(),
        fingerprint,
        replaced: signed.replaced,
        signatures: signed.signatures,
        policy_satisfied: missing.map(|missing| missing.is_none()),
    };
    signatures::finish(context, &signed.file, target, &text, &document)
}

/// Whether the file satisfies the policy but for people who have not signed yet. Somebody whom the policy names must
/// have signed.
fn verify_for_approval(signable: &Signable<'_>, policy: &Policy) -> Result<(), pannier_bundle::Error> {
    let by_policy = Trust::Policy(policy.clone());
    match signable.verify(&by_policy) {
        Ok(_) => Ok(()),
        Err(pannier_bundle::Error::Trust(TrustError::Policy { .. })) => {
            signable.verify(&Trust::Keys(policy.keys().iter().map(|entry| entry.key.clone()).collect()))?;
            // A list of keys says nothing of versions; the policy does.
            Ok(trust::check_version(&by_policy, signable.manifest())?)
        }
        Err(error) => Err(error),
    }
}

/// What the policy still wants of the new file.
fn still_missing(file: &[u8], policy: Policy, path: &Path) -> Result<Option<String>, Error> {
    match Signable::read(file, path)?.verify(&Trust::Policy(policy)) {
        Ok(_) => Ok(None),
        Err(pannier_bundle::Error::Trust(error @ TrustError::Policy { .. })) => Ok(Some(error.to_string())),
        Err(error) => Err(Error::from(error).in_file(path)),
    }
}
