//! The model card (Markdown) and the bill of materials (CycloneDX), when nobody wrote a card.

use crate::measure::Accuracy;
use crate::units;
use pannier_bundle::manifest::{Content, Manifest, Port};
use serde_json::{Value, json};

/// A card that says what the manifest knows and what was measured. The same build gives the same text.
pub fn card(manifest: &Manifest, source_name: &str, accuracy: Option<&Accuracy>) -> String {
    let mut text = format!("# {} {}\n", manifest.name, manifest.version);
    let mut paragraph = |words: String| {
        if !words.is_empty() {
            text.push_str(&format!("\n{words}\n"));
        }
    };
    paragraph(manifest.description.clone());
    paragraph(match manifest.licence.as_str() {
        "" => String::new(),
        licence => format!("Licence: {licence}."),
    });
    paragraph(format!("## Inputs\n\n{}", table(&manifest.inputs)));
    paragraph(format!("## Outputs\n\n{}", table(&manifest.outputs)));
    let options: Vec<String> =
        manifest.source.options.iter().map(|(option, value)| format!(" `--{option} {value}`")).collect();
    paragraph(format!(
        "## Source\n\n`{source_name}`, ONNX opset {}, SHA-256 `{}`{}.",
        manifest.source.opset,
        units::hex(&manifest.source.sha256),
        if options.is_empty() { String::new() } else { format!(", built with{}", options.join("")) },
    ));
    paragraph(accuracy.map_or(String::new(), |accuracy| format!("## Evaluation\n\n{}", evaluation(accuracy))));
    text
}

fn table(ports: &[Port]) -> String {
    let mut text = "| name | type | shape | meaning |\n|---|---|---|---|".to_owned();
    for port in ports {
        let meaning = match (port.description.as_str(), meaning(&port.content)) {
            ("", meaning) => meaning,
            (description, "") => description,
            (description, meaning) => &format!("{description} ({meaning})"),
        };
        let (name, shape) = (port.name.replace('|', "\\|"), units::shape(&port.shape));
        text.push_str(&format!("\n| `{name}` | {} | {shape} | {} |", port.dtype.name(), meaning.replace('|', "\\|")));
    }
    text
}

fn meaning(content: &Content) -> &'static str {
    match content {
        Content::Tensor => "",
        Content::Bytes(_) => "first and last bytes of a file",
        Content::Image(_) => "picture",
        Content::Pcm(_) => "sound, frame by frame",
        Content::State { .. } => "state of the run before",
        Content::NextState => "state for the next run",
        Content::Classes { .. } => "score per class",
        Content::Probability { .. } => "probability",
        Content::Ctc { .. } => "text",
        Content::Heatmap => "probability per pixel",
    }
}

/// Counts only: measured differences vary with the machine, and the card must not.
fn evaluation(accuracy: &Accuracy) -> String {
    let mut text = String::new();
    if accuracy.compared > 0 {
        let close = accuracy.compared - accuracy.failed_cases();
        text.push_str(&format!(
            "{close} of {} cases answer as the reference does, within {}.",
            accuracy.compared, accuracy.tolerance
        ));
    }
    if let Some(right) = accuracy.right {
        text.push_str(&format!(" Of {} labelled cases, {} are answered right.", right.labelled, right.ours));
        if right.referenced > 0 {
            text.push_str(&format!(" The reference is right in {} of {}.", right.reference, right.referenced));
        }
    }
    text.trim().to_owned()
}

/// CycloneDX 1.6, without time stamps and serial number: the same build gives the same document.
pub fn bill_of_materials(manifest: &Manifest, source_name: &str, accuracy: Option<&Accuracy>) -> Vec<u8> {
    let format =
        |port: &Port| json!({ "format": format!("{} {} {}", port.name, port.dtype.name(), units::shape(&port.shape)) });
    let mut component = json!({
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": manifest.name,
        "version": manifest.version,
        "modelCard": {
            "modelParameters": {
                "inputs": manifest.inputs.iter().map(format).collect::<Vec<_>>(),
                "outputs": manifest.outputs.iter().map(format).collect::<Vec<_>>(),
            },
        },
    });
    if !manifest.description.is_empty() {
        component["description"] = json!(manifest.description);
    }
    if !manifest.licence.is_empty() {
        component["licenses"] = json!([{ "expression": manifest.licence }]);
    }
    if let Some(right) = accuracy.and_then(|accuracy| accuracy.right) {
        let metric = json!({ "type": "right answers", "value": format!("{} of {}", right.ours, right.labelled) });
        component["modelCard"]["quantitativeAnalysis"] = json!({ "performanceMetrics": [metric] });
    }
    let (tool, version) = manifest.created_by.split_once(' ').unwrap_or((&manifest.created_by, ""));
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": tool, "version": version }] },
            "component": component,
        },
        "components": [{
            "type": "file",
            "bom-ref": "source",
            "name": source_name,
            "hashes": [{ "alg": "SHA-256", "content": units::hex(&manifest.source.sha256) }],
        }],
        "dependencies": [{ "ref": "model", "dependsOn": ["source"] }],
    });
    pretty(&document)
}

fn pretty(document: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
