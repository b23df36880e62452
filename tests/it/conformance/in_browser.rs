//! The rows in browsers: one of each for the whole suite, asked through `tests/browser/conformance.mjs`.

use super::rows::{Named, Opened, Runner};
use crate::browser::{no_fixtures, script};
use crate::support::temp_dir;
use base64ct::{Base64, Encoding};
use pannier::{DType, PublicKey, Tensor};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, MutexGuard};

/// Runs bundles in a page.
pub struct InBrowser {
    /// `chromium`, `firefox` or `webkit`.
    pub program: &'static str,
    /// On a GPU if that can be, which is a program on the CPU here.
    pub webgpu: bool,
}

impl Runner for InBrowser {
    fn open(&self, bundle: &[u8], key: &PublicKey) -> Result<Box<dyn Opened>, String> {
        let mut browser = Browser::get(self.program);
        let name = "bundle.pannier";
        std::fs::write(browser.folder.path().join(name), bundle).map_err(|error| error.to_string())?;
        let answer = browser.ask(&json!({ "open": { "bundle": name, "key": key.to_pem(), "webgpu": self.webgpu } }))?;
        let engine = answer["engine"].as_str().ok_or_else(|| format!("no engine: {answer}"))?.to_owned();
        Ok(Box::new(InPage { program: self.program, session: answer["session"].clone(), engine }))
    }
}

/// A session in the page.
struct InPage {
    program: &'static str,
    session: Value,
    engine: String,
}

impl Opened for InPage {
    fn engine(&self) -> String {
        self.engine.clone()
    }

    fn run(&self, inputs: &Named) -> Result<Named, String> {
        let inputs: Map<String, Value> = inputs.iter().map(|(name, tensor)| (name.clone(), encode(tensor))).collect();
        let mut answer =
            Browser::get(self.program).ask(&json!({ "run": { "session": self.session, "inputs": inputs } }))?;
        let Value::Object(outputs) = answer["outputs"].take() else { return Err(format!("no outputs: {answer}")) };
        outputs.into_iter().map(|(name, tensor)| Ok((name, decode(&tensor)?))).collect()
    }
}

impl Drop for InPage {
    fn drop(&mut self) {
        // Its memory is wanted for the next one; if this fails, so does that.
        Browser::get(self.program).ask(&json!({ "close": { "session": self.session } })).ok();
    }
}

/// The script, which ends when nobody asks any more.
struct Browser {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Browser {
    fn get(program: &'static str) -> MutexGuard<'static, Browser> {
        static BROWSERS: Mutex<BTreeMap<&str, &'static Mutex<Browser>>> = Mutex::new(BTreeMap::new());
        let mut browsers = BROWSERS.lock().expect("starting a browser left the map alone");
        let browser =
            *browsers.entry(program).or_insert_with(|| Box::leak(Box::new(Mutex::new(Browser::start(program)))));
        drop(browsers);
        browser.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[expect(clippy::zombie_processes, reason = "it ends with this process, when its standard input does")]
    fn start(program: &str) -> Browser {
        let folder = temp_dir();
        no_fixtures(folder.path());
        let mut command = script("conformance.mjs", folder.path(), Path::new("/nonexistent"));
        let mut child = command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Node starts");
        let (questions, answers) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Browser { questions, answers: BufReader::new(answers), folder }
    }

    fn ask(&mut self, question: &Value) -> Result<Value, String> {
        let mut answer = String::new();
        let asked = writeln!(self.questions, "{question}").and_then(|()| self.answers.read_line(&mut answer));
        asked.map_err(|error| format!("the browser's script: {error}"))?;
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
