//! The report as one self-contained page: no script, nothing fetched, light and dark.

use super::treemap::{Area, squarify};
use super::*;
use crate::units;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Tensors that get an area of their own; the smaller ones share one.
const DRAWN_TENSORS: usize = 160;
/// The picture's size in its own units.
const PICTURE: Area = Area { x: 0.0, y: 0.0, width: 1040.0, height: 430.0 };
/// Colours of tensors, as the style sheet numbers them.
const COLOURS: usize = 6;
/// Average width of a letter of a label, in the picture's units.
const LETTER_WIDTH: f64 = 7.3;

/// The page.
pub fn page(report: &Inspection, tensors: &[Tensor]) -> String {
    let mut html = String::with_capacity(64 << 10);
    let title = escaped(&format!("{} {}", report.model.name, report.model.version));
    html.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // Says to the browser what the page promises to people.
    html.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    let _ = write!(
        html,
        "<title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
        include_str!("page.css")
    );
    html.push_str(&head(report));
    html.push_str(&facts(report));
    if !tensors.is_empty() {
        html.push_str(&treemap(tensors));
    }
    if let Some(quantization) = &report.quantization {
        html.push_str(&super::quantization_page::sections(quantization));
    }
    html.push_str("<div class=\"pair\">\n");
    html.push_str(&ports("Inputs", &report.inputs));
    html.push_str(&ports("Outputs", &report.outputs));
    html.push_str("</div>\n");
    html.push_str(&sections(report));
    html.push_str("<div class=\"pair\">\n");
    html.push_str(&operators(&report.graph));
    html.push_str("<div class=\"stack\">\n");
    html.push_str(&weights(&report.weights));
    html.push_str(&running(report));
    html.push_str(&signatures(&report.trust));
    html.push_str("</div>\n</div>\n");
    html.push_str(&origin(report));
    let _ = write!(html, "<footer>packager {}</footer>\n</main>\n</body>\n</html>\n", env!("CARGO_PKG_VERSION"));
    html
}

fn head(report: &Inspection) -> String {
    let model = &report.model;
    let description =
        if model.description.is_empty() { String::new() } else { format!("<p>{}</p>\n", escaped(&model.description)) };
    let (class, verdict) = verdict(report.trust.verdict, report.trust.signers.is_empty());
    format!(
        "<h1>{} <small>{}</small></h1>\n{description}<p class=\"dim\"><code>{}</code> &middot; <span class=\"{class}\">{verdict}</span></p>\n",
        escaped(&model.name),
        escaped(&model.version),
        escaped(&report.bundle)
    )
}

fn verdict(verdict: TrustVerdict, unsigned: bool) -> (&'static str, &'static str) {
    match verdict {
        TrustVerdict::Trusted => ("good", "signed by a trusted key"),
        TrustVerdict::Untrusted => ("bad", "not trusted"),
        TrustVerdict::Allowed | TrustVerdict::NotAsked if unsigned => ("caution", "not signed"),
        TrustVerdict::Allowed | TrustVerdict::NotAsked => ("caution", "signatures not checked"),
    }
}

fn facts(report: &Inspection) -> String {
    let content: u64 = report.sections.iter().map(|section| section.content_bytes).sum();
    let peak = report.memory.peak_bytes.map_or("not stated".to_owned(), units::bytes);
    let facts = [
        (
            units::bytes(report.size_bytes),
            format!("file, {} of its content", units::percent(report.size_bytes, content)),
        ),
        (
            units::count(report.weights.parameters),
            format!("parameters in {}", units::plural(report.weights.tensors as u64, "tensor")),
        ),
        (units::count(report.graph.nodes as u64), format!("nodes, opset {}", report.model.opset)),
        (peak, "memory while running, at most".to_owned()),
    ];
    let mut html = "<div class=\"facts\">\n".to_owned();
    for (value, label) in facts {
        let _ = writeln!(html, "<div><b>{}</b><span>{}</span></div>", escaped(&value), escaped(&label));
    }
    html + "</div>\n"
}

/// Areas in proportion to each tensor's share of the file; tensors whose names begin alike have the same colour.
fn treemap(tensors: &[Tensor]) -> String {
    let positive: Vec<&Tensor> = tensors.iter().filter(|tensor| tensor.stored_bytes > 0).collect();
    let (drawn, rest) = positive.split_at(positive.len().min(DRAWN_TENSORS));
    let rest_bytes: u64 = rest.iter().map(|tensor| tensor.stored_bytes).sum();
    let mut items: Vec<(String, String, u64, usize)> = Vec::new();
    let mut colours: BTreeMap<&str, usize> = BTreeMap::new();
    for tensor in drawn {
        let next = colours.len() % COLOURS;
        let colour = *colours.entry(layer(&tensor.name)).or_insert(next);
        items.push((tensor.name.clone(), details(tensor), tensor.stored_bytes, colour));
    }
    if !rest.is_empty() {
        let name = format!("{} smaller tensors", units::count(rest.len() as u64));
        let at = items.iter().position(|item| item.2 < rest_bytes).unwrap_or(items.len());
        items.insert(at, (name.clone(), format!("{name}\n{} in the file", units::bytes(rest_bytes)), rest_bytes, 0));
    }
    let sizes: Vec<f64> = items.iter().map(|item| item.2 as f64).collect();
    let total: u64 = items.iter().map(|item| item.2).sum();
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Share of each tensor\">\n",
        PICTURE.width, PICTURE.height
    );
    for ((name, details, size, colour), area) in items.iter().zip(squarify(&sizes, PICTURE)) {
        let Area { x, y, width, height } = area;
        let _ = write!(
            svg,
            "<g><title>{}</title><rect class=\"c{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
            escaped(details)
        );
        let letters = ((width - 12.0) / LETTER_WIDTH).floor().max(0.0) as usize;
        if letters >= 5 && height >= 20.0 {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 6.0,
                y + 15.0,
                escaped(&shortened(name, letters))
            );
        }
        if letters >= 8 && height >= 36.0 {
            let _ = write!(
                svg,
                "<text class=\"size\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 6.0,
                y + 29.0,
                units::bytes(*size)
            );
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    format!(
        "<section>\n<h2>Where the bytes are <span class=\"dim\">{} of weights in the file, by tensor</span></h2>\n{svg}</section>\n",
        units::bytes(total)
    )
}

fn details(tensor: &Tensor) -> String {
    let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
    let encoding = if tensor.encoding == "raw" { String::new() } else { format!(" as {}", tensor.encoding) };
    format!(
        "{}\n{}{encoding} [{}]\n{} in the file, {} in memory",
        tensor.name,
        tensor.dtype,
        shape.join(", "),
        units::bytes(tensor.stored_bytes),
        units::bytes(tensor.size_bytes)
    )
}

/// The part of a name that tensors of the same layer share.
fn layer(name: &str) -> &str {
    let end = name.rfind(['.', '/']).filter(|end| *end > 0).unwrap_or(name.len());
    &name[..end]
}

/// The end of a name says more than its start.
fn shortened(name: &str, letters: usize) -> String {
    let length = name.chars().count();
    if length <= letters {
        return name.to_owned();
    }
    let kept: String = name.chars().skip(length - letters.saturating_sub(1)).collect();
    format!("\u{2026}{kept}")
}

fn ports(title: &str, ports: &[Port]) -> String {
    let mut rows = String::new();
    for port in ports {
        let shape: Vec<String> = port.shape.iter().map(Dim::to_string).collect();
        let about: Vec<String> = [&port.description, &port.meaning]
            .into_iter()
            .filter(|text| !text.is_empty())
            .map(|text| escaped(text))
            .collect();
        let _ = writeln!(
            rows,
            "<tr><td><code>{}</code></td><td><code>{} [{}]</code></td><td>{}</td></tr>",
            escaped(&port.name),
            port.dtype,
            escaped(&shape.join(", ")),
            about.join("<br>")
        );
    }
    format!("<section>\n<h2>{title}</h2>\n<table>\n{rows}</table>\n</section>\n")
}

fn sections(report: &Inspection) -> String {
    let largest = report.sections.iter().map(|section| section.stored_bytes).max().unwrap_or(0);
    let mut rows = String::from(
        "<tr><th>section</th><th class=\"num\">stored</th><th class=\"num\">content</th><th class=\"num\">ratio</th>\
         <th class=\"num\">chunks</th><th>share of the file</th></tr>\n",
    );
    for section in &report.sections {
        let _ = writeln!(
            rows,
            "<tr><td><code title=\"SHA-256 {}\">{}</code></td><td class=\"num\">{}</td><td class=\"num\">{}</td>\
             <td class=\"num\">{}</td><td class=\"num\">{}</td><td>{}</td></tr>",
            section.sha256,
            escaped(&section.name),
            units::bytes(section.stored_bytes),
            units::bytes(section.content_bytes),
            units::percent(section.stored_bytes, section.content_bytes),
            units::count(section.chunks as u64),
            bar(section.stored_bytes, largest)
        );
    }
    format!("<section>\n<h2>Sections</h2>\n<table>\n{rows}</table>\n</section>\n")
}

fn bar(part: u64, whole: u64) -> String {
    let width = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    format!("<div class=\"track\"><i style=\"width:{width:.1}%\"></i></div>")
}

fn operators(graph: &GraphSummary) -> String {
    let most = graph.operators.first().map_or(0, |operator| operator.count as u64);
    let mut rows = String::new();
    for operator in &graph.operators {
        let count = operator.count as u64;
        let _ = writeln!(
            rows,
            "<tr><td><code>{}</code></td><td class=\"num\">{}</td><td>{}</td></tr>",
            escaped(&operator.op),
            units::count(count),
            bar(count, most)
        );
    }
    format!("<section>\n<h2>Operators</h2>\n<table>\n{rows}</table>\n</section>\n")
}

fn weights(weights: &Weights) -> String {
    let mut rows = String::from(
        "<tr><th>type</th><th class=\"num\">tensors</th><th class=\"num\">parameters</th><th class=\"num\">size</th></tr>\n",
    );
    for group in &weights.by_dtype {
        let encoding = if group.encoding == "raw" { String::new() } else { format!(" as {}", group.encoding) };
        let _ = writeln!(
            rows,
            "<tr><td><code>{}{encoding}</code></td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>",
            group.dtype,
            units::count(group.tensors as u64),
            units::count(group.parameters),
            units::bytes(group.size_bytes)
        );
    }
    format!("<section>\n<h2>Weights</h2>\n<table>\n{rows}</table>\n</section>\n")
}

fn running(report: &Inspection) -> String {
    let mut fields = String::new();
    let mut field = |label: &str, value: String| {
        let _ = writeln!(fields, "<dt>{label}</dt><dd>{value}</dd>");
    };
    for engine in &report.engines {
        let answer = if engine.supported {
            "<span class=\"good\">has every operator</span>".to_owned()
        } else {
            let missing: Vec<String> = engine
                .missing
                .iter()
                .map(|missing| escaped(&format!("{} ({}) at node `{}`", missing.op, missing.reason, missing.node)))
                .collect();
            format!("<span class=\"bad\">lacks</span> {}", missing.join("<br>"))
        };
        field(&escaped(engine.engine), answer);
    }
    field("weights", units::bytes(report.memory.weight_bytes));
    if let Some(deadline) = report.memory.deadline_ms {
        field("deadline", format!("{deadline} ms"));
    }
    match &report.golden {
        None => field("golden cases", "none".to_owned()),
        Some(golden) => {
            field("golden cases", escaped(&golden.cases.join(", ")));
            field("tolerance", golden.tolerance().to_string());
            field("result", golden_result(golden));
        }
    }
    format!("<section>\n<h2>Running it</h2>\n<dl>\n{fields}</dl>\n</section>\n")
}

fn golden_result(golden: &GoldenSummary) -> String {
    match &golden.result {
        None => "<span class=\"caution\">not run: nobody is trusted</span>".to_owned(),
        Some(result) if result.passed => format!(
            "<span class=\"good\">passed</span> on {}: {} compared, largest difference {}",
            escaped(result.engine.unwrap_or_default()),
            units::plural(result.elements, "number"),
            units::small(result.largest_difference)
        ),
        Some(result) => {
            format!("<span class=\"bad\">failed</span>: {}", escaped(result.error.as_deref().unwrap_or_default()))
        }
    }
}

fn signatures(trust: &TrustSummary) -> String {
    let mut rows = String::new();
    for signer in &trust.signers {
        let (class, state) = if signer.trusted { ("good", "trusted") } else { ("caution", "not checked") };
        let who: Vec<&str> = signer.name.iter().chain(&signer.roles).map(String::as_str).collect();
        let _ = writeln!(
            rows,
            "<tr><td><code class=\"long\">{}</code></td><td class=\"{class}\">{state}</td><td>{}</td></tr>",
            escaped(signer.fingerprint.as_deref().unwrap_or("names no key")),
            escaped(&who.join(", "))
        );
    }
    let table = if rows.is_empty() { String::new() } else { format!("<table>\n{rows}</table>\n") };
    let (class, words) = verdict(trust.verdict, trust.signers.is_empty());
    let why = trust.error.as_deref().map(|why| format!(": {}", escaped(why))).unwrap_or_default();
    format!("<section>\n<h2>Signatures</h2>\n{table}<p class=\"{class}\">{words}{why}</p>\n</section>\n")
}

fn origin(report: &Inspection) -> String {
    let model = &report.model;
    let options: Vec<String> =
        model.source.options.iter().map(|option| format!("{} {}", option.option, option.value)).collect();
    let fields = [
        ("licence", model.licence.clone()),
        ("made by", model.created_by.clone()),
        ("made from", format!("{} opset {}, SHA-256 {}", model.source.format, model.source.opset, model.source.sha256)),
        ("options", options.join(", ")),
        ("tested on", model.target_hints.join(", ")),
        ("bundle id", model.bundle_id.clone()),
    ];
    let mut html = "<section>\n<h2>Origin</h2>\n<dl>\n".to_owned();
    for (label, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(html, "<dt>{label}</dt><dd>{}</dd>", escaped(value));
    }
    html + "</dl>\n</section>\n"
}

/// Text for the inside of an element or of a quoted attribute. Names in a bundle are a stranger's words.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_words_stay_words() {
        assert_eq!(escaped("<img src=x onerror='a()'>&\""), "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("encoder.layer.0.weight", 8), "\u{2026}.weight");
        assert_eq!(shortened("short", 8), "short");
        assert_eq!(layer("encoder.layer.0.weight"), "encoder.layer.0");
        assert_eq!(layer("weight"), "weight");
    }
}
