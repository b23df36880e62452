//! `packager export`: the model in a bundle as an ONNX file.

use super::signatures;
use crate::args::ExportArgs;
use crate::printer::Total;
use crate::{Context, Error, export, input, program, units};
use serde::Serialize;

/// `pannier.dev/export/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    bundle: String,
    onnx: String,
    size_bytes: usize,
    nodes: usize,
}

/// Writes the ONNX file.
///
/// # Errors
/// As [`input::open_verified`]; [`Error::Write`].
pub fn run(args: &ExportArgs, context: &Context) -> Result<(), Error> {
    signatures::check_stdout(context, &args.onnx)?;
    let bundle = input::open_verified(&args.bundle, &args.trust)?;
    let total = program::weight_sections(&bundle).map(|(_, size_bytes)| size_bytes).sum();
    let progress = context.printer.progress("reading", Total::Bytes(total));
    let program = program::load(&bundle, |done| progress.set(done)).map_err(|error| error.in_file(&args.bundle))?;
    drop(progress);
    let onnx = export::to_onnx(&program, &bundle.manifest().inputs, &bundle.manifest().outputs)?;

    let nodes = program.graph.body.nodes.len();
    let text = format!(
        "{}: {}, {}",
        args.onnx.display(),
        units::plural(nodes as u64, "node"),
        units::bytes(onnx.len() as u64)
    );
    let document = Document {
        schema: "pannier.dev/export/v1",
        bundle: args.bundle.display().to_string(),
        onnx: args.onnx.display().to_string(),
        size_bytes: onnx.len(),
        nodes,
    };
    signatures::finish(context, &onnx, &args.onnx, &text, &document)
}
