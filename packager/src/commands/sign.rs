//! `packager sign`: a publisher's signature.

use super::signable::Signable;
use super::signatures::{self, Place};
use crate::args::SignArgs;
use crate::{Context, Error, input, secret};
use serde::Serialize;

/// `pannier.dev/sign/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    bundle: String,
    fingerprint: String,
    replaced: bool,
    signatures: usize,
}

/// Adds the key's signature before all others, or replaces it.
///
/// Everything that is signed is checked first: a damaged file is not signed.
///
/// # Errors
/// [`Error::Read`], [`Error::Key`], [`Error::Bundle`], [`Error::Standalone`], [`Error::Write`].
pub fn run(args: &SignArgs, context: &Context) -> Result<(), Error> {
    let target = signatures::target(&args.bundle, args.output.as_deref());
    signatures::check_stdout(context, target)?;
    let file = input::read(&args.bundle)?;
    let signable = Signable::read(&file, &args.bundle)?;
    signable.check_contents(&args.bundle, &context.printer)?;
    let key = secret::signing_key(&args.key)?;
    let signed = signable.sign(&key, Place::First)?;

    let fingerprint = key.public_key().fingerprint().to_string();
    let text =
        format!("{}: {} by {fingerprint}", target.display(), if signed.replaced { "signed again" } else { "signed" });
    let document = Document {
        schema: "pannier.dev/sign/v1",
        bundle: target.display().to_string(),
        fingerprint,
        replaced: signed.replaced,
        signatures: signed.signatures,
    };
    signatures::finish(context, &signed.file, target, &text, &document)
}
