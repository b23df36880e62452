//! `packager diff`: what changed between two bundles.

use super::signatures::{self, SignerEntry};
use crate::args::DiffArgs;
use crate::compare::{self, Changes};
use crate::printer::Total;
use crate::table::{Table, heading};
use crate::{Context, Error, input, program, units};
use pannier_bundle::{Source, Trust, Verified};
use pannier_engine::Program;
use serde::Serialize;
use std::path::Path;

/// `pannier.dev/diff/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    before: String,
    after: String,
    same: bool,
    #[serde(flatten)]
    changes: Changes,
    sections: Vec<SectionChange>,
    signers: Signers,
}

#[derive(Serialize)]
struct SectionChange {
    name: String,
    before_bytes: Option<u64>,
    after_bytes: Option<u64>,
    same_content: bool,
}

#[derive(Serialize)]
struct Signers {
    before: Vec<SignerEntry>,
    after: Vec<SignerEntry>,
    same: bool,
}

/// Weights that are listed before the rest is counted.
const LISTED: usize = 20;

/// Prints the differences.
///
/// # Errors
/// [`Error::Different`] if there are any; [`Error::Read`], [`Error::Bundle`], [`Error::Graph`]: one cannot be read.
pub fn run(args: &DiffArgs, context: &Context) -> Result<(), Error> {
    if input::is_stdin(&args.before) && input::is_stdin(&args.after) {
        return Err(Error::usage("only one of the two bundles can come from stdin"));
    }
    let (before, before_program) = load(&args.before, context)?;
    let (after, after_program) = load(&args.after, context)?;
    let changes = compare::compare(before.manifest(), &before_program, after.manifest(), &after_program)?;
    let sections = sections(&before, &after);
    let signers = signers(&before, &after);
    let same = changes.is_empty() && sections.iter().all(|section| section.same_content) && signers.same;
    let document = Document {
        schema: "pannier.dev/diff/v1",
        before: args.before.display().to_string(),
        after: args.after.display().to_string(),
        same,
        changes,
        sections,
        signers,
    };
    if context.json {
        context.printer.json(&document)?;
    } else {
        context.printer.data(text(&document))?;
    }
    if same { Ok(()) } else { Err(Error::Different) }
}

fn load(path: &Path, context: &Context) -> Result<(Verified<input::BundleSource>, Program), Error> {
    let bundle = input::verify(input::open(path)?, &Trust::AllowUnsigned, path)?;
    let total = program::weight_sections(&bundle).map(|(_, size_bytes)| size_bytes).sum();
    let progress = context.printer.progress("reading", Total::Bytes(total));
    let program = program::load(&bundle, |done| progress.set(done)).map_err(|error| error.in_file(path))?;
    Ok((bundle, program))
}

fn sections<S: Source>(before: &Verified<S>, after: &Verified<S>) -> Vec<SectionChange> {
    let mut names: Vec<&str> = before.header().sections.iter().map(|section| section.name.as_str()).collect();
    for section in &after.header().sections {
        if !names.contains(&section.name.as_str()) {
            names.push(&section.name);
        }
    }
    let change = |name: &str| {
        let (old, new) = (before.section(name), after.section(name));
        SectionChange {
            name: name.to_owned(),
            before_bytes: old.map(|section| section.stored_bytes),
            after_bytes: new.map(|section| section.stored_bytes),
            same_content: old.map(|section| section.sha256) == new.map(|section| section.sha256),
        }
    };
    names.into_iter().map(change).collect()
}

fn signers<S: Source>(before: &Verified<S>, after: &Verified<S>) -> Signers {
    let (before, after) = (signatures::entries(before.verdict()), signatures::entries(after.verdict()));
    let same = before.len() == after.len() && before.iter().all(|signer| after.contains(signer));
    Signers { before, after, same }
}

fn text(document: &Document) -> String {
    if document.same {
        return format!("{} and {}: no differences\n", document.before, document.after);
    }
    let mut text = format!("--- {}\n+++ {}\n", document.before, document.after);
    let changes = &document.changes;
    for (title, fields) in [("Manifest", &changes.manifest), ("Inputs", &changes.inputs), ("Outputs", &changes.outputs)]
    {
        if fields.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{}", heading(title)));
        for field in fields {
            let line = |sign: char, value: &Option<String>| {
                value.as_ref().map_or(String::new(), |value| format!("  {sign} {} {value}\n", field.name))
            };
            text.push_str(&line('-', &field.before));
            text.push_str(&line('+', &field.after));
        }
    }
    if !changes.operators.is_empty() {
        let mut table = Table::new(&["", ">before", ">after"]);
        for operator in &changes.operators {
            table.row([operator.op.clone(), units::count(operator.before as u64), units::count(operator.after as u64)]);
        }
        text.push_str(&format!("\n{}{}", heading("Operators"), table.render()));
    } else if changes.graph_changed {
        text.push_str(&format!(
            "\n{}  the same operators, with other attributes, names or connections\n",
            heading("Graph")
        ));
    }
    if !changes.weights.is_empty() {
        text.push_str(&format!("\n{}{}", heading("Weights"), weights(changes)));
    }
    let changed: Vec<&SectionChange> = document.sections.iter().filter(|section| !section.same_content).collect();
    if !changed.is_empty() {
        let mut table = Table::new(&["", ">before", ">after"]);
        let size = |size: Option<u64>| size.map_or("-".to_owned(), units::bytes);
        for section in changed {
            table.row([section.name.clone(), size(section.before_bytes), size(section.after_bytes)]);
        }
        text.push_str(&format!("\n{}{}", heading("Sections"), table.render()));
    }
    if !document.signers.same {
        text.push_str(&format!("\n{}", heading("Signatures (listed, not checked)")));
        let (before, after) = (&document.signers.before, &document.signers.after);
        let line = |sign: char, signer: &SignerEntry| {
            format!("  {sign} {}\n", signer.fingerprint.as_deref().unwrap_or("(names no key)"))
        };
        text.extend(before.iter().filter(|signer| !after.contains(signer)).map(|signer| line('-', signer)));
        text.extend(after.iter().filter(|signer| !before.contains(signer)).map(|signer| line('+', signer)));
    }
    text
}

fn weights(changes: &Changes) -> String {
    let mut table = Table::of_fields();
    for weight in changes.weights.iter().take(LISTED) {
        let what = match (&weight.before, &weight.after, weight.largest_difference) {
            (Some(_), Some(_), Some(difference)) => format!("largest difference {}", units::small(difference)),
            (Some(before), Some(after), None) if before == after => format!("{before}, stored otherwise"),
            (Some(before), Some(after), None) => format!("{before} became {after}"),
            (Some(before), None, _) => format!("{before}, removed"),
            (None, Some(after), _) => format!("{after}, added"),
            (None, None, _) => String::new(),
        };
        table.row([weight.name.clone(), what]);
    }
    let mut text = table.render();
    if changes.weights.len() > LISTED {
        text.push_str(&format!("  and {} more\n", changes.weights.len() - LISTED));
    }
    text
}
