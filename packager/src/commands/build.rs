//! `packager build`: from ONNX files to bundles.

use crate::args::{BuildArgs, PassphraseArgs};
use crate::build::{self, BuildReport, Step};
use crate::config::{self, Target};
use crate::printer::{Progress, Total};
use crate::quantize::Stage;
use crate::sign::PrivateKey;
use crate::{Context, Error, output, secret};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `pannier.dev/build/v1`, `pannier.dev/quantize/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    bundles: Vec<BuildReport>,
}

/// Builds the model that is named, or every model of `packager.toml`. The first failure ends the command; what was
/// finished before stays.
///
/// # Errors
/// Those of the configuration, of [`build::build`] and of writing; [`Error::Key`].
pub fn run(args: &BuildArgs, context: &Context) -> Result<(), Error> {
    let targets = config::targets(args)?;
    run_targets("pannier.dev/build/v1", &targets, &args.passphrase, context, &build::build)
}

/// Builds one target.
type BuildOne<'a> =
    &'a dyn Fn(&Target, Option<&PrivateKey>, &mut dyn FnMut(Step, u64, u64)) -> Result<build::Built, Error>;

/// Builds each target, writes and reports it.
///
/// # Errors
/// Those of `build_one`, and of writing; [`Error::Key`].
pub(super) fn run_targets(
    schema: &'static str,
    targets: &[Target],
    passphrase: &PassphraseArgs,
    context: &Context,
    build_one: BuildOne<'_>,
) -> Result<(), Error> {
    let to_stdout = targets.iter().any(|target| output::is_stdout(&target.output));
    if context.json && to_stdout {
        return Err(Error::usage("the JSON document and the bundle cannot both go to stdout; give -o FILE"));
    }
    // Before any work is done: a passphrase that is asked for at the end would keep people waiting.
    let mut keys: BTreeMap<PathBuf, PrivateKey> = BTreeMap::new();
    for path in targets.iter().filter_map(|target| target.sign.as_ref()) {
        if !keys.contains_key(path) {
            keys.insert(path.clone(), secret::private_key(path, passphrase)?);
        }
    }
    let mut reports = Vec::new();
    for target in targets {
        let signer = target.sign.as_ref().and_then(|path| keys.get(path));
        let report = write_one(target, signer, context, build_one)?;
        if !context.json {
            match to_stdout {
                true => context.printer.note(report.text()),
                false => context.printer.data(report.text())?,
            }
        }
        reports.push(report);
    }
    if context.json {
        return context.printer.json(&Document { schema, bundles: reports });
    }
    Ok(())
}

fn write_one(
    target: &Target,
    signer: Option<&PrivateKey>,
    context: &Context,
    build_one: BuildOne<'_>,
) -> Result<BuildReport, Error> {
    let mut shown: Option<(Step, Progress<'_>)> = None;
    let mut progress = |step: Step, done: u64, total: u64| {
        if shown.as_ref().is_none_or(|(current, _)| *current != step) {
            // The bar of the step before goes first.
            shown = None;
            let (label, total) = match step {
                Step::Import => ("importing", Total::Unknown),
                Step::Quantize(stage) => (quantizing(stage), Total::Steps(total)),
                Step::Evaluate => ("running cases", Total::Steps(total)),
                Step::Seal => ("compressing", Total::Bytes(total)),
                Step::Contain => ("joining it with the runtime", Total::Unknown),
            };
            shown = Some((step, context.printer.progress(format!("{}: {label}", target.name), total)));
        }
        if let Some((_, progress)) = &shown {
            progress.set(done);
        }
    };
    let mut built = build_one(target, signer, &mut progress)?;
    drop(shown);
    for warning in &built.report.warnings {
        context.printer.warn(format!("{}: {warning}", target.name));
    }
    output::write_atomically(&target.output, &built.bundle)?;
    built.report.output = Some(target.output.clone());
    Ok(built.report)
}

fn quantizing(stage: Stage) -> &'static str {
    match stage {
        Stage::Calibrate => "calibrating",
        Stage::Sensitivity => "measuring layers",
        Stage::Activations => "measuring activations",
        Stage::Latency => "measuring times",
        Stage::Ladder => "trying what helps all layers",
        Stage::Search => "searching",
        Stage::Gate => "judging on held-out cases",
    }
}
