//! `packager approve`: a second person's signature, after a check.

use super::signatures::{self, Place};
use crate::args::ApproveArgs;
use crate::{Context, Error, input, secret};
use pannier_bundle::Verified;
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
    let bundle = match &policy {
        Some(policy) => verify_for_approval(&file, policy, &args.bundle)?,
        None => input::verify(
            input::open_source(file.as_slice(), &args.bundle)?,
            &input::keys(&args.publisher)?,
            &args.bundle,
        )?,
    };
    signatures::check_contents(&bundle, &args.bundle, &context.printer)?;
    let key = secret::signing_key(&args.key)?;
    let signed = signatures::add(&file, &bundle, &key, Place::Last)?;

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

/// Whether the bundle satisfies the policy but for people who have not signed yet. Somebody whom the policy names
/// must have signed.
fn verify_for_approval<'f>(file: &'f [u8], policy: &Policy, path: &Path) -> Result<Verified<&'f [u8]>, Error> {
    let open = || input::open_source(file, path);
    let by_policy = Trust::Policy(policy.clone());
    match open()?.verify(&by_policy, input::now_unix_s()) {
        Ok(bundle) => Ok(bundle),
        Err(pannier_bundle::Error::Trust(TrustError::Policy { .. })) => {
            let keys = Trust::Keys(policy.keys().iter().map(|entry| entry.key.clone()).collect());
            let bundle = input::verify(open()?, &keys, path)?;
            // A list of keys says nothing of versions; the policy does.
            trust::check_version(&by_policy, bundle.manifest())
                .map_err(|error| Error::from(pannier_bundle::Error::Trust(error)).in_file(path))?;
            Ok(bundle)
        }
        Err(error) => Err(Error::from(error).in_file(path)),
    }
}

/// What the policy still wants of the new file.
fn still_missing(file: &[u8], policy: Policy, path: &Path) -> Result<Option<String>, Error> {
    match input::open_source(file, path)?.verify(&Trust::Policy(policy), input::now_unix_s()) {
        Ok(_) => Ok(None),
        Err(pannier_bundle::Error::Trust(error @ TrustError::Policy { .. })) => Ok(Some(error.to_string())),
        Err(error) => Err(Error::from(error).in_file(path)),
    }
}
