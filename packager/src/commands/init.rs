//! `packager init`: a `packager.toml` that fits a model, with what else could be said as comments.

use crate::args::InitArgs;
use crate::config::{self, FILE_NAME};
use crate::import::{self, ImportOptions, Imported};
use crate::{Context, Error, output, units};
use pannier_bundle::manifest::{DType, Dim, Port};
use pannier_engine_tract::TractEngine;
use serde::Serialize;
use std::path::Path;

/// `pannier.dev/init/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    path: String,
    model: String,
    inputs: Vec<PortEntry>,
    outputs: Vec<PortEntry>,
}

#[derive(Serialize)]
struct PortEntry {
    name: String,
    dtype: &'static str,
    shape: String,
}

/// Looks at the model and writes the file beside it.
///
/// # Errors
/// [`Error::Exists`]: there is one, and `--force` was not given. [`Error::Import`], [`Error::Write`].
pub fn run(args: &InitArgs, context: &Context) -> Result<(), Error> {
    let folder = args.model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = folder.join(FILE_NAME);
    if path.exists() && !args.force {
        return Err(Error::Exists { path, hint: "--force replaces it" });
    }
    let imported = import::import(&args.model, &ImportOptions::default(), &TractEngine::new());
    let imported = imported.map_err(|error| Error::from(error).in_file(&args.model))?;
    let name = config::default_name(&args.model);
    let there = |file: &str| folder.join(file).is_file();
    let text = template(&name, &args.model, &imported, &there);
    output::write_atomically(&path, text.as_bytes())?;
    let entries = |ports: &[Port]| {
        let entry = |port: &Port| PortEntry {
            name: port.name.clone(),
            dtype: port.dtype.name(),
            shape: units::shape(&port.shape),
        };
        ports.iter().map(entry).collect()
    };
    if context.json {
        return context.printer.json(&Document {
            schema: "pannier.dev/init/v1",
            path: path.display().to_string(),
            model: name,
            inputs: entries(&imported.inputs),
            outputs: entries(&imported.outputs),
        });
    }
    context.printer.data(format!("wrote {}", path.display()))?;
    context.printer.note("next: say in it what the inputs and outputs mean, then run `packager build` there");
    Ok(())
}

/// The text of the file. `there` says whether a file lies beside the model.
fn template(name: &str, model: &Path, imported: &Imported, there: &dyn Fn(&str) -> bool) -> String {
    let file = model.file_name().map_or("model.onnx".into(), |name| name.to_string_lossy());
    let optional = |file: &str| if there(file) { "" } else { "# " };
    let mut text = format!(
        "\
# What to build from {file}. `packager build` in this folder does it.

[model.{key}]
source = {source}
version = \"0.1.0\"
# description = \"One line about the model\"
# licence = \"Apache-2.0\"

# Inputs with reference answers: every answer is compared with them, and a few become the bundle's self-test.
{evaluate}evaluate = \"evaluation.npz\"
# Typical inputs, where there are no reference answers.
{calibrate}calibrate = \"calibration.npz\"

# Private key to sign with; `packager key new publisher.pem` makes one.
# sign = \"publisher.pem\"
",
        key = quoted(name),
        source = quoted_always(&file),
        evaluate = optional("evaluation.npz"),
        calibrate = optional("calibration.npz"),
    );
    let symbolic: Vec<&Port> = imported.inputs.iter().filter(|port| port.shape.iter().any(is_symbol)).collect();
    if !symbolic.is_empty() {
        text.push_str(
            "\n# Some dimensions are symbols. With numbers in their places the bundle loads faster, and can state its peak memory.\n",
        );
        // On the first axis is the batch: one case at a time is what most people want.
        let is_batch = |dim: &Dim| is_symbol(dim) && symbolic.iter().any(|port| port.shape.first() == Some(dim));
        let size = |dim: &Dim| if is_batch(dim) { "1".to_owned() } else { units::dim(dim) };
        let pinned = |port: &&Port| {
            let dims: Vec<String> = port.shape.iter().map(size).collect();
            format!("{} = {}", quoted(&port.name), quoted_always(&dims.join(",")))
        };
        let shapes = symbolic.iter().map(pinned).collect::<Vec<_>>().join(", ");
        text.push_str(&format!("# shapes = {{ {shapes} }}\n"));
    }
    if let Some(scalar) = imported.inputs.iter().find(|port| port.shape.is_empty()) {
        text.push_str("\n# An input that is always the same, such as a setting, can be built in.\n");
        text.push_str(&format!("# constants = {{ {} = 1 }}\n", quoted(&scalar.name)));
    }
    text.push_str("\n# What the inputs mean, so that `packager run` can make them of files.\n");
    for port in &imported.inputs {
        text.push_str(&section(name, "inputs", port));
        text.push_str(&input_suggestion(port, &imported.outputs));
    }
    text.push_str("\n# What the outputs mean, so that `packager run` can say it in words.\n");
    for port in &imported.outputs {
        text.push_str(&section(name, "outputs", port));
        text.push_str(&output_suggestion(port, &imported.inputs));
    }
    text
}

fn section(model: &str, side: &str, port: &Port) -> String {
    format!(
        "\n# {} {}\n[model.{}.{side}.{}]\nkind = \"tensor\"\n",
        port.dtype.name(),
        units::shape(&port.shape),
        quoted(model),
        quoted(&port.name)
    )
}

/// The kinds that an input of this type and shape can be.
fn input_suggestion(port: &Port, outputs: &[Port]) -> String {
    if let Some(output) = outputs.iter().find(|output| feeds(output, port)) {
        return format!("# kind = \"state\"\n# output = {}\n", quoted_always(&output.name));
    }
    match port.shape.as_slice() {
        [_, channels, _, _] if is_size(channels, &[1, 3]) => image("nchw"),
        [_, _, _, channels] if is_size(channels, &[1, 3]) => image("nhwc"),
        [.., last] if matches!(last, Dim::Fixed(_)) && is_float(port) => {
            "# kind = \"pcm\"\n# sample_rate_hz = 16000\n# frame = 512\n# context = 0\n".to_owned()
        }
        [.., last] if matches!(last, Dim::Fixed(_)) && port.dtype != DType::Bool => {
            "# kind = \"bytes\"\n# head = 1024\n# tail = 1024\n# block = 4096\n# padding = 256\n".to_owned()
        }
        _ => String::new(),
    }
}

fn image(axes: &str) -> String {
    format!(
        "\
# kind = \"image\"
# axes = \"{axes}\"
# colour = \"rgb\"  # or bgr, grey
# resize = {{ how = \"stretch\", height = 224, width = 224 }}  # or fit-height, multiple
# mean = [0.485, 0.456, 0.406]
# std = [0.229, 0.224, 0.225]
"
    )
}

/// The kinds that an output of this type and shape can be.
fn output_suggestion(port: &Port, inputs: &[Port]) -> String {
    if inputs.iter().any(|input| feeds(port, input)) {
        return "# kind = \"next-state\"\n".to_owned();
    }
    if !is_float(port) {
        return String::new();
    }
    match port.shape.as_slice() {
        [_, channels, _, _] if is_size(channels, &[1]) => "# kind = \"heatmap\"\n".to_owned(),
        [_, _, _] => "# kind = \"ctc\"\n# labels = \"characters.json\"\n# blank = 0\n".to_owned(),
        [_, one] if is_size(one, &[1]) => "# kind = \"probability\"\n# of = \"speech\"\n".to_owned(),
        [_, _] => "# kind = \"classes\"\n# labels = \"labels.json\"  # a JSON list, or one label a line\n".to_owned(),
        _ => String::new(),
    }
}

/// Whether an output looks like the next value of an input: the same type and rank, and the input's name in its own.
fn feeds(output: &Port, input: &Port) -> bool {
    output.dtype == input.dtype
        && output.shape.len() == input.shape.len()
        && output.name != input.name
        && output.name.to_lowercase().contains(&input.name.to_lowercase())
        && input.name.len() > 1
}

fn is_symbol(dim: &Dim) -> bool {
    matches!(dim, Dim::Symbol(_))
}

fn is_size(dim: &Dim, sizes: &[u64]) -> bool {
    matches!(dim, Dim::Fixed(size) if sizes.contains(size))
}

fn is_float(port: &Port) -> bool {
    matches!(port.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64)
}

/// A TOML key, quoted where it has to be.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { quoted_always(key) }
}

/// A TOML string: JSON writes one in the same way, but for a delete character.
fn quoted_always(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
