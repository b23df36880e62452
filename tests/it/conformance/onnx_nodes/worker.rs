//! The inside of a child process: reads folders from standard input, runs their tests, writes an outcome for each.

use super::case;
use super::outcome::Outcome;
use crate::support::bundle::{publisher, signed, target};
use crate::support::panic_message;
use crate::support::tensors::{compare, read_tensor_proto};
use pannier::{Code, EngineError, Inputs, Options, Session, Tensor, Trust};
use pannier_engine::golden::Tolerance;
use pannier_packager::import::Place;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

/// What comes before the JSON of an outcome.
pub const ANSWER: &str = "node-test-outcome: ";

/// The life of a worker: a folder in, an outcome out, until standard input ends.
pub fn serve(work: fn(&Path) -> Outcome) {
    for folder in std::io::stdin().lock().lines() {
        let folder = folder.expect("folders come in UTF-8");
        let run = || work(Path::new(&folder));
        let outcome = std::panic::catch_unwind(run).unwrap_or_else(|payload| Outcome::Crashed {
            why: format!("panicked: {}", panic_message(payload.as_ref())),
        });
        let line = serde_json::to_string(&outcome).expect("outcomes are plain data");
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{ANSWER}{line}").and_then(|()| stdout.flush()).expect("the parent listens");
    }
}

/// What a session may use: a test of one operator needs next to nothing.
pub const MEMORY_BYTES: u64 = 1 << 30;
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The `onnx` package's own tolerance (`onnx.backend.test.loader`).
const TOLERANCE: Tolerance = Tolerance { absolute: 1e-7, relative: 1e-3, norm: 0.0 };

/// Wider absolute tolerances, by the beginning of the test's name.
const WIDER: &[(&str, f32)] = &[
    // The references are sums of a hundred numbers up to 99 in binary64, many of which cancel to 0. ONNX Runtime's
    // answers are off by up to 3e-4 here.
    ("test_dft", 1e-5),
    // Answers near 0. tract's tanh and sigmoid are exact to 5e-7 absolute, not relative.
    ("test_gru_seq_length", 2e-6),
];

/// What counts as the same answer in the test in this folder.
pub fn tolerance(folder: &Path) -> Tolerance {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let wider = WIDER.iter().find(|(start, _)| name.starts_with(start));
    wider.map_or(TOLERANCE, |(_, absolute)| Tolerance { absolute: *absolute, ..TOLERANCE })
}

/// Builds, opens and runs one test.
pub fn run(folder: &Path) -> Outcome {
    match answers(folder) {
        Ok(Answers { engine, outputs, expected }) => compare_all(engine, &outputs, &expected, tolerance(folder)),
        // The engine catches panics of its own; they are no less panics.
        Err(Outcome::Error { why, .. }) if why.contains("panicked") => Outcome::Crashed { why },
        Err(outcome) => outcome,
    }
}

/// Tensors with their names.
pub type Named = Vec<(String, Tensor)>;

struct Answers {
    engine: &'static str,
    outputs: Named,
    expected: Named,
}

/// The answers of the model, and those that are expected.
fn answers(folder: &Path) -> Result<Answers, Outcome> {
    let session = session(bundle(folder)?).map_err(|error| session_refusal(&error))?;
    let inputs = inputs(folder)?;
    let graph = case::read_model(folder).graph.unwrap_or_default();
    let expected = read_all(folder, "output", graph.output.iter().map(|value| value.name.clone()))?;
    let outputs = session.run(views(&inputs)).map_err(|error| session_refusal(&error))?;
    Ok(Answers { engine: session.report().engine, outputs: outputs.into_iter().collect(), expected })
}

/// The model, packed and signed.
///
/// # Errors
/// The outcome of a test whose model cannot be packed.
pub fn bundle(folder: &Path) -> Result<Vec<u8>, Outcome> {
    signed(&target("node-test", &folder.join("model.onnx"))).map_err(|error| refusal(&error))
}

/// The bundle in this process.
///
/// # Errors
/// Those of [`Session::from_bytes`].
pub fn session(bundle: Vec<u8>) -> Result<Session, pannier::Error> {
    let options = Options { memory_bytes: Some(MEMORY_BYTES), deadline: Some(DEADLINE), ..Options::default() };
    Session::from_bytes(bundle, &Trust::Keys(vec![publisher().public_key().clone()]), &options)
}

/// The inputs of the test.
///
/// # Errors
/// The outcome of a test whose files cannot be read.
pub fn inputs(folder: &Path) -> Result<Named, Outcome> {
    let graph = case::read_model(folder).graph.unwrap_or_default();
    read_all(folder, "input", graph.input.iter().map(|value| value.name.clone()))
}

/// The same, as a session takes them.
pub fn views(inputs: &Named) -> Inputs<'_> {
    inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

/// Whether every expected output is there and right. `engine` gave them.
pub fn compare_all(engine: &str, outputs: &Named, expected: &Named, tolerance: Tolerance) -> Outcome {
    for (name, expected) in expected {
        let Some((_, output)) = outputs.iter().find(|(key, _)| key == name) else {
            return Outcome::Wrong { why: format!("no output `{name}`") };
        };
        if let Err(why) = compare(output, expected, tolerance) {
            return Outcome::Wrong { why: format!("output `{name}`: {why}") };
        }
    }
    Outcome::Passed { engine: engine.to_owned() }
}

/// The tensors of the test's files, named after the graph's values in order.
fn read_all(folder: &Path, kind: &str, names: impl Iterator<Item = String>) -> Result<Named, Outcome> {
    let files = case::data_files(folder, kind);
    let tensors = files.iter().zip(names).map(|(path, name)| {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Ok((name, read_tensor_proto(&bytes)?))
    });
    let tensors: Result<Named, String> = tensors.collect();
    tensors.map_err(|why| Outcome::Error { code: "test data".to_owned(), why: format!("{kind}: {why}") })
}

/// What an error of the build says.
fn refusal(error: &pannier_packager::Error) -> Outcome {
    use pannier_packager::Error;
    use pannier_packager::import::ImportError;
    match error {
        Error::InFile { error, .. } => refusal(error),
        Error::Engine(error) => engine_refusal([error], error.code(), error),
        Error::Session(error) => session_refusal(error),
        Error::Import(ImportError::Unsupported(problems)) => {
            Outcome::unsupported(problems.iter().map(|problem| match &problem.place {
                Place::Node { op, .. } => format!("{op}: {}", problem.why),
                _ => problem.why.to_string(),
            }))
        }
        other => Outcome::Error { code: other.code().to_string(), why: other.to_string() },
    }
}

/// What an error of a session says.
fn session_refusal(error: &pannier::Error) -> Outcome {
    match error {
        pannier::Error::Engine(inner) => engine_refusal([inner], error.code(), error),
        pannier::Error::NoEngine { rejected } => {
            engine_refusal(rejected.iter().map(|rejected| &rejected.error), error.code(), error)
        }
        other => Outcome::Error { code: other.code().to_string(), why: other.to_string() },
    }
}

fn engine_refusal<'a>(
    errors: impl IntoIterator<Item = &'a EngineError>,
    code: Code,
    whole: &dyn std::error::Error,
) -> Outcome {
    if code != Code::UnsupportedOperator {
        return Outcome::Error { code: code.to_string(), why: whole.to_string() };
    }
    // Without the nodes' names: a reason is the same for every test that has it.
    Outcome::unsupported(errors.into_iter().flat_map(|error| match error {
        EngineError::Unsupported { nodes, .. } => {
            nodes.iter().map(|node| format!("{}: {}", node.op, node.reason)).collect()
        }
        other => vec![other.to_string()],
    }))
}
