//! `packager inspect`: what is in a bundle.

use crate::args::InspectArgs;
use crate::report;
use crate::{Context, Error, input, output};

/// Prints the report, the graph, or writes the page.
///
/// A bundle that is not trusted is shown all the same, and says so; if the caller named whom to trust, the command then
/// ends with that error.
///
/// # Errors
/// [`Error::Read`], [`Error::Bundle`], [`Error::Graph`], [`Error::Write`].
pub fn run(args: &InspectArgs, context: &Context) -> Result<(), Error> {
    if context.json && args.html.as_deref().is_some_and(output::is_stdout) {
        return Err(Error::usage("the JSON document and the page cannot both go to stdout; give --html FILE"));
    }
    let trust = input::trust(&args.trust)?;
    let found = report::gather(&args.bundle, trust.as_ref(), context)?;
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
