//! The verbs of the `packager` command, one file each.

pub mod completions;
pub mod explain;

use crate::args::Command;
use crate::{Context, Error};

/// Runs one command.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(command: &Command, context: &Context) -> Result<(), Error> {
    match command {
        Command::Completions(args) => completions::run(args, context),
        Command::Explain(args) => explain::run(args, context),
        _ => Err(Error::usage("this verb is not there yet")),
    }
}
