//! Adding a signature to a bundle, and saying who signed one.

use crate::error::Error;
use crate::printer::{CAUTION, GOOD, Printer, Total, paint};
use crate::sign::PrivateKey;
use crate::{Context, interrupt, output};
use pannier_bundle::trust::{self, Policy, Resources, Signer, Trust, TrustError, Verdict};
use pannier_bundle::{Source, Verified};
use serde::Serialize;
use std::path::Path;

/// Where a new signature goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before all others: the publisher's, which is the one that `unpack` writes as `model.sig`.
    First,
    /// After all others: an approver's.
    Last,
}

/// A file with one more signature, or with one replaced.
pub(crate) struct Signed {
    pub file: Vec<u8>,
    pub replaced: bool,
    pub signatures: usize,
}

/// Signatures with one more among them, or with one replaced.
pub(crate) struct Joined {
    pub signatures: Vec<Vec<u8>>,
    pub replaced: bool,
}

/// Signs resources that were checked, and puts the signature in its place among those that are there.
pub(crate) fn join(
    name: &str,
    resources: &Resources<'_>,
    present: &[Vec<u8>],
    key: &PrivateKey,
    place: Place,
) -> Result<Joined, Error> {
    let document = key.sign_statement(&trust::statement_over(name, resources));
    let own = Trust::Keys(vec![key.public_key().clone()]);
    let is_of_others = |signature: &Vec<u8>| {
        let one = std::slice::from_ref(signature);
        matches!(trust::verify_over(resources, one, &own, None), Err(TrustError::UntrustedKey { .. }))
    };
    let mut signatures: Vec<Vec<u8>> = present.iter().filter(|s| is_of_others(s)).cloned().collect();
    let replaced = signatures.len() < present.len();
    match place {
        Place::First => signatures.insert(0, document),
        Place::Last => signatures.push(document),
    }
    if signatures.len() > trust::MAX_SIGNATURES {
        let (found, limit) = (signatures.len(), trust::MAX_SIGNATURES);
        return Err(pannier_bundle::Error::Trust(TrustError::TooManySignatures { found, limit }).into());
    }
    Ok(Joined { signatures, replaced })
}

/// Writes the new file in place or where `-o` says, and says so. The answer goes where the bundle does not.
pub(crate) fn finish(
    context: &Context,
    file: &[u8],
    target: &Path,
    text: &str,
    document: &impl Serialize,
) -> Result<(), Error> {
    check_stdout(context, target)?;
    output::write_atomically(target, file)?;
    if context.json {
        context.printer.json(document)
    } else if output::is_stdout(target) {
        context.printer.note(text);
        Ok(())
    } else {
        context.printer.data(text)
    }
}

/// A bundle and a document cannot both go to stdout.
pub(crate) fn check_stdout(context: &Context, target: &Path) -> Result<(), Error> {
    if context.json && output::is_stdout(target) {
        return Err(Error::usage("the JSON document and the file cannot both go to stdout; give -o FILE"));
    }
    Ok(())
}

/// Where the result of changing a bundle goes.
pub(crate) fn target<'a>(bundle: &'a Path, output: Option<&'a Path>) -> &'a Path {
    output.unwrap_or(bundle)
}

/// A signer, in JSON documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerEntry {
    /// SHA-256 of the public key; `null` where the signature claims none.
    pub fingerprint: Option<String>,
    /// Name from the policy.
    pub name: Option<String>,
    /// Roles from the policy.
    pub roles: Vec<String>,
    /// Whether the signature was verified with a key that was given.
    pub trusted: bool,
}

impl From<&Signer> for SignerEntry {
    fn from(signer: &Signer) -> SignerEntry {
        SignerEntry {
            fingerprint: signer.fingerprint.map(|fingerprint| fingerprint.to_string()),
            name: signer.name.clone(),
            roles: signer.roles.clone(),
            trusted: signer.trusted,
        }
    }
}

/// All signers of a verdict.
pub(crate) fn entries(verdict: &Verdict) -> Vec<SignerEntry> {
    verdict.signers.iter().map(SignerEntry::from).collect()
}

/// The signers, a line each: fingerprint, whether it counts, who it is.
pub(crate) fn lines(signers: &[SignerEntry]) -> String {
    if signers.is_empty() {
        return paint(CAUTION, "nobody: NOT SIGNED");
    }
    let line = |signer: &SignerEntry| {
        let fingerprint = signer.fingerprint.as_deref().unwrap_or("(names no key)");
        let state = if signer.trusted { paint(GOOD, "trusted") } else { paint(CAUTION, "not checked") };
        format!("{fingerprint}  {state}  {}", who(signer)).trim_end().to_owned()
    };
    signers.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `alice (publisher, approver)`, or nothing where no policy names the key.
fn who(signer: &SignerEntry) -> String {
    match (&signer.name, signer.roles.as_slice()) {
        (Some(name), []) => name.clone(),
        (Some(name), roles) => format!("{name} ({})", roles.join(", ")),
        (None, roles) => roles.join(", "),
    }
}

/// What the caller's trust rests on, in words.
pub(crate) fn basis(trust: &Trust) -> String {
    match trust {
        Trust::Keys(keys) if keys.len() == 1 => "one key".to_owned(),
        Trust::Keys(keys) => format!("any one of {} keys", keys.len()),
        Trust::Policy(policy) => format!("policy: {}", roles(policy)),
        _ => "nobody (--allow-unsigned)".to_owned(),
    }
}

/// The same for JSON documents.
pub(crate) fn basis_name(trust: &Trust) -> &'static str {
    match trust {
        Trust::Keys(_) => "keys",
        Trust::Policy(_) => "policy",
        _ => "none",
    }
}

/// `publisher 1, approver 2`
pub(crate) fn roles(policy: &Policy) -> String {
    let roles: Vec<String> = policy.roles().iter().map(|role| format!("{} {}", role.name, role.threshold)).collect();
    roles.join(", ")
}

/// Decodes everything and compares it with its digests, showing how far it is.
pub(crate) fn check_contents<S: Source>(bundle: &Verified<S>, path: &Path, printer: &Printer) -> Result<(), Error> {
    let progress = printer.progress("checking", Total::Bytes(bundle.header().content_bytes()));
    let checked = bundle.check_contents(&mut |done, _| {
        progress.set(done);
        interrupt::control_flow()
    });
    checked.map_err(|error| Error::from(error).in_file(path))
}

/// Compares every stored byte with its digest and decodes nothing, showing how far it is.
pub(crate) fn check_stored<S: Source>(bundle: &Verified<S>, path: &Path, printer: &Printer) -> Result<(), Error> {
    let total = bundle.header().sections.iter().map(|section| section.stored_bytes).sum();
    let progress = printer.progress("checking", Total::Bytes(total));
    let checked = bundle.check_stored(&mut |done, _| {
        progress.set(done);
        interrupt::control_flow()
    });
    checked.map_err(|error| Error::from(error).in_file(path))
}
