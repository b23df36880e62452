//! `answer ENGINE`: runs bundles for whoever asks, on `burn-flex` or, with the feature `wgpu`, on `burn-wgpu`, an adapter that is a
//! program on the CPU included. The conformance suite's rows of this engine: they are apart from the suite's own program, which
//! would compile other engines a second time with it.
//!
//! One question a line on standard input, one answer a line on standard output, the same as of `tests/browser/conformance.mjs`:
//!
//! ```text
//! {"open": {"bundle": PATH, "key": PEM}}               {"session": NUMBER, "engine": NAME}
//! {"run": {"session": NUMBER, "inputs": TENSORS}}      {"outputs": TENSORS}
//! {"close": {"session": NUMBER}}                       {}
//! ```
//!
//! or `{"error": TEXT}`. Tensors are `{name: {type, dims, base64}}`. A bundle that this engine does not run is run by the executor.

use base64ct::{Base64, Encoding};
use pannier::{DType, Engine, Executor, Inputs, Options, PublicKey, Session, Tensor, Trust};
use pannier_engine_burn::Burn;
use serde_json::{Map, Value, json};
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: answer ENGINE")?;
    let options = Options { engines: vec![engine(&name)?, Arc::new(Executor::new())], ..Options::default() };
    let mut sessions = Vec::new();
    for question in stdin().lock().lines() {
        let answer = serde_json::from_str(&question?).map_err(Into::into);
        let answer = answer.and_then(|question| answer_to(&question, &options, &mut sessions));
        writeln!(stdout(), "{}", answer.unwrap_or_else(|why| json!({ "error": why.to_string() })))?;
    }
    Ok(())
}

fn engine(name: &str) -> Result<Arc<dyn Engine>, Box<dyn Error>> {
    match name {
        "burn-flex" => Ok(Arc::new(Burn::flex())),
        #[cfg(feature = "wgpu")]
        "burn-wgpu" => Ok(Arc::new(Burn::wgpu(&pannier_engine_burn::GpuOptions::default().with_software())?)),
        _ => Err(format!("there is no engine `{name}` in this build").into()),
    }
}

fn answer_to(
    question: &Value,
    options: &Options,
    sessions: &mut Vec<Option<Session>>,
) -> Result<Value, Box<dyn Error>> {
    if let Some(asked) = question.get("open") {
        let trust = Trust::Keys(vec![PublicKey::from_pem(text(asked, "key")?)?]);
        let session = Session::open(text(asked, "bundle")?, &trust, options)?;
        let engine = session.report().engine;
        sessions.push(Some(session));
        return Ok(json!({ "session": sessions.len() - 1, "engine": engine }));
    }
    let (verb, asked) = question.as_object().and_then(|question| question.iter().next()).ok_or("not a question")?;
    let session = asked["session"].as_u64().and_then(|index| sessions.get_mut(usize::try_from(index).ok()?));
    let session = session.ok_or("there is no such session")?;
    match (verb.as_str(), session.as_ref()) {
        ("run", Some(session)) => {
            let inputs = asked["inputs"].as_object().ok_or("no inputs")?.iter();
            let inputs: Inputs<'_> = inputs
                .map(|(name, tensor)| Ok((name.as_str(), decode(tensor)?)))
                .collect::<Result<_, Box<dyn Error>>>()?;
            let outputs = session.run(&inputs)?;
            let outputs: Map<String, Value> =
                outputs.iter().map(|(name, tensor)| (name.to_owned(), encode(tensor))).collect();
            Ok(json!({ "outputs": outputs }))
        }
        ("close", _) => {
            *session = None;
            Ok(json!({}))
        }
        _ => Err(format!("not a question: {question}").into()),
    }
}

fn encode(tensor: &Tensor) -> Value {
    let base64 = Base64::encode_string(tensor.bytes());
    json!({ "type": tensor.dtype().name(), "dims": tensor.shape(), "base64": base64 })
}

fn decode(tensor: &Value) -> Result<Tensor, Box<dyn Error>> {
    let dtype = DType::from_name(text(tensor, "type")?).ok_or("no such type")?;
    let dims = tensor["dims"].as_array().ok_or("no dims")?.iter();
    let shape: Option<Vec<usize>> = dims.map(|dim| usize::try_from(dim.as_u64()?).ok()).collect();
    Ok(Tensor::new(dtype, shape.ok_or("dims are sizes")?, Base64::decode_vec(text(tensor, "base64")?)?)?)
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Box<dyn Error>> {
    value[field].as_str().ok_or_else(|| format!("no {field} in {value}").into())
}
