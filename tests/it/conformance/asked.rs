//! The rows in other programs, which are asked: in browsers by `tests/browser/conformance.mjs`, on burn by `answer`, an example of
//! `runtime/engine-burn`. One of each program for the whole suite.

use super::rows::{Named, Opened, Runner};
use crate::browser::{no_fixtures, script};
use crate::support::{burn, temp_dir};
use base64ct::{Base64, Encoding};
use pannier::{DType, PublicKey, Tensor};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, MutexGuard};

/// Runs bundles in another program.
pub struct Asked {
    /// A browser: `chromium`, `firefox` or `webkit`; or an engine of burn's: `burn-flex` or `burn-wgpu`.
    pub program: &'static str,
    /// In a browser, on a GPU if that can be, which is a program on the CPU here.
    pub webgpu: bool,
}

impl Runner for Asked {
    fn open(&self, bundle: &[u8], key: &PublicKey) -> Result<Box<dyn Opened>, String> {
        let mut program = Program::get(self.program);
        let name = "bundle.pannier";
        std::fs::write(program.folder.path().join(name), bundle).map_err(|error| error.to_string())?;
        let answer = program.ask(&json!({ "open": { "bundle": name, "key": key.to_pem(), "webgpu": self.webgpu } }))?;
        let engine = answer["engine"].as_str().ok_or_else(|| format!("no engine: {answer}"))?.to_owned();
        Ok(Box::new(OpenedThere { program: self.program, session: answer["session"].clone(), engine }))
    }
}

/// A session in the program.
struct OpenedThere {
    program: &'static str,
    session: Value,
    engine: String,
}

impl Opened for OpenedThere {
    fn engine(&self) -> String {
        self.engine.clone()
    }

    fn run(&self, inputs: &Named) -> Result<Named, String> {
        let inputs: Map<String, Value> = inputs.iter().map(|(name, tensor)| (name.clone(), encode(tensor))).collect();
        let mut answer =
            Program::get(self.program).ask(&json!({ "run": { "session": self.session, "inputs": inputs } }))?;
        let Value::Object(outputs) = answer["outputs"].take() else { return Err(format!("no outputs: {answer}")) };
        outputs.into_iter().map(|(name, tensor)| Ok((name, decode(&tensor)?))).collect()
    }
}

impl Drop for OpenedThere {
    fn drop(&mut self) {
        // Its memory is wanted for the next one; if this fails, so does that.
        Program::get(self.program).ask(&json!({ "close": { "session": self.session } })).ok();
    }
}

/// A program that runs, and ends when nobody asks any more.
struct Program {
    name: &'static str,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where bundles lie for it.
    folder: tempfile::TempDir,
}

impl Program {
    fn get(name: &'static str) -> MutexGuard<'static, Program> {
        static PROGRAMS: Mutex<BTreeMap<&str, &'static Mutex<Program>>> = Mutex::new(BTreeMap::new());
        let mut programs = PROGRAMS.lock().expect("starting a program left the map alone");
        let program = *programs.entry(name).or_insert_with(|| Box::leak(Box::new(Mutex::new(Program::start(name)))));
        drop(programs);
        program.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[expect(clippy::zombie_processes, reason = "it ends with this process, when its standard input does")]
    fn start(name: &'static str) -> Program {
        let folder = temp_dir();
        let mut command = match name {
            "burn-flex" | "burn-wgpu" => burn::answer_command(folder.path()),
            _ => {
                no_fixtures(folder.path());
                script("conformance.mjs", folder.path(), Path::new("/nonexistent"))
            }
        };
        command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let (questions, answers) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Program { name, questions, answers: BufReader::new(answers), folder }
    }

    fn ask(&mut self, question: &Value) -> Result<Value, String> {
        let mut answer = String::new();
        let asked = writeln!(self.questions, "{question}").and_then(|()| self.answers.read_line(&mut answer));
        asked.map_err(|error| format!("{}: {error}", self.name))?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("{error} in {answer:?}"))?;
        answer.get("error").map_or(Ok(answer.clone()), |error| Err(error.to_string()))
    }
}

fn encode(tensor: &Tensor) -> Value {
    let base64 = Base64::encode_string(tensor.bytes());
    json!({ "type": tensor.dtype().name(), "dims": tensor.shape(), "base64": base64 })
}

fn decode(tensor: &Value) -> Result<Tensor, String> {
    let text = |field: &str| tensor[field].as_str().ok_or_else(|| format!("no {field} in {tensor}"));
    let dtype = DType::from_name(text("type")?).ok_or_else(|| format!("no such type: {tensor}"))?;
    let shape: Vec<usize> = serde_json::from_value(tensor["dims"].clone()).map_err(|error| error.to_string())?;
    let bytes = Base64::decode_vec(text("base64")?).map_err(|error| error.to_string())?;
    Tensor::new(dtype, shape, bytes).map_err(|error| error.to_string())
}
