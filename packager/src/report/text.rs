//! The report on one screen.

use super::*;
use crate::printer::{BAD, BOLD, CAUTION, DIM, GOOD, paint};
use crate::table::{Cell, Table, heading};
use crate::units;

/// Operators and missing operators that are listed before the rest is counted.
const LISTED: usize = 8;

/// The report as text.
pub fn screen(report: &Inspection) -> String {
    let model = &report.model;
    let title = paint(BOLD, format!("{} {}", model.name, model.version));
    let mut text = format!("{title}  {}, {}\n", report.bundle, units::bytes(report.size_bytes));
    if !model.description.is_empty() {
        text.push_str(&format!("{}\n", model.description));
    }
    text.push_str(&about(model));
    text.push_str(&format!("\n{}{}", heading("Inputs"), ports(&report.inputs)));
    text.push_str(&format!("\n{}{}", heading("Outputs"), ports(&report.outputs)));
    text.push_str(&format!("\n{}{}", heading("Sections"), sections(&report.sections)));
    text.push_str(&format!("\n{}{}", heading("Weights"), weights(&report.weights)));
    if let Some(quantization) = &report.quantization {
        let mut fields = Table::of_fields();
        quantization.fields(&mut fields);
        text.push_str(&format!("\n{}{}", heading("Quantization"), fields.render()));
    }
    text.push_str(&format!("\n{}{}", heading("Running it"), running(report)));
    text.push_str(&format!("\n{}{}", heading("Signatures"), signatures(&report.trust)));
    text
}

pub(crate) fn about(model: &Model) -> String {
    let mut fields = Table::of_fields();
    if !model.licence.is_empty() {
        fields.field("licence", &model.licence);
    }
    fields.field("made by", &model.created_by);
    let options: Vec<String> =
        model.source.options.iter().map(|option| format!("{} {}", option.option, option.value)).collect();
    let options = if options.is_empty() { String::new() } else { format!(", {}", options.join(", ")) };
    let digest = model.source.sha256.get(..16).unwrap_or_default();
    fields.field(
        "made from",
        format!("{} opset {}, SHA-256 {digest}...{options}", model.source.format, model.source.opset),
    );
    fields.field("bundle id", &model.bundle_id);
    fields.render()
}

pub(crate) fn ports(ports: &[Port]) -> String {
    let mut table = Table::of_fields();
    for port in ports {
        let shape: Vec<String> = port.shape.iter().map(Dim::to_string).collect();
        let about = if port.description.is_empty() { &port.meaning } else { &port.description };
        let kind = if port.kind == "tensor" { "" } else { port.kind };
        table.row([&port.name, port.dtype, &format!("[{}]", shape.join(", ")), kind, about.as_str()]);
    }
    table.render()
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Dim::Size(size) => write!(f, "{size}"),
            Dim::Symbol(name) if name.is_empty() => f.write_str("?"),
            Dim::Symbol(name) => f.write_str(name),
        }
    }
}

fn sections(sections: &[Section]) -> String {
    let mut table = Table::new(&["", ">stored", ">content", ">ratio", ">chunks"]);
    let row = |name: &str, stored: u64, content: u64, chunks: usize| {
        [
            name.to_owned(),
            units::bytes(stored),
            units::bytes(content),
            units::percent(stored, content),
            chunks.to_string(),
        ]
    };
    for section in sections {
        table.row(row(&section.name, section.stored_bytes, section.content_bytes, section.chunks));
    }
    if sections.len() > 1 {
        let sum = |of: fn(&Section) -> u64| sections.iter().map(of).sum();
        let chunks = sections.iter().map(|section| section.chunks).sum();
        let total = row("all", sum(|section| section.stored_bytes), sum(|section| section.content_bytes), chunks);
        table.row(total.map(|text| Cell::styled(text, BOLD)));
    }
    table.render()
}

fn weights(weights: &Weights) -> String {
    if weights.tensors == 0 {
        return "  none\n".to_owned();
    }
    let mut table = Table::new(&["", ">tensors", ">parameters", ">size"]);
    for group in &weights.by_dtype {
        let name = match group.encoding {
            "raw" => group.dtype.to_owned(),
            encoding => format!("{} as {encoding}", group.dtype),
        };
        table.row([
            name,
            units::count(group.tensors as u64),
            units::count(group.parameters),
            units::bytes(group.size_bytes),
        ]);
    }
    table.render()
}

fn running(report: &Inspection) -> String {
    let mut fields = Table::of_fields();
    fields.field("memory", memory(&report.memory));
    for engine in &report.engines {
        fields.field(if engine == &report.engines[0] { "engines" } else { "" }, engine_line(engine));
    }
    fields.field("graph", graph_line(&report.graph, report.model.opset));
    fields.field("golden", golden_line(report.golden.as_ref(), report.trust.verdict));
    if report.model.quantized_weights > 0 {
        fields.field("quantized", units::plural(report.model.quantized_weights as u64, "weight"));
    }
    if !report.model.target_hints.is_empty() {
        fields.field("tested on", report.model.target_hints.join(", "));
    }
    fields.render()
}

pub(crate) fn memory(memory: &Memory) -> String {
    let peak = memory.peak_bytes.map_or("peak not stated".to_owned(), |peak| format!("at most {}", units::bytes(peak)));
    let deadline = memory.deadline_ms.map_or(String::new(), |ms| format!(", {ms} ms a run"));
    format!("{peak}, weights {}{deadline}", units::bytes(memory.weight_bytes))
}

fn engine_line(engine: &EngineAnswer) -> String {
    if engine.supported {
        return format!("{}: {}", engine.engine, paint(GOOD, "runs it"));
    }
    let mut line = format!(
        "{}: {} {}",
        engine.engine,
        paint(BAD, "lacks"),
        units::plural(engine.missing.len() as u64, "operator")
    );
    for missing in engine.missing.iter().take(LISTED) {
        line.push_str(&format!("\n  {} ({}) at node `{}`", missing.op, missing.reason, missing.node));
    }
    if engine.missing.len() > LISTED {
        line.push_str(&format!("\n  and {} more", engine.missing.len() - LISTED));
    }
    line
}

fn graph_line(graph: &GraphSummary, opset: u32) -> String {
    let mut operators: Vec<String> =
        graph.operators.iter().take(LISTED).map(|operator| format!("{} {}", operator.op, operator.count)).collect();
    if graph.operators.len() > LISTED {
        operators.push(units::plural((graph.operators.len() - LISTED) as u64, "other operator"));
    }
    format!("{}, opset {opset}: {}", units::plural(graph.nodes as u64, "node"), operators.join(", "))
}

fn golden_line(golden: Option<&GoldenSummary>, verdict: TrustVerdict) -> String {
    let Some(golden) = golden else { return "no cases".to_owned() };
    let cases = units::plural(golden.cases.len() as u64, "case");
    let tolerance = format!("within {}", golden.tolerance());
    match (&golden.result, verdict) {
        (Some(result), _) if result.passed => format!(
            "{cases} {} on {}: largest difference {}, {tolerance}",
            paint(GOOD, "passed"),
            result.engine.unwrap_or_default(),
            units::small(result.largest_difference)
        ),
        (Some(result), _) => {
            format!("{cases}, {}: {}", paint(BAD, "failed"), result.error.as_deref().unwrap_or_default())
        }
        (None, TrustVerdict::NotAsked) => format!("{cases}, {tolerance}; not run: nothing says whom to trust"),
        (None, _) => format!("{cases}, {tolerance}; not run: not trusted"),
    }
}

pub(crate) fn signatures(trust: &TrustSummary) -> String {
    let mut fields = Table::of_fields();
    let why = trust.error.as_deref().unwrap_or_default();
    fields.field(
        "verdict",
        match trust.verdict {
            TrustVerdict::Trusted => paint(GOOD, "trusted"),
            TrustVerdict::Untrusted => format!("{}: {why}", paint(BAD, "NOT TRUSTED")),
            TrustVerdict::Allowed => format!("{}: --allow-unsigned accepts anything", paint(CAUTION, "NOT CHECKED")),
            TrustVerdict::NotAsked => {
                let hint = paint(DIM, "--key FILE.pub or --policy FILE checks who signed");
                format!("{}: {hint}", paint(CAUTION, "NOT CHECKED"))
            }
        },
    );
    fields.field("signed by", crate::commands::signatures::lines(&trust.signers));
    fields.render()
}
