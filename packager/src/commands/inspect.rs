//! `packager inspect`: what is in a bundle or in a self-contained file.

use crate::args::InspectArgs;
use crate::input::{self, BundleSource};
use crate::report;
use crate::standalone;
use crate::{Context, Error, output};
use pannier_bundle::Trust;

/// Prints the report, the graph, or writes the page.
///
/// A bundle that is not trusted is shown all the same, and says so; if the caller named whom to trust, the command then
/// ends with that error.
///
/// # Errors
/// [`Error::Read`], [`Error::Bundle`], [`Error::Graph`], [`Error::Write`]; with `--plan`, [`Error::Engine`] as well.
pub fn run(args: &InspectArgs, context: &Context) -> Result<(), Error> {
    if context.json && args.html.as_deref().is_some_and(output::is_stdout) {
        return Err(Error::usage("the JSON document and the page cannot both go to stdout; give --html FILE"));
    }
    let trust = input::trust(&args.trust)?;
    if args.plan {
        return plan(args, context);
    }
    let source = BundleSource::open(&args.bundle)?;
    if let Some(file) = standalone::read_wasm(&source)? {
        return of_standalone(&file, trust.as_ref(), args, context);
    }
    let found = report::gather(source, &args.bundle, trust.as_ref(), context)?;
    if let Some(path) = &args.html {
        let page = report::page(&found.inspection, &report::tensors(&found.bundle, &found.graph));
        output::write_atomically(path, page.as_bytes())?;
    }
    match (&args.html, args.graph) {
        _ if context.json => context.printer.json(&found.inspection)?,
        (_, true) => context.printer.data(found.graph.to_string())?,
        (Some(path), _) if output::is_stdout(path) => {}
        (Some(path), _) => context.printer.note(format!("{}: written", path.display())),
        (None, false) => context.printer.data(report::screen(&found.inspection))?,
    }
    found.trust_error.map_or(Ok(()), Err)
}

/// What is run has to be trusted.
fn plan(args: &InspectArgs, context: &Context) -> Result<(), Error> {
    let trust = input::required_trust(&args.trust)?;
    let bundle =
        input::verify(input::open_source(BundleSource::open(&args.bundle)?, &args.bundle)?, &trust, &args.bundle)?;
    let found = report::plan(&bundle, &args.bundle).map_err(|error| error.in_file(&args.bundle))?;
    match context.json {
        true => context.printer.json(&found),
        false => context.printer.data(report::plan_screen(&found)),
    }
}

/// A self-contained file has no graph any more, and so no pictures of it.
fn of_standalone(file: &[u8], trust: Option<&Trust>, args: &InspectArgs, context: &Context) -> Result<(), Error> {
    if args.graph || args.html.is_some() {
        return Err(Error::usage_with_hint(
            "--graph and --html are for bundles, and this is a self-contained file",
            "inspect the bundle that is built from the same model",
        ));
    }
    let found = standalone::inspect(file, &args.bundle, trust).map_err(|error| error.in_file(&args.bundle))?;
    let (inspection, trust_error) = found;
    match context.json {
        true => context.printer.json(&inspection)?,
        false => context.printer.data(standalone::screen(&inspection))?,
    }
    trust_error.map_or(Ok(()), |error| Err(error.in_file(&args.bundle)))
}
