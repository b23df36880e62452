//! `packager verify`: who signed a bundle, and whether it is whole.

use super::signatures::{self, SignerEntry};
use crate::args::VerifyArgs;
use crate::input::{self, BundleSource};
use crate::printer::{BOLD, CAUTION, GOOD, Total, paint};
use crate::standalone::{self, Standalone};
use crate::table::Table;
use crate::{Context, Error, build, units};
use pannier_bundle::{Code, Manifest, Source, Trust, Verdict, Verified};
use serde::Serialize;
use std::path::Path;

/// `pannier.dev/verify/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    bundle: String,
    format: &'static str,
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
/// [`Error::Usage`]: nobody is trusted. [`Error::Read`]; [`Error::Bundle`], [`Error::Standalone`]: not trusted or
/// not whole.
/// [`Error::Mismatch`]: a rebuild gives other bytes.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<(), Error> {
    let trust = input::required_trust(&args.trust)?;
    let source = BundleSource::open(&args.bundle)?;
    let document = match standalone::read_wasm(&source)? {
        Some(file) => of_standalone(&file, &trust, args)?,
        None => of_bundle(source, &trust, args, context)?,
    };
    if context.json {
        return context.printer.json(&document);
    }
    context.printer.data(text(&document, &signatures::basis(&trust)))
}

fn of_bundle(source: BundleSource, trust: &Trust, args: &VerifyArgs, context: &Context) -> Result<Document, Error> {
    let bundle = input::verify(input::open_source(source, &args.bundle)?, trust, &args.bundle)?;
    check(&bundle, args, context)?;
    let checked = Checked {
        sections: bundle.header().sections.len(),
        stored_bytes: bundle.header().sections.iter().map(|section| section.stored_bytes).sum(),
        content_bytes: bundle.header().content_bytes(),
        stored_digests: true,
        content_digests: args.full,
        rebuilt_from: args.rebuild.as_ref().map(|path| path.display().to_string()),
    };
    Ok(Document::new(&args.bundle, "pannier", bundle.manifest(), trust, bundle.verdict(), checked))
}

/// A self-contained file is signed as a whole: all of it was checked, with or without `--full`.
fn of_standalone(file: &[u8], trust: &Trust, args: &VerifyArgs) -> Result<Document, Error> {
    if args.rebuild.is_some() {
        return Err(Error::usage_with_hint(
            "--rebuild is for bundles, and this is a self-contained file",
            "build it again with the same settings: the same model gives the same bytes",
        ));
    }
    let in_file = |error: Error| error.in_file(&args.bundle);
    let standalone = Standalone::read(file).map_err(in_file)?;
    let verdict = standalone.verify(trust, input::now_unix_s()).map_err(in_file)?;
    let size_bytes = file.len() as u64;
    let checked = Checked {
        sections: pannier_wasm_module::sections(file).map_or(0, |sections| sections.len()),
        stored_bytes: size_bytes,
        content_bytes: size_bytes,
        stored_digests: true,
        content_digests: true,
        rebuilt_from: None,
    };
    Ok(Document::new(&args.bundle, standalone.format(), standalone.manifest(), trust, &verdict, checked))
}

impl Document {
    fn new(
        path: &Path,
        format: &'static str,
        manifest: &Manifest,
        trust: &Trust,
        verdict: &Verdict,
        checked: Checked,
    ) -> Document {
        Document {
            schema: "pannier.dev/verify/v1",
            bundle: path.display().to_string(),
            format,
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            bundle_id: units::hex(&manifest.bundle_id),
            trust: signatures::basis_name(trust),
            trusted: verdict.is_trusted(),
            signers: signatures::entries(verdict),
            checked,
        }
    }
}

fn check<S: Source>(bundle: &Verified<S>, args: &VerifyArgs, context: &Context) -> Result<(), Error> {
    match args.full {
        true => signatures::check_contents(bundle, &args.bundle, &context.printer)?,
        false => signatures::check_stored(bundle, &args.bundle, &context.printer)?,
    }
    let Some(model) = &args.rebuild else { return Ok(()) };
    let _progress = context.printer.progress("building again", Total::Unknown);
    let given = build::Given { calibrate: args.calibrate.as_deref(), evaluate: args.evaluate.as_deref() };
    let rebuilt = build::rebuild(bundle, model, given)?;
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
            true if document.format != "pannier" => {
                format!("{} in {sections}, the digest of all of them matches", units::bytes(checked.stored_bytes))
            }
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
