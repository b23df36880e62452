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
pub const DOCUMENTS: [&str; 3] = ["README.md", "docs/quantization.md", "docs/engines.md"];

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
    /// The executor and burn on a GPU, with batches.
    Gpu,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 5] = [Part::Peers, Part::Quantize, Part::Sandbox, Part::Web, Part::Gpu];

    /// The part of this name.
    pub fn named(name: &str) -> Result<Part> {
        match name {
            "peers" => Ok(Part::Peers),
            "quantize" => Ok(Part::Quantize),
            "sandbox" => Ok(Part::Sandbox),
            "web" => Ok(Part::Web),
            "gpu" => Ok(Part::Gpu),
            other => bail!("`{other}` is not a part of the bench: there are peers, quantize, sandbox, web and gpu"),
        }
    }

    fn marker(self) -> &'static str {
        match self {
            Part::Peers => "bench",
            Part::Quantize => "bench-quantize",
            Part::Sandbox => "bench-sandbox",
            Part::Web => "bench-web",
            Part::Gpu => "bench-gpu",
        }
    }

    fn results_file(self) -> &'static str {
        match self {
            Part::Peers => "peers.json",
            Part::Quantize => "quantize.json",
            Part::Sandbox => "sandbox.json",
            Part::Web => "web.json",
            Part::Gpu => "gpu.json",
        }
    }

    /// Where its tables are.
    fn document(self) -> &'static str {
        match self {
            Part::Quantize => "docs/quantization.md",
            Part::Peers | Part::Sandbox | Part::Web => "README.md",
            Part::Gpu => "docs/engines.md",
        }
    }

    /// Whether so many rounds take the measuring programs of `benches/src/bin`, which are slow to build.
    fn takes_programs(self, rounds: u32) -> bool {
        match self {
            Part::Peers | Part::Sandbox => true,
            Part::Quantize => rounds > 0,
            Part::Web | Part::Gpu => false,
        }
    }

    /// How often the sides take turns if nobody says.
    fn rounds(self) -> u32 {
        if matches!(self, Part::Peers) { 5 } else { 3 }
    }

    fn results_path(self) -> PathBuf {
        root().join("benches/results").join(self.results_file())
    }

    fn write_results(self, results: &Value) -> Result<()> {
        let path = self.results_path();
        fs::write(&path, format!("{results:#}\n")).with_context(|| path.display().to_string())
    }

    /// The last results that were kept.
    fn read_results(self) -> Result<Value> {
        let path = self.results_path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// What is to be measured.
pub struct Wanted {
    /// One part, or all of them.
    pub part: Option<Part>,
    /// How often the sides take turns, if not as often as they do by default.
    pub rounds: Option<u32>,
    /// One model, of [`Part::Quantize`], or all of them.
    pub model: Option<String>,
    /// Nothing is measured: the tables are rewritten.
    pub table_only: bool,
}

/// Measures, and rewrites the tables.
pub fn run(wanted: &Wanted) -> Result<()> {
    // A machine's GPU is measured when somebody asks for it.
    let all = || Part::ALL.into_iter().filter(|part| !matches!(part, Part::Gpu)).collect();
    let parts: Vec<Part> = wanted.part.map_or_else(all, |part| vec![part]);
    let models = chosen(wanted)?;
    if !wanted.table_only {
        let rounds = |part: &Part| wanted.rounds.unwrap_or(part.rounds());
        let bench = Bench::set_up(parts.iter().any(|part| part.takes_programs(rounds(part))), &models)?;
        for part in &parts {
            match part {
                Part::Peers => part.write_results(&peers(&bench, rounds(part))?)?,
                Part::Quantize => quantize(&bench, rounds(part), &models)?,
                Part::Sandbox => part.write_results(&sandbox(&bench, rounds(part))?)?,
                Part::Web => part.write_results(&web(&bench, rounds(part))?)?,
                Part::Gpu => part.write_results(&gpu(&bench, rounds(part))?)?,
            }
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

fn gpu(bench: &Bench, rounds: u32) -> Result<Value> {
    described(bench, rounds, measure::gpu::models(bench, rounds)?)
}

fn peers(bench: &Bench, rounds: u32) -> Result<Value> {
    described(bench, rounds, measure::peers::models(bench, rounds)?)
}

/// Models that were measured, and on what.
fn described(bench: &Bench, rounds: u32, models: Vec<Value>) -> Result<Value> {
    Ok(json!({
        "machine": machine::describe()?,
        "versions": machine::versions(bench)?,
        "rounds": rounds,
        "models": models,
    }))
}

/// Model by model: what was measured is kept if the rest fails or is stopped.
fn quantize(bench: &Bench, rounds: u32, models: &[&str]) -> Result<()> {
    let part = Part::Quantize;
    let before = part.read_results().unwrap_or_default();
    let known = |model: &str| before["models"].as_array()?.iter().find(|known| known["name"] == model).cloned();
    let mut found: Vec<Option<Value>> = MODELS.iter().map(|model| known(model)).collect();
    for (index, model) in MODELS.into_iter().enumerate().filter(|(_, model)| models.contains(model)) {
        found[index] = Some(measure::quantize::model(bench, model, rounds).with_context(|| model.to_owned())?);
        part.write_results(&json!({
            "machine": machine::describe()?,
            "versions": machine::versions(bench)?,
            "models": found.iter().flatten().collect::<Vec<_>>(),
        }))?;
    }
    Ok(())
}

/// The models that are wanted.
fn chosen(wanted: &Wanted) -> Result<Vec<&'static str>> {
    match (&wanted.model, wanted.part) {
        // It builds bundles of its own.
        (None, Some(Part::Gpu)) => Ok(Vec::new()),
        (None, _) => Ok(MODELS.to_vec()),
        (Some(name), Some(Part::Quantize)) => match MODELS.into_iter().find(|model| model == name) {
            Some(model) => Ok(vec![model]),
            None => bail!("`{name}` is not a model of the bench: there are {}", MODELS.join(", ")),
        },
        (Some(_), _) => bail!("`--model` wants `--only quantize`: the other tables are about all models"),
    }
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
