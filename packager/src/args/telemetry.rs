//! What `packager telemetry` is told.

use super::RunArgs;
use clap::{Args, Subcommand};

/// `packager telemetry`
#[derive(Debug, Clone, Args)]
pub struct TelemetryArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: TelemetryCommand,
}

/// What can be done about telemetry.
#[derive(Debug, Clone, Subcommand)]
pub enum TelemetryCommand {
    /// Run a model on files and print what `run --telemetry` would send, instead of sending it
    Show(TelemetryShowArgs),
}

/// `packager telemetry show`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager telemetry show model.pannier notes.txt --allow-unsigned
  packager telemetry show model.pannier cases.npz --key publisher.pub

It is OTLP in JSON: what an endpoint gets with OTEL_EXPORTER_OTLP_PROTOCOL=http/json.")]
pub struct TelemetryShowArgs {
    /// What to run, as for `packager run`.
    #[command(flatten)]
    pub run: RunArgs,
}
