//! The JavaScript that runs a self-contained module.

use pannier_bundle::manifest::{Content, DType, Dim, Manifest, Port};

/// What a dimension that inputs decide is in the example.
const EXAMPLE_SIZE: u64 = 1;

/// A JavaScript module that runs the WebAssembly module in the file `name`, which lies beside it: in Node, and in a page. It exports
/// `run`, and calls it once with zeros.
///
/// It is written for this model: it knows the names and types of its inputs and outputs. Names are hostile, and stand in it
/// as JSON texts only.
pub fn javascript(manifest: &Manifest, name: &str) -> String {
    let state = manifest.inputs.iter().any(|port| matches!(port.content, Content::State { .. }));
    let call = if state { "pannier_step" } else { "pannier_run" };
    let inputs: Vec<String> =
        enumerated(&manifest.inputs, |index, port| format!("[{index}, {}]", port.dtype.onnx_number()));
    let outputs: Vec<String> =
        manifest.outputs.iter().map(|port| format!("[{}, {}]", text(&port.name), array(port.dtype))).collect();
    let example: Vec<String> = manifest
        .inputs
        .iter()
        .filter(|port| !matches!(port.content, Content::State { .. }))
        .map(|port| format!("{}: {}", text(&port.name), zeros(port)))
        .collect();
    let file = text(&format!("./{name}"));
    let (inputs, outputs, example) = (inputs.join(", "), outputs.join(", "), example.join(", "));
    format!(
        r#"const url = new URL({file}, import.meta.url);
const read = async () => (await import("node:fs/promises")).readFile(url);
const bytes = url.protocol === "file:" ? read() : fetch(url).then((response) => response.arrayBuffer());
const wasm = (await WebAssembly.instantiate(await bytes)).instance.exports;
const view = (Type, place, length) => new Type(wasm.memory.buffer, place >>> 0, length);
const text = () => view(Uint8Array, wasm.pannier_text(), wasm.pannier_text_size());
const fail = () => {{ throw new Error(new TextDecoder().decode(text())); }};
const inputs = {{ {inputs} }};
export function run(tensors) {{
  for (const [name, {{ shape, data }}] of Object.entries(tensors)) {{
    const [index, type] = inputs[name], rank = shape.length;
    view(Uint32Array, wasm.pannier_input_shape(index, rank) || fail(), rank).set(shape);
    view(data.constructor, wasm.pannier_input_data(index, type, data.byteLength) || fail(), data.length).set(data);
  }}
  if (wasm.{call}() !== 0) fail();
  return Object.fromEntries([{outputs}].map(([name, Type], index) => [name, {{
    shape: [...view(Uint32Array, wasm.pannier_output_shape(index), wasm.pannier_output_rank(index))],
    data: view(Type, wasm.pannier_output_data(index), wasm.pannier_output_size(index) / Type.BYTES_PER_ELEMENT).slice() }}]));
}}
console.log(run({{ {example} }}));
"#
    )
}

fn enumerated(ports: &[Port], write: impl Fn(usize, &Port) -> String) -> Vec<String> {
    ports.iter().enumerate().map(|(index, port)| format!("{}: {}", text(&port.name), write(index, port))).collect()
}

/// `{ shape: [1, 3], data: new Float32Array(3) }`
fn zeros(port: &Port) -> String {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        Dim::Symbol(_) => EXAMPLE_SIZE,
    };
    let shape: Vec<u64> = port.shape.iter().map(size).collect();
    let elements = shape.iter().fold(1_u64, |product, size| product.saturating_mul(*size));
    let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("{{ shape: [{}], data: new {}({elements}) }}", shape.join(", "), array(port.dtype))
}

/// A text as JavaScript: JSON, and no `<`, which could end a page's script element.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('<', "\\u003c")
}

/// The typed array for elements of a type. 16-bit floats have no array that all engines know: they stand as their bits.
fn array(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "Float32Array",
        DType::F64 => "Float64Array",
        DType::I8 => "Int8Array",
        DType::I16 => "Int16Array",
        DType::I32 => "Int32Array",
        DType::I64 => "BigInt64Array",
        DType::U8 | DType::Bool => "Uint8Array",
        DType::U16 | DType::F16 | DType::BF16 => "Uint16Array",
        DType::U32 => "Uint32Array",
        DType::U64 => "BigUint64Array",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pannier_bundle::manifest::{Envelope, Reproducibility, Source};

    fn port(name: &str, dtype: DType, shape: Vec<Dim>, content: Content) -> Port {
        Port { name: name.to_owned(), dtype, shape, content, description: String::new() }
    }

    fn manifest(inputs: Vec<Port>, outputs: Vec<Port>) -> Manifest {
        Manifest {
            name: "notes".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            licence: String::new(),
            created_by: String::new(),
            bundle_id: [0; 32],
            opset: 1,
            inputs,
            outputs,
            envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
            reproducibility: Reproducibility::Tolerance,
            target_hints: Vec::new(),
            quantization: Vec::new(),
            source: Source { format: "onnx".to_owned(), sha256: [0; 32], opset: 1, options: Vec::new() },
        }
    }

    #[test]
    fn it_is_twenty_lines_for_this_model() {
        let batch = Dim::Symbol("batch".to_owned());
        let manifest = manifest(
            vec![
                port("x", DType::F32, vec![batch, Dim::Fixed(4)], Content::Tensor),
                port("state", DType::F32, vec![Dim::Fixed(2)], Content::State { output: "next".to_owned() }),
                port("rate", DType::I64, Vec::new(), Content::Tensor),
            ],
            vec![port("y", DType::F16, Vec::new(), Content::Tensor)],
        );
        let written = javascript(&manifest, "notes.wasm");
        assert_eq!(written.lines().count(), 20, "{written}");
        for part in [
            r#"new URL("./notes.wasm", import.meta.url)"#,
            r#"const inputs = { "x": [0, 1], "state": [1, 1], "rate": [2, 7] };"#,
            r#"[["y", Uint16Array]]"#,
            r#"run({ "x": { shape: [1, 4], data: new Float32Array(4) }, "rate": { shape: [], data: new BigInt64Array(1) } })"#,
            "wasm.pannier_step()",
        ] {
            assert!(written.contains(part), "no `{part}` in\n{written}");
        }
    }

    #[test]
    fn hostile_names_stay_texts() {
        let name = "\"); alert(1); //\n</script>";
        let manifest = manifest(vec![port(name, DType::F32, Vec::new(), Content::Tensor)], Vec::new());
        let written = javascript(&manifest, "a\"b.wasm");
        assert_eq!(written.lines().count(), 20, "{written}");
        assert!(!written.contains('<') && written.contains(r#"\"); alert"#), "{written}");
        assert!(written.contains(r#""./a\"b.wasm""#), "{written}");
    }
}
