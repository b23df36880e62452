//! `packager run`: a model on files.

mod execute;
mod files;
mod outcome;
mod text;

pub(super) use execute::{Job, step};

use crate::args::RunArgs;
use crate::loaded::Loaded;
use crate::telemetry::Telemetry;
use crate::{Context, Error, output};

/// Runs every file, prints what the model says about each, and writes the output tensors where `-o` says.
///
/// # Errors
/// Those of opening the bundle, of reading the files and of running; [`Error::Usage`] for a mixture of named and
/// unnamed files, or an output file that cannot hold the answers.
pub fn run(args: &RunArgs, context: &Context) -> Result<(), Error> {
    let job = Job::new(args)?;
    if let Some(path) = &args.output {
        files::check(path, context)?;
    }
    let telemetry = Telemetry::new(args.telemetry.as_deref(), &context.printer)?;
    let model = Loaded::open(args, telemetry.is_wanted(), &context.printer)?;
    let keep_outputs = args.output.is_some();
    let outcomes = telemetry.send(&model, args, || job.run(&model, keep_outputs, &context.printer))?;
    if let Some(path) = &args.output {
        output::write_atomically(path, &files::encode(path, &model, &outcomes)?)?;
    }
    if context.json {
        return context.printer.json(&outcome::document(args, &model, &outcomes));
    }
    let words = text::render(&model, &outcomes);
    match args.output.as_deref().is_some_and(output::is_stdout) {
        true => context.printer.note(words),
        false => context.printer.data(words)?,
    }
    Ok(())
}
