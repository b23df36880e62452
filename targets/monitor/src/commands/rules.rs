//! `pannier-monitor rules`

use crate::Error;
use crate::alerts::rules;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct RulesArguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what is wrong with a file of rules, or how many it holds
    Check {
        /// The file
        file: PathBuf,
    },
}

pub fn run(arguments: &RulesArguments) -> Result<(), Error> {
    let Verb::Check { file } = &arguments.command;
    if !file.exists() {
        return Err(Error::NotFound { what: format!("file `{}`", file.display()) });
    }
    let found = rules::load(file)?;
    println!("{}: {} rules, {} webhooks", file.display(), found.rules.len(), found.webhooks.len());
    Ok(())
}
