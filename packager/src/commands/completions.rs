//! `packager completions`: a completion script, made from the types of the command line.

use crate::args::{Cli, CompletionsArgs};
use crate::{Context, Error};
use clap::CommandFactory;
use serde::Serialize;

/// `pannier.dev/completions/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    shell: String,
    script: String,
}

/// Prints the script.
///
/// # Errors
/// [`Error::Write`]: stdout does not take it.
pub fn run(args: &CompletionsArgs, context: &Context) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "packager", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    if context.json {
        let document = Document { schema: "pannier.dev/completions/v1", shell: args.shell.to_string(), script };
        return context.printer.json(&document);
    }
    context.printer.data(script)
}
