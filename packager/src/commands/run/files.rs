//! `-o`: the answers as a file.

use super::outcome::{FileOutcome, Outcome, Shape};
use crate::content::{Answer, heatmap, numbers, write_array, write_npz};
use crate::loaded::Loaded;
use crate::{Context, Error, output};
use pannier::Tensor;
use std::io::Cursor;
use std::path::Path;

/// What a file holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// All outputs of all runs.
    Npz,
    /// The only output of the only run.
    Npy,
    /// A heat map as a picture.
    Png,
}

fn format(path: &Path) -> Result<Format, Error> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        _ if output::is_stdout(path) => Ok(Format::Npz),
        Some("npz") => Ok(Format::Npz),
        Some("npy") => Ok(Format::Npy),
        Some("png") => Ok(Format::Png),
        _ => Err(Error::usage_with_hint(
            format!("`{}`: outputs are written as .npz, .npy or .png", path.display()),
            "for what the model says in words, use stdout, or --json",
        )),
    }
}

/// Checks the name before anything runs.
///
/// # Errors
/// [`Error::Usage`]: an unknown kind of file, or two documents for stdout.
pub fn check(path: &Path, context: &Context) -> Result<(), Error> {
    format(path)?;
    if context.json && output::is_stdout(path) {
        return Err(Error::usage("the JSON document and the tensors cannot both go to stdout; give -o FILE"));
    }
    Ok(())
}

/// The file's bytes.
///
/// # Errors
/// [`Error::Usage`]: a `.npy` or `.png` holds one output of one run, and there is another number of them.
pub fn encode(path: &Path, model: &Loaded, outcomes: &[FileOutcome]) -> Result<Vec<u8>, Error> {
    match format(path)? {
        Format::Npz => Ok(npz(outcomes)),
        Format::Npy => {
            let (_, tensor) = only(outcomes).filter(|(run, _)| run.outputs.len() == 1).ok_or_else(|| {
                Error::usage_with_hint("a .npy file holds one output of one run", "write an .npz instead")
            })?;
            let mut file = Vec::new();
            // Writing into memory cannot fail.
            let _ = write_array(tensor, &mut file);
            Ok(file)
        }
        Format::Png => png(model, outcomes).ok_or_else(|| {
            Error::usage_with_hint(
                "a .png file holds the heat map of one picture",
                "write an .npz instead, or run one picture through a model that gives a heat map",
            )
        }),
    }
}

/// The only run, with its first output.
fn only(outcomes: &[FileOutcome]) -> Option<(&Outcome, &Tensor)> {
    match outcomes {
        [FileOutcome { runs, .. }] => match runs.as_slice() {
            [run] => run.outputs.first().map(|(_, tensor)| (run, tensor)),
            _ => None,
        },
        _ => None,
    }
}

/// Names as in the file that was read: alone for one case, `NNN/out/` before them for many.
fn npz(outcomes: &[FileOutcome]) -> Vec<u8> {
    let mut arrays: Vec<(String, &Tensor)> = Vec::new();
    let runs: Vec<(&FileOutcome, &Outcome)> =
        outcomes.iter().flat_map(|outcome| outcome.runs.iter().map(move |run| (outcome, run))).collect();
    let one_file = outcomes.len() == 1;
    for (index, (outcome, run)) in runs.iter().enumerate() {
        for (name, tensor) in &run.outputs {
            let array = match (one_file, outcome.shape) {
                (true, Shape::One) => name.clone(),
                (true, _) => format!("{}/out/{name}", run.name),
                // Several files: their runs are numbered in the order of the command line.
                (false, _) => format!("{index:03}/out/{name}"),
            };
            arrays.push((array, tensor));
        }
    }
    let mut file = Cursor::new(Vec::new());
    // Writing into memory cannot fail.
    let _ = write_npz(&mut file, arrays.iter().map(|(name, tensor)| (name.as_str(), *tensor)));
    file.into_inner()
}

fn png(model: &Loaded, outcomes: &[FileOutcome]) -> Option<Vec<u8>> {
    let (run, _) = only(outcomes)?;
    let (map, width, height) = run.answers.iter().find_map(|answer| match answer {
        Answer::Regions { output, width, height, .. } => Some((output, *width, *height)),
        _ => None,
    })?;
    debug_assert!(model.manifest().output(map).is_some());
    let (_, tensor) = run.outputs.iter().find(|(name, _)| name == map)?;
    heatmap::png(&numbers::values(tensor), width, height)
}
