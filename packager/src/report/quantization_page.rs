//! What a quantization did, as pictures: noise and bytes of each layer, and the front of size against accuracy.

use super::html::escaped;
use super::quantization::{Layer, Quantization};
use crate::units;
use std::fmt::Write;

/// Size of the picture of the front, in its own units.
const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 300.0;
/// Room for axes.
const MARGIN: f64 = 46.0;
/// Ratio of signal to noise whose bar fills the track, in decibels.
const FULL_DB: f32 = 80.0;

/// The sections of the page.
pub(super) fn sections(quantization: &Quantization) -> String {
    format!("{}{}{}", proof(quantization), front(quantization), layers(&quantization.layers))
}

fn proof(quantization: &Quantization) -> String {
    let attested = match &quantization.attestation {
        Some(attestation) => format!("<dt>attested</dt><dd>{}</dd>", escaped(attestation)),
        None => String::new(),
    };
    let time = quantization.time().map_or(String::new(), |time| format!("<dt>run</dt><dd>{time}</dd>"));
    let set = |label: &str, set: &Option<crate::quantize::prove::SetRecord>| match set {
        Some(set) => format!(
            "<dt>{label}</dt><dd>{}, <code>{}</code></dd>",
            units::plural(set.cases, "case"),
            units::hex(&set.sha256)
        ),
        None => String::new(),
    };
    format!(
        "<section>\n<h2>Quantization <span class=\"dim\">{}, {} of {} layers</span></h2>\n<dl><dt>proof</dt><dd>{}</dd>{attested}{time}{}{}</dl>\n</section>\n",
        quantization.scheme,
        quantization.quantized_layers(),
        quantization.layers.len(),
        escaped(&quantization.summary),
        set("tuned on", &quantization.tuning),
        set("judged on", &quantization.held_out),
    )
}

/// Bytes of weights across, signal to noise upwards, a point for each recipe that was tried.
fn front(quantization: &Quantization) -> String {
    let steps = &quantization.steps;
    if steps.len() < 2 {
        return String::new();
    }
    let most_bytes = steps.iter().map(|step| step.weight_bytes).max().unwrap_or(1).max(1) as f64 * 1.05;
    let most_db = steps.iter().map(|step| f64::from(step.sqnr_db)).fold(10.0, f64::max) * 1.1;
    let x = |bytes: f64| MARGIN + bytes / most_bytes * (WIDTH - 2.0 * MARGIN);
    let y = |db: f64| HEIGHT - MARGIN - db.max(0.0) / most_db * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg class=\"front\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Size against accuracy\">\n\
         <path class=\"axis\" d=\"M{MARGIN} {MARGIN}V{:.1}H{:.1}\"/>\n",
        HEIGHT - MARGIN,
        WIDTH - MARGIN
    );
    for line in (1..).map(|line| f64::from(line) * 20.0).take_while(|db| *db < most_db) {
        let (up, end) = (y(line), WIDTH - MARGIN);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{MARGIN} {up:.1}H{end}\"/><text x=\"4\" y=\"{:.1}\">{line} dB</text>",
            up + 5.0
        );
    }
    for step in steps {
        let class = if step.within { "good" } else { "bad" };
        let (across, up) = (x(step.weight_bytes as f64), y(f64::from(step.sqnr_db)));
        let title = format!(
            "{}\n{} of weights, {:.1} dB, loss {:.3} %",
            step.what,
            units::bytes(step.weight_bytes),
            step.sqnr_db,
            step.loss * 100.0
        );
        let _ = writeln!(
            svg,
            "<circle class=\"{class}\" cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"8\"><title>{}</title></circle>",
            escaped(&title)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{:.1}\">0</text><text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{} of weights</text>\n</svg>",
        HEIGHT - MARGIN + 18.0,
        WIDTH - MARGIN,
        HEIGHT - MARGIN + 18.0,
        units::bytes(most_bytes as u64),
    );
    format!(
        "<section>\n<h2>Size against accuracy <span class=\"dim\">{} on the tuning cases; green keeps the budget there</span></h2>\n{svg}</section>\n",
        units::plural(steps.len() as u64, "recipe"),
    )
}

fn layers(layers: &[Layer]) -> String {
    let most = layers.iter().map(|layer| layer.bytes_before).max().unwrap_or(1).max(1) as f64;
    let mut rows = String::new();
    for layer in layers {
        let bar = |share: f64| {
            format!("<div class=\"track\"><i style=\"width:{:.1}%\"></i></div>", share.clamp(0.0, 1.0) * 100.0)
        };
        let noise = match layer.weight_sqnr_db {
            Some(db) => format!("{db:.1} dB{}", bar(f64::from(db / FULL_DB))),
            None => "-".to_owned(),
        };
        let [before, after] = [layer.bytes_before, layer.record.bytes_after];
        let share = |bytes: u64| bar(bytes as f64 / most);
        let bytes = match before == after {
            true => format!("{}{}", units::bytes(before), share(before)),
            false => {
                format!("{} &rarr; {}{}{}", units::bytes(before), units::bytes(after), share(before), share(after))
            }
        };
        let alone = layer.record.int8_sqnr_db.map_or("-".to_owned(), |db| format!("{db:.1} dB"));
        let _ = writeln!(
            rows,
            "<tr><td><code class=\"long\">{}</code></td><td data-label=\"operator\">{}</td><td data-label=\"stored as\">{}</td>\
             <td class=\"num\" data-label=\"bytes\">{bytes}</td><td class=\"num\" data-label=\"weights\">{noise}</td>\
             <td class=\"num\" data-label=\"alone, 8 bits\">{alone}</td></tr>",
            escaped(&layer.record.name),
            escaped(&layer.record.op),
            escaped(&layer.scheme),
        );
    }
    format!(
        "<section>\n<h2>Layers <span class=\"dim\">bytes uncompressed; signal to noise of the weights, and at the outputs with 8-bit weights in this layer alone</span></h2>\n\
         <table class=\"layers\">\n<tr><th>layer</th><th>operator</th><th>stored as</th><th class=\"num\">bytes</th><th class=\"num\">weights</th><th class=\"num\">alone, 8 bits</th></tr>\n{rows}</table>\n</section>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::record::LayerRecord;
    use crate::quantize::search::{KindTime, Step};
    use crate::quantize::settings::{Objective, Scheme};

    #[test]
    fn names_from_the_bundle_are_text_and_numbers_are_drawn() {
        let step = |what: &str, weight_bytes, within| Step {
            what: what.into(),
            weight_bytes,
            loss: 0.01,
            sqnr_db: 20.0,
            within,
        };
        let page = sections(&Quantization {
            scheme: Scheme::Auto,
            objective: Objective::Size,
            layers: vec![Layer {
                record: LayerRecord {
                    name: "<script>".into(),
                    op: "Conv".into(),
                    elements: 10,
                    bytes_after: 10,
                    int8_sqnr_db: None,
                },
                scheme: "int8".into(),
                bytes_before: 40,
                weight_sqnr_db: Some(40.0),
            }],
            tuning: None,
            held_out: None,
            proof: None,
            summary: "nothing was measured".into(),
            steps: vec![step("a & b", 100, true), step("c", 50, false)],
            times: vec![KindTime {
                op: "*".into(),
                elements: 10,
                layers: 1,
                float_ns: 2_000_000,
                integer_ns: 1_500_000,
            }],
            attestation: Some("passed: <b>".into()),
        });
        for expected in [
            "&lt;script&gt;",
            "a &amp; b",
            "&lt;b&gt;",
            "circle class=\"good\"",
            "circle class=\"bad\"",
            "width:25.0%",
            "1.500 ms with 1 layer",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains("<script>") && !page.contains("NaN"));
    }
}
