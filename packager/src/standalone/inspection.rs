//! What is in a self-contained file, for the screen and for JSON.

use super::{Part, Runtime, Standalone, StandaloneError, Why, javascript, parts};
use crate::error::Error;
use crate::printer::{BOLD, paint};
use crate::report::{Memory, Model, Port, TrustSummary, gather, text};
use crate::table::{Table, heading};
use crate::{input, units};
use pannier_bundle::Trust;
use pannier_wasm_module::{Kind, exports};
use serde::Serialize;
use std::path::Path;

/// `pannier.dev/inspect/v1`, of a self-contained file
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Name of the document's schema.
    pub schema: &'static str,
    /// The file.
    pub bundle: String,
    /// `wasm` or `component`.
    pub format: &'static str,
    /// Its size.
    pub size_bytes: u64,
    /// What its bytes are for.
    pub parts: Vec<Part>,
    /// What the manifest says of the model.
    pub model: Model,
    /// Inputs, in order.
    pub inputs: Vec<Port>,
    /// Outputs, in order.
    pub outputs: Vec<Port>,
    /// What a run may use.
    pub memory: Memory,
    /// What runs the model.
    pub runtime: Runtime,
    /// What a host can call.
    pub exports: Vec<Export>,
    /// Who signed, and what that is worth to the caller.
    pub trust: TrustSummary,
    /// A JavaScript module that runs a module; `null` for a component, which JavaScript engines do not run.
    pub javascript: Option<String>,
}

/// Something that a host can call or read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// `function`, `memory` or `interface`.
    pub kind: &'static str,
}

/// Reads a self-contained file for the report, and says why the caller should not trust it. Nothing of it runs.
///
/// # Errors
/// [`Error::Standalone`], [`Error::Bundle`]: it cannot be read. That it is not trusted is no error here.
pub fn inspect(file: &[u8], path: &Path, trust: Option<&Trust>) -> Result<(Inspection, Option<Error>), Error> {
    let broken = |error| Error::from(StandaloneError::from(Why::Sections(error)));
    let standalone = Standalone::read(file)?;
    let manifest = standalone.manifest();
    let label_counts: Vec<usize> = standalone.labels().iter().map(Vec::len).collect();
    let now_unix_s = input::now_unix_s();
    let judged = trust.map(|trust| standalone.verify(trust, now_unix_s));
    let (error, verdict) = match judged {
        Some(Err(error)) => (Some(error), standalone.verify(&Trust::AllowUnsigned, None)?),
        Some(Ok(verdict)) => (None, verdict),
        None => (None, standalone.verify(&Trust::AllowUnsigned, None)?),
    };
    let exports = exports(file).map_err(broken)?;
    let inspection = Inspection {
        schema: "pannier.dev/inspect/v1",
        bundle: path.display().to_string(),
        format: standalone.format(),
        size_bytes: file.len() as u64,
        parts: parts(file).map_err(broken)?,
        model: gather::model(manifest),
        inputs: gather::ports(&manifest.inputs, &label_counts),
        outputs: gather::ports(&manifest.outputs, &label_counts),
        memory: gather::memory(manifest),
        runtime: standalone.runtime().clone(),
        exports: exports.into_iter().map(|export| Export { name: export.name, kind: export.kind }).collect(),
        trust: TrustSummary::of(trust, error.as_ref().map(ToString::to_string), &verdict),
        javascript: match standalone.kind() {
            Kind::Module => Some(javascript(manifest, &file_name(path))),
            Kind::Component => None,
        },
    };
    Ok((inspection, error))
}

/// The report as text. The JavaScript comes last and starts at the margin, so that it can be copied.
pub fn screen(report: &Inspection) -> String {
    let title = paint(BOLD, format!("{} {}", report.model.name, report.model.version));
    let mut screen = format!("{title}  {}, {}\n", report.bundle, units::bytes(report.size_bytes));
    if !report.model.description.is_empty() {
        screen.push_str(&format!("{}\n", report.model.description));
    }
    screen.push_str(&text::about(&report.model));
    screen.push_str(&format!("\n{}{}", heading("Inputs"), text::ports(&report.inputs)));
    screen.push_str(&format!("\n{}{}", heading("Outputs"), text::ports(&report.outputs)));
    screen.push_str(&format!("\n{}{}", heading("Contents"), contents(&report.parts)));
    screen.push_str(&format!("\n{}{}", heading("Running it"), running(report)));
    screen.push_str(&format!("\n{}{}", heading("Signatures"), text::signatures(&report.trust)));
    if let Some(javascript) = &report.javascript {
        screen.push_str(&format!(
            "\n{}{javascript}",
            heading("In Node, and in a page: a JavaScript module beside the file")
        ));
    }
    screen
}

fn contents(parts: &[Part]) -> String {
    let mut table = Table::new(&["", ">size"]);
    for part in parts {
        table.row([part.name.to_owned(), units::bytes(part.size_bytes)]);
    }
    table.render()
}

fn running(report: &Inspection) -> String {
    let mut fields = Table::of_fields();
    let what = if report.format == "component" { "component" } else { "core module" };
    fields.field("form", format!("{what} without imports, {} instructions", report.runtime.flavour));
    fields.field("engine", &report.runtime.engine);
    fields.field("memory", text::memory(&report.memory));
    fields.field("exports", exports_text(&report.exports));
    fields.render()
}

/// The functions of the plain ABI are many, and all modules have the same.
fn exports_text(exports: &[Export]) -> String {
    let (functions, others): (Vec<&Export>, Vec<&Export>) =
        exports.iter().partition(|export| export.kind == "function");
    let mut lines: Vec<String> = others.iter().map(|export| format!("{} {}", export.kind, export.name)).collect();
    if !functions.is_empty() {
        lines.push(format!("{} of the plain ABI", units::plural(functions.len() as u64, "function")));
    }
    lines.join("\n")
}

fn file_name(path: &Path) -> String {
    match path.file_name() {
        Some(name) if path.as_os_str() != "-" => name.to_string_lossy().into_owned(),
        _ => "model.wasm".to_owned(),
    }
}
