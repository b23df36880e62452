//! From an ONNX file to a bundle: import, describe, measure, choose golden cases, seal, sign.
//!
//! The same model, settings and data give the same bytes, signature included (RFC 6979). What varies with the machine,
//! such as times and last digits, is in the report and never in the bundle.

mod baseline;
mod card;
mod cases;
mod engines;
mod error;
mod golden;
mod ports;
mod quantization;
mod rebuild;
mod report;
mod sections;

pub(crate) use cases::{RunLimits, Runner};
pub use error::BuildError;
pub use rebuild::{Given, Rebuilt, rebuild};
pub use report::{
    BuildReport, EnvelopeReport, GoldenOrigin, GoldenReport, PortReport, QuantizationReport, SectionReport,
    SourceReport,
};
pub use sections::LABELS_VERSION;

use crate::args::{BuildFormat, NamedConstant, NamedShape};
use crate::config::Target;
use crate::content::{Case, CaseFile, Interface};
use crate::error::Error;
use crate::import::{self, ImportOptions, Imported};
use crate::interrupt;
use crate::measure::{self, Accuracy};
use crate::quantize::{Record, Stage};
use crate::sign::PrivateKey;
use crate::standalone::{self, Part, StandaloneError};
use crate::{input, units};
use cases::{Candidate, made_up, references};
use engines::Engines;
use pannier_bundle::manifest::{Dim, Envelope, Manifest, Reproducibility, Source};
use pannier_bundle::write::Sealed;
use pannier_bundle::{Source as Bytes, Verified, decode_versioned};
use pannier_engine::golden::Tolerance;
use pannier_engine::{EngineError, Prepared, Program, Tensor};
use pannier_engine_tract::TractEngine;
use pannier_graph::{Attribute, Body};
use pannier_wasm_module::Kind;
use ports::Ports;
use sections::Extras;
use std::path::Path;
use std::time::{Duration, Instant};

/// A finished bundle or self-contained file, not yet written.
#[derive(Debug, Clone)]
pub struct Built {
    /// The file.
    pub bundle: Vec<u8>,
    /// What was done.
    pub report: BuildReport,
}

/// A step of a build that may take a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading and normalising the model.
    Import,
    /// Quantizing; counted in what each stage does.
    Quantize(Stage),
    /// Running cases; counted in cases.
    Evaluate,
    /// Compressing; counted in bytes.
    Seal,
    /// Loading the bundle in the sandbox and putting both into one file.
    Contain,
}

/// Builds one bundle.
///
/// `progress` is told the step, how much of it is done and how much there is (0: not known).
///
/// # Errors
/// Those of every step: [`Error::Import`], [`Error::Build`], [`Error::Engine`] (`E_UNSUPPORTED_OPERATOR` if no engine
/// runs the model), [`Error::Interrupted`].
pub fn build(
    target: &Target,
    signer: Option<&PrivateKey>,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Built, Error> {
    progress(Step::Import, 0, 0);
    let imported = import_model(&target.source, &target.shapes, &target.constants)?;
    let ports = ports::describe(imported.inputs, imported.outputs, &target.inputs, &target.outputs)?;
    let Imported { program, source, notes, .. } = imported;
    finish(Material { program, source, notes, ports, card: None }, target, signer, progress)
}

/// Builds a bundle of the model in another one, whose inputs, outputs and card it keeps.
///
/// # Errors
/// Those of reading the bundle; otherwise those of [`build`].
pub fn build_again<S: Bytes>(
    bundle: &Verified<S>,
    target: &Target,
    signer: Option<&PrivateKey>,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Built, Error> {
    progress(Step::Import, 0, 0);
    let manifest = bundle.manifest();
    let labels = match bundle.section("labels") {
        Some(_) => decode_versioned(&bundle.read("labels")?, LABELS_VERSION)
            .map_err(|why| pannier_bundle::Error::Decode { what: "labels".into(), why })?,
        None => Vec::new(),
    };
    let card = match bundle.section("card") {
        Some(_) => Some(String::from_utf8_lossy(&bundle.read("card")?).into_owned()),
        None => None,
    };
    let material = Material {
        program: crate::program::load(bundle, |_| ())?,
        source: manifest.source.clone(),
        notes: Vec::new(),
        ports: Ports { inputs: manifest.inputs.clone(), outputs: manifest.outputs.clone(), labels },
        card,
    };
    finish(material, target, signer, progress)
}

/// What a bundle is made of, wherever it came from.
struct Material {
    program: Program,
    source: Source,
    notes: Vec<String>,
    ports: Ports,
    /// A card that is kept.
    card: Option<String>,
}

fn finish(
    material: Material,
    target: &Target,
    signer: Option<&PrivateKey>,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Built, Error> {
    let started = Instant::now();
    let Material { mut program, source, notes, ports, card: kept_card } = material;
    let mut warnings = Vec::new();
    let mut record: Option<Record> = None;
    if let Some(settings) = &target.quantize {
        let made = quantization::quantize(&program, &source, &ports, settings, target, progress)?;
        (program, record) = (made.program, Some(made.record));
        warnings.extend(made.warnings);
    }
    let mut engines = Engines::prepare(&program)?;
    let tolerance = measure::tolerance(&program.graph);

    let mut measured =
        engines.with_first(|prepared| run_cases(target, &ports, &source, prepared, tolerance, progress))?;
    if record.is_some() {
        measured.forget_references();
    }
    if let Some(accuracy) = measured.accuracy.as_ref().filter(|_| record.is_none()) {
        gate(target, accuracy)?;
        if accuracy.compared == 0 {
            warnings.push("the evaluation has no reference answers: nothing was compared".to_owned());
        }
    }
    if measured.candidates.is_empty() {
        let (candidates, refusal) = made_up(&mut engines, &ports.inputs)?;
        measured.origin = GoldenOrigin::MadeUp;
        warnings.push(match (candidates.is_empty(), refusal) {
            (false, _) => {
                "the self-test uses made-up numbers: give real inputs with --evaluate or --calibrate".to_owned()
            }
            (true, None) => "the bundle has no self-test: give inputs with --evaluate or --calibrate".to_owned(),
            (true, Some(error)) => format!(
                "the bundle has no self-test, and may not run: give inputs with --evaluate or --calibrate. \
                 Made-up inputs failed: {error}"
            ),
        });
        measured.candidates = candidates;
    }
    let weight_bytes = crate::quantize::loaded_bytes(&program);
    let mut golden = golden::select(&measured.candidates, tolerance, weight_bytes, engines.first().memory().peak_bytes);
    if measured.origin == GoldenOrigin::MadeUp {
        let factor = engines.widen(&program, &mut golden, run_limits(target));
        warnings.extend(factor.map(|factor| {
            format!("on made-up numbers engines differ: the self-test forgives {factor} times as much as one with real inputs")
        }));
    }
    warnings.extend(engines.disagreements(&program, &golden, run_limits(target)));
    let origin = if golden.cases.is_empty() { GoldenOrigin::None } else { measured.origin };
    let golden_report = GoldenReport { cases: golden.cases.len(), origin };
    let envelope = Envelope {
        peak_memory_bytes: peak_memory(target, &ports, engines.needed_bytes(), !measured.candidates.is_empty())?,
        weight_bytes,
        deadline_ms: target.deadline_ms,
    };
    drop(engines);

    let mut manifest = Manifest {
        name: target.name.clone(),
        version: target.version.clone(),
        description: target.description.clone(),
        licence: target.licence.clone(),
        created_by: concat!("packager ", env!("CARGO_PKG_VERSION")).to_owned(),
        bundle_id: [0; 32],
        opset: pannier_graph::OPSET,
        inputs: ports.inputs,
        outputs: ports.outputs,
        envelope,
        reproducibility: Reproducibility::Tolerance,
        target_hints: target.target_hints.clone(),
        quantization: record.as_ref().map(quantization::manifest_entries).unwrap_or_default(),
        source,
    };
    let source_name = target.source.file_name().map_or("model".into(), |name| name.to_string_lossy());
    let extras = Extras {
        golden: if golden.cases.is_empty() { Vec::new() } else { golden.encode() },
        baseline: measured.baseline,
        labels: ports.labels,
        card: match (&target.card, kept_card) {
            (Some(path), _) => input::read_text(path)?,
            (None, Some(kept)) => kept,
            (None, None) => card::card(&manifest, &source_name, measured.accuracy.as_ref()),
        },
        bom: card::bill_of_materials(&manifest, &source_name, measured.accuracy.as_ref()),
        quantization: record.as_ref().map(Record::encode).unwrap_or_default(),
        attestation: match &record {
            Some(record) => quantization::attestation(&program, record)?,
            None => Vec::new(),
        },
    };
    let seal_progress = |done, total| progress(Step::Seal, done, total);
    let sealed = sections::assemble(&program, &mut manifest, &extras, seal_progress)?;
    let (bundle, sections) = match target.format {
        BuildFormat::Pannier => {
            let signature = signer.map(|key| key.sign_statement(&sealed.statement(&manifest.name)));
            (sealed.assemble(signature.as_slice())?, section_reports(&sealed))
        }
        BuildFormat::Wasm | BuildFormat::Component => {
            progress(Step::Contain, 0, 0);
            let kind = if target.format == BuildFormat::Wasm { Kind::Module } else { Kind::Component };
            // What is signed is the file that is written; the bundle is only on its way there.
            let file = standalone::contain(&sealed.assemble(&[])?, kind, signer)?;
            let sections = part_reports(&file)?;
            (file, sections)
        }
    };

    let report = BuildReport {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        format: target.format,
        output: None,
        bundle_id: units::hex(&manifest.bundle_id),
        source: SourceReport {
            path: target.source.clone(),
            size_bytes: std::fs::metadata(&target.source).map_or(0, |meta| meta.len()),
            sha256: units::hex(&manifest.source.sha256),
            opset: manifest.source.opset,
        },
        size_bytes: bundle.len() as u64,
        sections,
        inputs: manifest.inputs.iter().map(PortReport::from).collect(),
        outputs: manifest.outputs.iter().map(PortReport::from).collect(),
        nodes: nodes(&program.graph.body),
        notes,
        quantization: record.as_ref().map(QuantizationReport::from),
        golden: golden_report,
        accuracy: measured.accuracy,
        envelope: EnvelopeReport::from(&manifest),
        signed_by: signer.map(|key| key.public_key().fingerprint().to_string()),
        warnings,
        elapsed_ms: started.elapsed().as_secs_f64() * 1e3,
    };
    Ok(Built { bundle, report })
}

fn import_model(source: &Path, shapes: &[NamedShape], constants: &[NamedConstant]) -> Result<Imported, Error> {
    let options = ImportOptions {
        shapes: shapes.iter().map(|shape| (shape.name.clone(), shape.dims.clone())).collect(),
        constants: constants.iter().map(|constant| (constant.name.clone(), constant.value.clone())).collect(),
    };
    import::import(source, &options, &TractEngine::new()).map_err(|error| Error::from(error).in_file(source))
}

/// What running cases gave.
struct Measured {
    accuracy: Option<Accuracy>,
    candidates: Vec<Candidate>,
    origin: GoldenOrigin,
    /// Encoded; empty without calibration data.
    baseline: Vec<u8>,
}

impl Measured {
    /// The references are the original's answers, and what was lost beside them has been judged.
    fn forget_references(&mut self) {
        if let Some(accuracy) = &mut self.accuracy {
            *accuracy = Accuracy {
                cases: accuracy.cases,
                right: accuracy.right,
                latency_ms: accuracy.latency_ms,
                tolerance: accuracy.tolerance,
                ..Accuracy::default()
            };
        }
    }
}

/// Runs all cases of `--evaluate`, and those of `--calibrate` for the baseline and, without the former, for golden cases.
fn run_cases(
    target: &Target,
    ports: &Ports,
    source: &pannier_bundle::manifest::Source,
    prepared: &dyn Prepared,
    tolerance: Tolerance,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Measured, Error> {
    let interface = Interface { inputs: &ports.inputs, outputs: &ports.outputs, source };
    let open = |path: &Path| CaseFile::open(path, interface).map_err(|error| Error::from(error).in_file(path));
    let mut runner = Runner::new(prepared, run_limits(target), &ports.inputs, &ports.outputs);
    // The references are the original's answers: the self-test is to find engines that answer otherwise than this model.
    let is_quantized = target.quantize.is_some();
    let expected = |case: &Case, answers: Vec<Tensor>| match is_quantized {
        true => answers,
        false => references(case, &ports.outputs, answers),
    };
    let mut candidates: Vec<(usize, Candidate)> = Vec::new();
    if let Some(path) = &target.evaluate {
        let mut file = open(path)?;
        let total = file.len() as u64;
        let wanted = golden::candidates(file.len());
        let origin =
            if file.has_outputs(0) && !is_quantized { GoldenOrigin::Evaluation } else { GoldenOrigin::Calibration };
        let mut index = 0;
        let run = |case: &Case| -> Result<_, Error> {
            let (inputs, answers) = runner.run(case).map_err(beyond_limits)?;
            if let Some(rank) = wanted.iter().position(|wanted| *wanted == index) {
                let outputs = expected(case, answers.clone());
                let name = case_name(&case.name, index);
                candidates.push((rank, Candidate { name, inputs, outputs }));
            }
            index += 1;
            Ok(answers)
        };
        let report = |done: usize| {
            progress(Step::Evaluate, done as u64, total);
            interrupt::check()
        };
        let accuracy = measure::evaluate(&mut file, &ports.outputs, &ports.labels, tolerance, run, report);
        let accuracy = accuracy.map_err(|error| error.in_file(path))?;
        candidates.sort_by_key(|(rank, _)| *rank);
        let candidates = candidates.into_iter().map(|(_, candidate)| candidate).collect();
        let baseline = baseline(target, ports, source, prepared, progress)?;
        return Ok(Measured { accuracy: Some(accuracy), candidates, origin, baseline });
    }
    if let Some(path) = &target.calibrate {
        let mut file = open(path)?;
        let wanted = golden::candidates(file.len());
        for (rank, index) in wanted.iter().enumerate() {
            interrupt::check()?;
            let case = file.read(*index).map_err(|error| Error::from(error).in_file(path))?;
            let (inputs, answers) = runner.run(&case).map_err(|error| beyond_limits(error).in_file(path))?;
            let outputs = expected(&case, answers);
            let name = case_name(&case.name, *index);
            candidates.push((rank, Candidate { name, inputs, outputs }));
            progress(Step::Evaluate, rank as u64 + 1, wanted.len() as u64);
        }
    }
    let candidates = candidates.into_iter().map(|(_, candidate)| candidate).collect();
    let baseline = baseline(target, ports, source, prepared, progress)?;
    Ok(Measured { accuracy: None, candidates, origin: GoldenOrigin::Calibration, baseline })
}

/// What the cases of `--calibrate` look like, for telemetry.
fn baseline(
    target: &Target,
    ports: &Ports,
    source: &pannier_bundle::manifest::Source,
    prepared: &dyn Prepared,
    progress: &mut dyn FnMut(Step, u64, u64),
) -> Result<Vec<u8>, Error> {
    let Some(path) = &target.calibrate else { return Ok(Vec::new()) };
    let interface = Interface { inputs: &ports.inputs, outputs: &ports.outputs, source };
    let mut file = CaseFile::open(path, interface).map_err(|error| Error::from(error).in_file(path))?;
    let mut runner = Runner::new(prepared, run_limits(target), &ports.inputs, &ports.outputs);
    let progress = |done, total| progress(Step::Evaluate, done, total);
    baseline::measure(&mut file, &mut runner, (&ports.inputs, &ports.outputs), beyond_limits, progress)
        .map_err(|error| error.in_file(path))
}

fn case_name(name: &str, index: usize) -> String {
    if name.is_empty() { format!("{index:03}") } else { name.to_owned() }
}

/// What `packager.toml` states is kept while the bundle is built, too.
fn run_limits(target: &Target) -> RunLimits {
    RunLimits {
        memory_bytes: target.peak_memory_bytes.unwrap_or(RunLimits::GIVEN.memory_bytes),
        deadline: match target.deadline_ms {
            0 => RunLimits::GIVEN.deadline,
            stated => Duration::from_millis(u64::from(stated)),
        },
    }
}

/// Too much memory is a matter of what is stated.
fn beyond_limits(error: EngineError) -> Error {
    match error {
        EngineError::MemoryBudget { needed_bytes, budget_bytes, .. } => {
            BuildError::Envelope { needed_bytes, stated_bytes: budget_bytes }.into()
        }
        error => error.into(),
    }
}

/// No bundle is written of a model that answers otherwise than its reference.
fn gate(target: &Target, accuracy: &Accuracy) -> Result<(), BuildError> {
    if let Some(first) = accuracy.failures.first() {
        return Err(BuildError::Accuracy {
            failed: accuracy.failed_cases(),
            cases: accuracy.compared,
            case: first.case.clone(),
            output: first.output.clone(),
            reason: first.reason.clone(),
        });
    }
    let allowed = target.max_loss.map_or(0.0, |percent| percent.fraction);
    match accuracy.right {
        Some(right) if right.loss() > allowed => Err(BuildError::Loss {
            ours: right.ours_referenced,
            reference: right.reference,
            cases: right.referenced,
            allowed: format!("{} %", allowed * 100.0),
        }),
        _ => Ok(()),
    }
}

/// Room that is left above what was measured: another machine packs weights into other layouts.
const MARGIN_PERCENT: u64 = 25;
/// What the stated peak is rounded up to.
const PEAK_STEP_BYTES: u64 = 64 << 10;

/// What the envelope states: what `packager.toml` says, or else what was measured, where shapes cannot change it.
fn peak_memory(target: &Target, ports: &Ports, needed_bytes: u64, measured: bool) -> Result<u64, BuildError> {
    if let Some(stated_bytes) = target.peak_memory_bytes {
        return match stated_bytes >= needed_bytes {
            true => Ok(stated_bytes),
            false => Err(BuildError::Envelope { needed_bytes, stated_bytes }),
        };
    }
    let is_fixed = |dim: &Dim| matches!(dim, Dim::Fixed(_));
    if !measured || !ports.inputs.iter().all(|port| port.shape.iter().all(is_fixed)) {
        return Ok(0);
    }
    let margin = (needed_bytes / 100).saturating_mul(MARGIN_PERCENT);
    Ok(needed_bytes.saturating_add(margin).next_multiple_of(PEAK_STEP_BYTES))
}

fn section_reports(sealed: &Sealed) -> Vec<SectionReport> {
    let report = |section: &pannier_bundle::Section| SectionReport {
        name: section.name.clone(),
        stored_bytes: section.stored_bytes,
        content_bytes: section.content_bytes,
    };
    sealed.header().sections.iter().map(report).collect()
}

fn part_reports(file: &[u8]) -> Result<Vec<SectionReport>, StandaloneError> {
    let parts = standalone::parts(file).map_err(StandaloneError::Module)?;
    let report = |part: Part| SectionReport {
        name: part.name.to_owned(),
        stored_bytes: part.size_bytes,
        content_bytes: part.size_bytes,
    };
    Ok(parts.into_iter().map(report).collect())
}

fn nodes(body: &Body) -> usize {
    let inner = |attribute: &Attribute| match attribute {
        Attribute::Body(body) => nodes(body),
        _ => 0,
    };
    let nested: usize =
        body.nodes.iter().flat_map(|node| &node.attributes).map(|(_, attribute)| inner(attribute)).sum();
    body.nodes.len() + nested
}
