//! `packager telemetry`: what would be sent of a model.

use super::run::Job;
use crate::args::{TelemetryArgs, TelemetryCommand, TelemetryShowArgs};
use crate::loaded::Loaded;
use crate::telemetry::installed_unix_s;
use crate::{Context, Error};
use pannier_otlp::Payload;

/// Does what the subcommand says.
///
/// # Errors
/// Those of `packager run`.
pub fn run(args: &TelemetryArgs, context: &Context) -> Result<(), Error> {
    match &args.command {
        TelemetryCommand::Show(args) => show(args, context),
    }
}

/// Runs the files and prints the payload. Nothing is sent, and nothing is written.
fn show(args: &TelemetryShowArgs, context: &Context) -> Result<(), Error> {
    let args = &args.run;
    let job = Job::new(args)?;
    if args.output.is_some() || args.telemetry.is_some() {
        return Err(Error::usage("show only prints; use `packager run` to write outputs or to send telemetry"));
    }
    let payload = Payload::from_env()?;
    let model = Loaded::open(args, true, &context.printer)?;
    job.run(&model, false, &context.printer)?;
    let Some(recorder) = model.recorder() else { return Ok(()) };
    recorder.installed_at(installed_unix_s(args));
    context.printer.data(payload.of(recorder))
}
