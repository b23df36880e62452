//! The `packager` command.

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use pannier_bundle::Code;
use pannier_packager::args::{Cli, Command, GlobalArgs};
use pannier_packager::printer::Printer;
use pannier_packager::{Context, Error, commands, interrupt, schemas};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = print_schema(&arguments) {
        return code;
    }
    let cli = match Cli::command().try_get_matches_from(&arguments).and_then(|found| Cli::from_arg_matches(&found)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    interrupt::install();
    let annotations = matches!(&cli.command, Command::Build(args) if args.ci);
    let printer = Printer::new(&cli.global).annotate(annotations);
    let context = Context { printer, json: cli.global.json };
    finish(commands::run(&cli.command, &context), &context.printer)
}

fn finish(result: Result<(), Error>, printer: &Printer) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Different is an answer, not an error: it was printed already.
        Err(Error::Different) => ExitCode::from(Code::Failed.exit_status()),
        Err(error) => {
            // A step that was stopped may fail in its own words; the user knows why.
            let error = if interrupt::requested() { Error::Interrupted } else { error };
            printer.error(&error);
            ExitCode::from(error.code().exit_status())
        }
    }
}

/// `--json-schema` needs no other argument, so it is looked for before the command line has to be complete.
fn print_schema(arguments: &[OsString]) -> Option<ExitCode> {
    if !arguments.iter().any(|argument| argument == "--json-schema") {
        return None;
    }
    let found = Cli::command().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    let printer = Printer::new(&GlobalArgs::default());
    let (verb, flags) = found.subcommand()?;
    // The one flag with a document of its own.
    let document = if verb == "inspect" && flags.get_flag("plan") { "plan" } else { verb };
    let result = match schemas::of(document) {
        Some(schema) => printer.data(schema),
        None => Err(Error::usage(format!("`{verb}` has no JSON document"))),
    };
    Some(finish(result, &printer))
}

/// Help and version as asked for, or what is wrong with the command line.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || !error.use_stderr() {
        // Only the stream itself can fail here; there is nobody left to tell.
        let _ = error.print();
        return if is_help { ExitCode::from(Code::Usage.exit_status()) } else { ExitCode::SUCCESS };
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    let printer = Printer::new(&GlobalArgs { json, ..GlobalArgs::default() });
    printer.error(&usage_error(&error.render().to_string()));
    ExitCode::from(Code::Usage.exit_status())
}

/// clap's message in our form: the first paragraph says what, tips and the usage line are hints.
fn usage_error(text: &str) -> Error {
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let message = message.strip_prefix("error: ").unwrap_or(message).trim_end().to_owned();
    let hints: Vec<String> = rest
        .lines()
        .map(|line| line.trim().trim_start_matches("tip: ").replace("Usage: ", "usage: "))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    Error::Usage { message, hint: Some(hints.join("\n")).filter(|hint| !hint.is_empty()) }
}
