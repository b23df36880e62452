//! The command line: one file per verb.

mod rules;
mod serve;
mod simulate;
mod token;

use crate::Error;
use crate::alerts::rules::duration;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Knows how every deployed model is doing: takes OTLP metrics, keeps them in one file, shows them on a page, raises alerts.
#[derive(Debug, Parser)]
#[command(name = "pannier-monitor", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take metrics and show them, until Ctrl-C
    Serve(serve::ServeArguments),
    /// Make, list and revoke tokens of fleets and operators
    Token(token::TokenArguments),
    /// Check a file of alert rules
    Rules(rules::RulesArguments),
    /// Pretend to be devices that report, to try a set-up or to measure it
    Simulate(simulate::SimulateArguments),
}

/// Where the monitor keeps its files.
#[derive(Debug, clap::Args)]
struct Data {
    /// Folder of the monitor: `monitor.db`, `tokens.toml`, `rules.toml`
    #[arg(long, env = "PANNIER_MONITOR_DATA", value_name = "FOLDER", default_value = "pannier-monitor")]
    data: PathBuf,
}

/// Runs a command.
///
/// # Errors
/// Whatever it fails with.
pub fn run(arguments: Arguments) -> Result<(), Error> {
    match arguments.command {
        Verb::Serve(arguments) => serve::run(arguments),
        Verb::Token(arguments) => token::run(arguments),
        Verb::Rules(arguments) => rules::run(&arguments),
        Verb::Simulate(arguments) => simulate::run(arguments),
    }
}

/// The exit status for an error, as for `packager`.
#[must_use]
pub fn exit_status(error: &Error) -> u8 {
    match error.code() {
        "E_USAGE" => 2,
        "E_INPUT_MISSING" => 3,
        "E_CORRUPT" => 13,
        _ => 1,
    }
}

fn time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "a time is written like `90s`, `5m`, `12h` or `30d`".to_owned())
}

/// `64k`, `16M`, `20G` in bytes.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "a size is written like `500k`, `16M` or `20G`".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).unwrap_or("") {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err(wrong()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|size| *size > 0)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(size("16M"), Ok(16 << 20));
        assert_eq!(size("7"), Ok(7));
        for wrong in ["", "0", "M", "1x", "-1", "99999999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
