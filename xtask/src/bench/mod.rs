//! `bench`: this project beside others, in turn, on the same models, inputs and machine.
//!
//! Every measurement is a process of its own, and the sides alternate, so that a machine that slows down slows all of them. Raw
//! figures go to `benches/results`; the tables in documents are made from those files alone.

mod machine;
mod measure;
mod pages;
mod setting;
pub mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::environment::root;
use pages::Pages;
use setting::{Bench, Web};

/// The models, in the order of the tables.
pub const MODELS: [&str; 5] = ["magika", "ocr-cls", "ocr-det", "ocr-rec", "silero-vad"];

/// The documents that have tables.
pub const DOCUMENTS: [&str; 2] = ["README.md", "docs/quantization.md"];

/// What is measured: each part has a file of results and its tables in a document.
#[derive(Clone, Copy)]
pub enum Part {
    /// The native runtime and ONNX Runtime.
    Peers,
    /// Quantized models, and what ONNX Runtime's quantizer makes of the same.
    Quantize,
    /// The sandbox, V8, and other ways to isolate a call.
    Sandbox,
    /// The npm package and onnxruntime-web, in a browser and in Node.
    Web,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 4] = [Part::Peers, Part::Quantize, Part::Sandbox, Part::Web];

    /// The part of this name.
    pub fn named(name: &str) -> Result<Part> {
        match name {
            "peers" => Ok(Part::Peers),
            "quantize" => Ok(Part::Quantize),
            "sandbox" => Ok(Part::Sandbox),
            "web" => Ok(Part::Web),
            other => bail!("`{other}` is not a part of the bench: there are peers, quantize, sandbox and web"),
        }
    }

    fn marker(self) -> &'static str {
        match self {
            Part::Peers => "bench",
            Part::Quantize => "bench-quantize",
            Part::Sandbox => "bench-sandbox",
            Part::Web => "bench-web",
        }
    }

    fn results_file(self) -> &'static str {
        match self {
            Part::Peers => "peers.json",
            Part::Quantize => "quantize.json",
            Part::Sandbox => "sandbox.json",
            Part::Web => "web.json",
        }
    }

    /// Where its tables are.
    fn document(self) -> &'static str {
        match self {
            Part::Quantize => "docs/quantization.md",
            Part::Peers | Part::Sandbox | Part::Web => "README.md",
        }
    }

    /// Whether it takes the measuring programs of `benches/src/bin`, which are slow to build.
    fn takes_programs(self) -> bool {
        !matches!(self, Part::Web)
    }

    fn results_path(self) -> PathBuf {
        root().join("benches/results").join(self.results_file())
    }

    /// The last results that were kept.
    fn read_results(self) -> Result<Value> {
        let path = self.results_path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// Measures one part or all of them in this many rounds, or with `table_only` just rewrites the tables.
pub fn run(only: Option<Part>, rounds: Option<u32>, table_only: bool) -> Result<()> {
    let parts = only.map_or(Part::ALL.to_vec(), |part| vec![part]);
    if !table_only {
        let bench = Bench::set_up(parts.iter().any(|part| part.takes_programs()))?;
        for part in &parts {
            let results = match part {
                Part::Peers => peers(&bench, rounds.unwrap_or(5))?,
                Part::Quantize => quantize(&bench, rounds.unwrap_or(3))?,
                Part::Sandbox => sandbox(&bench, rounds.unwrap_or(3))?,
                Part::Web => web(&bench, rounds.unwrap_or(3))?,
            };
            let path = part.results_path();
            fs::write(&path, format!("{results:#}\n")).with_context(|| path.display().to_string())?;
        }
    }
    for document in DOCUMENTS {
        let path = root().join(document);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(&path, table::insert(document, &text)?).with_context(|| path.display().to_string())?;
    }
    for part in parts {
        println!("{}", table::render(part)?);
    }
    Ok(())
}

fn peers(bench: &Bench, rounds: u32) -> Result<Value> {
    Ok(json!({
        "machine": machine::describe()?,
        "versions": machine::versions(bench)?,
        "rounds": rounds,
        "models": measure::peers::models(bench, rounds)?,
    }))
}

fn quantize(bench: &Bench, rounds: u32) -> Result<Value> {
    Ok(json!({
        "machine": machine::describe()?,
        "versions": machine::versions(bench)?,
        "rounds": rounds,
        "models": measure::quantize::models(bench, rounds)?,
    }))
}

fn sandbox(bench: &Bench, rounds: u32) -> Result<Value> {
    let web = Web::set_up()?;
    Ok(json!({
        "machine": machine::describe()?,
        "versions": machine::versions(bench)?,
        "web_versions": machine::web_versions(&web)?,
        "rounds": rounds,
        "compiling": measure::sandbox::compiling(bench)?,
        "models": measure::sandbox::models(bench, &web, rounds)?,
    }))
}

fn web(bench: &Bench, rounds: u32) -> Result<Value> {
    let pages = Pages::set_up(bench)?;
    Ok(json!({
        "machine": machine::describe()?,
        "versions": machine::versions(bench)?,
        "web_versions": machine::web_versions(&pages.web)?,
        "browser": pages.browser_version()?,
        "rounds": rounds,
        "models": measure::web::models(bench, &pages, rounds)?,
    }))
}
