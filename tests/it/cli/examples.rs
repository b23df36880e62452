//! Help texts, and the examples in them.

use super::fixture::{folder, redacted, run_line};
use crate::support::{Failures, packager, sandbox, temp_dir};
use clap::CommandFactory;
use pannier_packager::args::Cli;

/// Every command with a help text of its own: `build`, `key new`, ...
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn collect(command: &clap::Command, path: &[String], into: &mut Vec<(Vec<String>, clap::Command)>) {
        for sub in command.get_subcommands() {
            let path = [path, &[sub.get_name().to_owned()]].concat();
            into.push((path.clone(), sub.clone()));
            collect(sub, &path, into);
        }
    }
    let mut all = Vec::new();
    collect(&Cli::command(), &[], &mut all);
    all
}

/// The command lines under `Examples:`, without what is said about them in brackets.
fn examples(command: &clap::Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.split("    (").next().unwrap_or(line).trim().to_owned())
        .collect()
}

#[test]
fn every_command_has_two_examples_and_they_run() {
    // Some of them run in the sandbox.
    sandbox::fast();
    let mut failures = Failures::default();
    for (path, command) in commands() {
        // A command that only holds other commands has none.
        if command.has_subcommands() {
            continue;
        }
        let name = path.join(" ");
        let lines = examples(&command);
        failures.check(&name, || match lines.len() {
            2 => Ok(()),
            count => Err(format!("{count} examples")),
        });
        let folder = folder();
        if name == "init" {
            std::fs::remove_file(folder.path().join("packager.toml")).expect("it is there");
        }
        for line in lines {
            // `diff` tells a difference by its status.
            let expected = if line.contains("retrained") { 1 } else { 0 };
            failures.check(&line, || {
                let ran = run_line(folder.path(), &line);
                if ran.status == Some(expected) { Ok(()) } else { Err(format!("{ran:?}")) }
            });
        }
    }
    failures.assert_none();
}

#[test]
fn help_texts() {
    let folder = temp_dir();
    let help = |arguments: &[String]| redacted(&packager(folder.path(), arguments).expect(0).stdout);
    insta::assert_snapshot!("help", help(&["--help".to_owned()]));
    for (path, _) in commands() {
        let name = format!("help_{}", path.join("_"));
        insta::assert_snapshot!(name, help(&[path, vec!["--help".to_owned()]].concat()));
    }
}

#[test]
fn help_fits_into_the_width_of_the_terminal() {
    let folder = temp_dir();
    let mut failures = Failures::default();
    for (path, _) in commands() {
        failures.check(path.join(" "), || {
            let ran = packager(folder.path(), [path.clone(), vec!["--help".to_owned()]].concat()).expect(0);
            match ran.stdout.lines().find(|line| line.chars().count() > 120 || line.ends_with(' ')) {
                Some(line) => Err(format!("too wide, or ends with a space: {line:?}")),
                None => Ok(()),
            }
        });
    }
    failures.assert_none();
}

#[test]
fn completions_know_every_command() {
    let folder = temp_dir();
    let mut failures = Failures::default();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        failures.check(shell, || {
            let script = packager(folder.path(), ["completions", shell]).expect(0).stdout;
            match commands().iter().find(|(path, _)| path.iter().any(|word| !script.contains(word.as_str()))) {
                Some((path, _)) => Err(format!("`{}` is missing", path.join(" "))),
                None => Ok(()),
            }
        });
    }
    failures.assert_none();
}
