//! The `pannier-monitor` command.

use clap::Parser as _;
use pannier_monitor::commands::{self, Arguments};
use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error[{}]: {error}\nhint: {}", error.code(), error.hint());
            ExitCode::from(commands::exit_status(&error))
        }
    }
}
