//! Reading a bundle for the report. Nothing of it runs here unless the caller trusts somebody.

use super::*;
use crate::commands::signatures;
use crate::error::Error;
use crate::{Context, input, interrupt, program, units};
use pannier::{Options, Session};
use pannier_bundle::manifest::{self, Manifest, Reproducibility};
use pannier_bundle::trust::{self, Trust, Verdict};
use pannier_bundle::{Source as _, Verified, decode_versioned};
use pannier_engine::Engine;
use pannier_engine::golden::Golden;
use pannier_graph::{Encoding, Graph, Span};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What [`gather`] found.
pub struct Gathered<S> {
    /// The report.
    pub inspection: Inspection,
    /// The bundle, trusted as far as `trust_error` lets it.
    pub bundle: Verified<S>,
    /// Its graph.
    pub graph: Graph,
    /// Why the caller should not trust it.
    pub trust_error: Option<Error>,
}

/// Reads everything but the weights of the bundle that was opened from `path`. With somebody to trust, and if they vouch for it, also runs the golden cases.
///
/// # Errors
/// [`Error::Read`], [`Error::Bundle`], [`Error::Graph`]: it cannot be read. That it is not trusted is no error here.
pub fn gather(
    source: input::BundleSource,
    path: &Path,
    trust: Option<&Trust>,
    context: &Context,
) -> Result<Gathered<input::BundleSource>, Error> {
    let bundle = input::open_source(source.clone(), path)?;
    let judged = trust.map(|trust| {
        trust::verify(bundle.header_bytes(), bundle.header(), bundle.signatures(), trust, input::now_unix_s())
    });
    let bundle = input::verify(bundle, &Trust::AllowUnsigned, path)?;
    // The version counts as well, and is known only now.
    let judged = judged.map(|verdict| {
        verdict.and_then(|verdict| {
            trust.map_or(Ok(()), |trust| trust::check_version(trust, bundle.manifest()))?;
            Ok(verdict)
        })
    });
    let in_file = |error: Error| error.in_file(path);
    let graph = program::graph(&bundle).map_err(in_file)?;
    let manifest = bundle.manifest();
    let labels = label_counts(&bundle).map_err(in_file)?;
    let (error, signers) = match &judged {
        Some(Ok(verdict)) => (None, verdict),
        Some(Err(error)) => (Some(error.to_string()), bundle.verdict()),
        None => (None, bundle.verdict()),
    };
    let trusted = TrustSummary::of(trust, error, signers);
    let mut golden = golden(&bundle).map_err(in_file)?;
    if let (Some(golden), Some(trust), TrustVerdict::Trusted | TrustVerdict::Allowed) =
        (&mut golden, trust, trusted.verdict)
    {
        golden.result = Some(run_golden(source.clone(), trust, context)?);
    }
    let inspection = Inspection {
        schema: "pannier.dev/inspect/v1",
        bundle: path.display().to_string(),
        format: "pannier",
        size_bytes: source.size_bytes(),
        model: model(manifest),
        inputs: ports(&manifest.inputs, &labels),
        outputs: ports(&manifest.outputs, &labels),
        sections: sections(&bundle),
        weights: weights(&graph),
        graph: operators(&graph),
        memory: memory(manifest),
        engines: Options::default().engines.iter().map(|engine| preflight(&**engine, &graph)).collect(),
        quantization: quantization::read(&bundle).map_err(in_file)?,
        golden,
        trust: trusted,
    };
    let trust_error =
        judged.and_then(Result::err).map(|error| in_file(Error::from(pannier_bundle::Error::Trust(error))));
    Ok(Gathered { inspection, bundle, graph, trust_error })
}

impl TrustSummary {
    /// What came out of judging the signatures by whom the caller trusts, if anybody: an error, or nothing to object to.
    pub(crate) fn of(trust: Option<&Trust>, error: Option<String>, verdict: &Verdict) -> TrustSummary {
        TrustSummary {
            verdict: match (trust, &error) {
                (None, _) => TrustVerdict::NotAsked,
                (Some(_), Some(_)) => TrustVerdict::Untrusted,
                (Some(Trust::AllowUnsigned), None) => TrustVerdict::Allowed,
                (Some(_), None) => TrustVerdict::Trusted,
            },
            error,
            signers: signatures::entries(verdict),
        }
    }
}

pub(crate) fn ports(ports: &[manifest::Port], label_counts: &[usize]) -> Vec<Port> {
    let port = |port: &manifest::Port| Port {
        name: port.name.clone(),
        dtype: port.dtype.name(),
        shape: port.shape.iter().map(dim).collect(),
        kind: meaning::kind(&port.content),
        meaning: meaning::words(&port.content, label_counts),
        description: port.description.clone(),
    };
    ports.iter().map(port).collect()
}

pub(crate) fn memory(manifest: &Manifest) -> Memory {
    Memory {
        peak_bytes: Some(manifest.envelope.peak_memory_bytes).filter(|bytes| *bytes > 0),
        weight_bytes: manifest.envelope.weight_bytes,
        deadline_ms: Some(manifest.envelope.deadline_ms).filter(|ms| *ms > 0),
    }
}

pub(crate) fn model(manifest: &Manifest) -> Model {
    Model {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        description: manifest.description.clone(),
        licence: manifest.licence.clone(),
        created_by: manifest.created_by.clone(),
        bundle_id: units::hex(&manifest.bundle_id),
        opset: manifest.opset,
        reproducibility: match manifest.reproducibility {
            Reproducibility::BitExact => "bit-exact",
            Reproducibility::Tolerance => "tolerance",
        },
        target_hints: manifest.target_hints.clone(),
        quantized_weights: manifest.quantization.len(),
        source: Source {
            format: manifest.source.format.clone(),
            sha256: units::hex(&manifest.source.sha256),
            opset: manifest.source.opset,
            options: manifest
                .source
                .options
                .iter()
                .map(|(option, value)| BuildOption { option: option.clone(), value: value.clone() })
                .collect(),
        },
    }
}

fn dim(dim: &manifest::Dim) -> Dim {
    match dim {
        manifest::Dim::Fixed(size) => Dim::Size(*size),
        manifest::Dim::Symbol(name) => Dim::Symbol(name.clone()),
    }
}

fn label_counts<S: pannier_bundle::Source>(bundle: &Verified<S>) -> Result<Vec<usize>, Error> {
    if bundle.section("labels").is_none() {
        return Ok(Vec::new());
    }
    let lists: Vec<Vec<String>> = decode_versioned(&bundle.read("labels")?, 1)
        .map_err(|why| pannier_bundle::Error::Decode { what: "the labels".into(), why })?;
    Ok(lists.iter().map(Vec::len).collect())
}

fn golden<S: pannier_bundle::Source>(bundle: &Verified<S>) -> Result<Option<GoldenSummary>, Error> {
    if bundle.section("golden").is_none() {
        return Ok(None);
    }
    let golden = Golden::decode(&bundle.read("golden")?)?;
    Ok(Some(GoldenSummary {
        cases: golden.cases.into_iter().map(|case| case.name).collect(),
        absolute: golden.tolerance.absolute,
        relative: golden.tolerance.relative,
        norm: golden.tolerance.norm,
        result: None,
    }))
}

/// Loads a session, which runs the golden cases.
fn run_golden(source: input::BundleSource, trust: &Trust, context: &Context) -> Result<GoldenResult, Error> {
    let _progress = context.printer.progress("golden cases", crate::printer::Total::Unknown);
    let options =
        Options { now_unix_s: input::now_unix_s(), watch: Some(Arc::new(interrupt::OnCtrlC)), ..Options::default() };
    match Session::from_source(source, trust, &options) {
        Ok(session) => {
            let report = session.report();
            let test = report.self_test.unwrap_or_default();
            Ok(GoldenResult {
                passed: true,
                engine: Some(report.engine),
                elements: test.elements,
                largest_difference: test.largest_difference,
                error: None,
            })
        }
        Err(error) => {
            interrupt::check()?;
            Ok(GoldenResult::failed(&error.to_string()))
        }
    }
}

impl GoldenResult {
    fn failed(why: &str) -> GoldenResult {
        GoldenResult { passed: false, engine: None, elements: 0, largest_difference: 0.0, error: Some(why.to_owned()) }
    }
}

fn sections<S: pannier_bundle::Source>(bundle: &Verified<S>) -> Vec<Section> {
    let section = |section: &pannier_bundle::Section| Section {
        name: section.name.clone(),
        stored_bytes: section.stored_bytes,
        content_bytes: section.content_bytes,
        chunks: section.chunks.len(),
        sha256: units::hex(&section.sha256),
    };
    bundle.header().sections.iter().map(section).collect()
}

fn encoding(encoding: &Encoding) -> &'static str {
    match encoding {
        Encoding::Raw => "raw",
        Encoding::F16 => "f16",
        Encoding::Int8 { .. } => "int8",
        Encoding::Int4 { .. } => "int4",
    }
}

fn weights(graph: &Graph) -> Weights {
    let all = program::all_weights(graph);
    let mut groups: Vec<WeightGroup> = Vec::new();
    for weight in &all {
        let (dtype, encoding) = (weight.dtype.name(), encoding(&weight.encoding));
        let at = groups.iter().position(|group| group.dtype == dtype && group.encoding == encoding);
        let at = at.unwrap_or_else(|| {
            groups.push(WeightGroup { dtype, encoding, tensors: 0, parameters: 0, size_bytes: 0 });
            groups.len() - 1
        });
        groups[at].tensors += 1;
        groups[at].parameters += weight.len().unwrap_or(0);
        groups[at].size_bytes += weight.spans().map(|span| span.size_bytes).sum::<u64>();
    }
    groups.sort_by_key(|group| (std::cmp::Reverse(group.size_bytes), group.dtype, group.encoding));
    Weights {
        tensors: all.len(),
        parameters: groups.iter().map(|group| group.parameters).sum(),
        size_bytes: groups.iter().map(|group| group.size_bytes).sum(),
        by_dtype: groups,
    }
}

fn operators(graph: &Graph) -> GraphSummary {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut nodes = 0;
    let counted: Result<(), std::convert::Infallible> = graph.body.try_visit(&mut |body| {
        for node in &body.nodes {
            let dot = if node.domain.is_empty() { "" } else { "." };
            *counts.entry(format!("{}{dot}{}", node.domain, node.op)).or_default() += 1;
            nodes += 1;
        }
        Ok(())
    });
    let Ok(()) = counted;
    let mut operators: Vec<Operator> = counts.into_iter().map(|(op, count)| Operator { op, count }).collect();
    operators.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.op.cmp(&b.op)));
    GraphSummary { nodes, operators }
}

fn preflight(engine: &dyn Engine, graph: &Graph) -> EngineAnswer {
    let missing = engine.supports(graph).err().unwrap_or_default();
    EngineAnswer {
        engine: engine.name(),
        supported: missing.is_empty(),
        missing: missing
            .into_iter()
            .map(|missing| Missing { op: missing.op, node: missing.node, reason: missing.reason })
            .collect(),
    }
}

/// Every tensor with its share of the file, largest share first.
pub fn tensors<S: pannier_bundle::Source>(bundle: &Verified<S>, graph: &Graph) -> Vec<Tensor> {
    let mut tensors: Vec<Tensor> = program::all_weights(graph)
        .into_iter()
        .map(|weight| Tensor {
            name: graph.value_name(weight.value).to_owned(),
            dtype: weight.dtype.name(),
            shape: weight.shape.clone(),
            encoding: encoding(&weight.encoding),
            size_bytes: weight.spans().map(|span| span.size_bytes).sum(),
            stored_bytes: weight.spans().map(|span| stored_bytes(bundle, span)).sum(),
        })
        .collect();
    tensors.sort_by(|a, b| b.stored_bytes.cmp(&a.stored_bytes).then_with(|| a.name.cmp(&b.name)));
    tensors
}

/// The stored bytes of the chunks that a span lies in, each divided by the content it shares with others.
fn stored_bytes<S: pannier_bundle::Source>(bundle: &Verified<S>, span: &Span) -> u64 {
    let Some(section) = bundle.section(&format!("weights/{}", span.section)) else { return 0 };
    let end = span.offset.saturating_add(span.size_bytes);
    let mut chunk_start = 0;
    let mut stored = 0.0;
    for chunk in &section.chunks {
        let chunk_end = chunk_start + u64::from(chunk.content_bytes);
        let shared = end.min(chunk_end).saturating_sub(span.offset.max(chunk_start));
        stored += chunk.stored_bytes() as f64 * shared as f64 / f64::from(chunk.content_bytes.max(1));
        chunk_start = chunk_end;
    }
    stored.round() as u64
}
