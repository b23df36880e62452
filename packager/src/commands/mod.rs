//! The verbs of the `packager` command, one file each.

pub mod approve;
pub mod bench;
pub mod build;
pub mod completions;
pub mod diff;
pub mod explain;
pub mod export;
pub mod init;
pub mod inspect;
pub mod key;
pub mod quantize;
pub mod run;
pub mod sign;
pub(crate) mod signable;
pub(crate) mod signatures;
pub mod telemetry;
pub mod unpack;
pub mod verify;

use crate::args::Command;
use crate::{Context, Error};

/// Runs one command.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(command: &Command, context: &Context) -> Result<(), Error> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Build(args) => build::run(args, context),
        Command::Quantize(args) => quantize::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Sign(args) => sign::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Approve(args) => approve::run(args, context),
        Command::Unpack(args) => unpack::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Run(args) => run::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::Telemetry(args) => telemetry::run(args, context),
        Command::Key(args) => key::run(args, context),
        Command::Completions(args) => completions::run(args, context),
        Command::Explain(args) => explain::run(args, context),
    }
}
