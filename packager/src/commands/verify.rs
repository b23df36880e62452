//! `packager verify`: who signed a bundle, and whether it is whole.

use super::signatures::{self, SignerEntry};
use crate::args::VerifyArgs;
use crate::printer::{BOLD, CAUTION, GOOD, Total, paint};
use crate::table::Table;
use crate::{Context, Error, build, input, units};
use pannier_bundle::{Code, Source, Verified};
use serde::Serialize;

/// `pannier.dev/verify/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    bundle: String,
    name: String,
    version: String,
    bundle_id: String,
    trust: &'static str,
    trusted: bool,
    signers: Vec<SignerEntry>,
    checked: Checked,
}

#[derive(Serialize)]
struct Checked {
    sections: usize,
    stored_bytes: u64,
    content_bytes: u64,
    stored_digests: bool,
    content_digests: bool,
    rebuilt_from: Option<String>,
}

/// Verifies and says what was found.
///
/// # Errors
/// [`Error::Usage`]: nobody is trusted. [`Error::Read`]; [`Error::Bundle`]: not trusted or not whole.
/// [`Error::Mismatch`]: a rebuild gives other bytes.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<(), Error> {
    let trust = input::required_trust(&args.trust)?;
    let bundle = input::verify(input::open(&args.bundle)?, &trust, &args.bundle)?;
    check(&bundle, args, context)?;
    let manifest = bundle.manifest();
    let document = Document {
        schema: "pannier.dev/verify/v1",
        bundle: args.bundle.display().to_string(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        bundle_id: units::hex(&manifest.bundle_id),
        trust: signatures::basis_name(&trust),
        trusted: bundle.verdict().is_trusted(),
        signers: signatures::entries(bundle.verdict()),
        checked: Checked {
            sections: bundle.header().sections.len(),
            stored_bytes: bundle.header().sections.iter().map(|section| section.stored_bytes).sum(),
            content_bytes: bundle.header().content_bytes(),
            stored_digests: true,
            content_digests: args.full,
            rebuilt_from: args.rebuild.as_ref().map(|path| path.display().to_string()),
        },
    };
    if context.json {
        return context.printer.json(&document);
    }
    context.printer.data(text(&document, &signatures::basis(&trust)))
}

fn check<S: Source>(bundle: &Verified<S>, args: &VerifyArgs, context: &Context) -> Result<(), Error> {
    match args.full {
        true => signatures::check_contents(bundle, &args.bundle, &context.printer)?,
        false => signatures::check_stored(bundle, &args.bundle, &context.printer)?,
    }
    let Some(model) = &args.rebuild else { return Ok(()) };
    let _progress = context.printer.progress("building again", Total::Unknown);
    let rebuilt = build::rebuild(bundle, model)?;
    if rebuilt.differences.is_empty() {
        return Ok(());
    }
    let error = Error::Mismatch {
        code: Code::Failed,
        what: format!("a build of `{}` gives another bundle", model.display()),
        expected: "the same bytes, signatures aside".to_owned(),
        found: rebuilt.differences.join("\n"),
        hint: Some("the model, or the version of packager, is not the one that the bundle was made with"),
    };
    Err(error.in_file(&args.bundle))
}

fn text(document: &Document, basis: &str) -> String {
    let verdict = match document.trusted {
        true => paint(GOOD, "verified"),
        false => paint(CAUTION, "intact, but vouched for by nobody you named"),
    };
    let mut text = format!("{}: {verdict}\n", paint(BOLD, &document.bundle));
    let mut fields = Table::of_fields();
    fields.field("model", format!("{} {}", document.name, document.version));
    fields.field("bundle id", &document.bundle_id);
    fields.field("trust", basis);
    fields.field("signed by", signatures::lines(&document.signers));
    let checked = &document.checked;
    let sections = units::plural(checked.sections as u64, "section");
    fields.field(
        "contents",
        match checked.content_digests {
            true => {
                format!("{} in {sections}, decompressed, every digest matches", units::bytes(checked.content_bytes))
            }
            false => format!("{} in {sections}, every stored digest matches", units::bytes(checked.stored_bytes)),
        },
    );
    if let Some(source) = &checked.rebuilt_from {
        fields.field("rebuild", format!("a build of {source} gives the same bytes"));
    }
    text.push_str(&fields.render());
    text
}
