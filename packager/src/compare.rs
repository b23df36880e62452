//! What differs between two models: manifest, interface, operators, weights.

use crate::{Error, interrupt, program, units};
use pannier_bundle::manifest::{Content, Manifest, Port};
use pannier_engine::Program;
use pannier_graph::{DType, Weight};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What differs between two models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changes {
    /// Fields of the manifest other than inputs and outputs.
    pub manifest: Vec<Field>,
    /// Inputs that were added, removed or changed.
    pub inputs: Vec<Field>,
    /// Outputs that were added, removed or changed.
    pub outputs: Vec<Field>,
    /// Operators that occur more or less often.
    pub operators: Vec<OperatorChange>,
    /// Whether nodes, names or connections differ at all; weights' values and places aside.
    pub graph_changed: bool,
    /// Weights that were added, removed or changed.
    pub weights: Vec<WeightChange>,
}

/// A value before and after. `None`: it was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}

/// How often an operator occurred before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorChange {
    /// Its name.
    pub op: String,
    /// Before.
    pub before: usize,
    /// After.
    pub after: usize,
}

/// A weight that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightChange {
    /// Its name.
    pub name: String,
    /// Type and shape before.
    pub before: Option<String>,
    /// Type and shape after.
    pub after: Option<String>,
    /// Largest difference of two elements, where type and shape are the same; `None` also where the values are the
    /// same and only their encoding differs.
    pub largest_difference: Option<f64>,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.manifest.is_empty()
            && self.inputs.is_empty()
            && self.outputs.is_empty()
            && self.operators.is_empty()
            && !self.graph_changed
            && self.weights.is_empty()
    }
}

/// Compares two models.
///
/// # Errors
/// [`Error::Interrupted`]: Ctrl-C.
pub fn compare(
    before_manifest: &Manifest,
    before: &Program,
    after_manifest: &Manifest,
    after: &Program,
) -> Result<Changes, Error> {
    Ok(Changes {
        manifest: fields(manifest_fields(before_manifest), manifest_fields(after_manifest)),
        inputs: fields(ports(&before_manifest.inputs), ports(&after_manifest.inputs)),
        outputs: fields(ports(&before_manifest.outputs), ports(&after_manifest.outputs)),
        operators: operators(before, after),
        graph_changed: structure(before) != structure(after),
        weights: weights(before, after)?,
    })
}

/// The bundle id is left out: it is other whenever anything is.
fn manifest_fields(manifest: &Manifest) -> Vec<(String, String)> {
    let envelope = &manifest.envelope;
    let stated = |number: u64, text: String| if number == 0 { "not stated".to_owned() } else { text };
    let mut fields = vec![
        ("name", manifest.name.clone()),
        ("version", manifest.version.clone()),
        ("description", manifest.description.clone()),
        ("licence", manifest.licence.clone()),
        ("created by", manifest.created_by.clone()),
        ("opset", manifest.opset.to_string()),
        ("peak memory", stated(envelope.peak_memory_bytes, units::bytes(envelope.peak_memory_bytes))),
        ("deadline", stated(envelope.deadline_ms.into(), format!("{} ms", envelope.deadline_ms))),
        ("reproducibility", format!("{:?}", manifest.reproducibility)),
        ("target hints", manifest.target_hints.join(", ")),
        ("quantized weights", manifest.quantization.len().to_string()),
        (
            "source",
            format!(
                "{} opset {}, SHA-256 {}",
                manifest.source.format,
                manifest.source.opset,
                units::hex(&manifest.source.sha256)
            ),
        ),
    ];
    let options: Vec<String> = manifest.source.options.iter().map(|(name, value)| format!("{name} {value}")).collect();
    fields.push(("build options", options.join(", ")));
    fields.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// One entry for the type of a port and one for each detail of what it means, so that only what differs is listed.
fn ports(ports: &[Port]) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    for port in ports {
        let name = &port.name;
        entries.push((name.clone(), format!("{} {}", port.dtype.name(), units::shape(&port.shape))));
        if !port.description.is_empty() {
            entries.push((format!("{name} description"), port.description.clone()));
        }
        if port.content != Content::Tensor {
            // Through text, which writes a binary32 as short as it can be.
            let text = serde_json::to_string(&port.content).unwrap_or_default();
            details(&format!("{name} content"), &serde_json::from_str(&text).unwrap_or_default(), &mut entries);
        }
    }
    entries
}

/// The leaves of a document, each with the path to it.
fn details(path: &str, value: &Value, entries: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| details(&format!("{path}.{}", key.to_lowercase()), value, entries));
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(Value::to_string).collect();
            entries.push((path.to_owned(), items.join(" ")));
        }
        Value::String(text) => entries.push((path.to_owned(), text.clone())),
        value => entries.push((path.to_owned(), value.to_string())),
    }
}

fn fields(before: Vec<(String, String)>, after: Vec<(String, String)>) -> Vec<Field> {
    let find = |list: &[(String, String)], name: &str| {
        list.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let mut names: Vec<&String> = before.iter().map(|(name, _)| name).collect();
    names.extend(after.iter().map(|(name, _)| name).filter(|name| find(&before, name).is_none()));
    names
        .into_iter()
        .map(|name| Field { name: name.clone(), before: find(&before, name), after: find(&after, name) })
        .filter(|field| field.before != field.after)
        .collect()
}

fn operators(before: &Program, after: &Program) -> Vec<OperatorChange> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (program, is_after) in [(before, false), (after, true)] {
        let counted: Result<(), std::convert::Infallible> = program.graph.body.try_visit(&mut |body| {
            for node in &body.nodes {
                let dot = if node.domain.is_empty() { "" } else { "." };
                let count = counts.entry(format!("{}{dot}{}", node.domain, node.op)).or_default();
                *(if is_after { &mut count.1 } else { &mut count.0 }) += 1;
            }
            Ok(())
        });
        let Ok(()) = counted;
    }
    counts
        .into_iter()
        .filter(|(_, (before, after))| before != after)
        .map(|(op, (before, after))| OperatorChange { op, before, after })
        .collect()
}

/// The graph as text without the numbers of values and without weights: what people would call the same graph.
fn structure(program: &Program) -> String {
    let mut graph = (*program.graph).clone();
    graph.body.weights.clear();
    graph.to_string()
}

fn weights(before: &Program, after: &Program) -> Result<Vec<WeightChange>, Error> {
    let by_name = |program: &Program| -> BTreeMap<String, Weight> {
        let named = |weight: &Weight| (program.graph.value_name(weight.value).to_owned(), weight.clone());
        program::all_weights(&program.graph).into_iter().map(named).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        interrupt::check()?;
        let (a, b) = (old.get(name), new.get(name));
        if let (Some(a), Some(b)) = (a, b)
            && same(before, a, after, b)
        {
            continue;
        }
        let largest_difference = match (a, b) {
            (Some(a), Some(b)) if a.dtype == b.dtype && a.shape == b.shape => largest_difference(before, a, after, b),
            _ => None,
        };
        changes.push(WeightChange {
            name: name.clone(),
            before: a.map(kind),
            after: b.map(kind),
            largest_difference: largest_difference.filter(|difference| *difference > 0.0),
        });
    }
    Ok(changes)
}

/// Whether type, shape, encoding and every stored byte are the same, wherever they lie.
fn same(before: &Program, a: &Weight, after: &Program, b: &Weight) -> bool {
    let is_alike = a.dtype == b.dtype
        && a.shape == b.shape
        && std::mem::discriminant(&a.encoding) == std::mem::discriminant(&b.encoding);
    let bytes_of = |program: &Program, weight: &Weight| -> Vec<Option<Vec<u8>>> {
        weight.spans().map(|span| program.bytes(span).map(<[u8]>::to_vec)).collect()
    };
    is_alike && bytes_of(before, a) == bytes_of(after, b)
}

fn kind(weight: &Weight) -> String {
    let shape: Vec<String> = weight.shape.iter().map(u64::to_string).collect();
    format!("{} [{}]", weight.dtype.name(), shape.join(", "))
}

fn largest_difference(before: &Program, a: &Weight, after: &Program, b: &Weight) -> Option<f64> {
    let old = a.decode(|span| before.bytes(span))?;
    let new = b.decode(|span| after.bytes(span))?;
    let (old, new) = (numbers(a.dtype, &old), numbers(b.dtype, &new));
    Some(old.zip(new).map(|(old, new)| (old - new).abs()).fold(0.0, f64::max))
}

/// The elements as binary64, little-endian as they are stored.
fn numbers(dtype: DType, bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
    bytes.chunks_exact(dtype.size_bytes()).map(move |element| {
        fn array<const N: usize>(element: &[u8]) -> [u8; N] {
            element.try_into().unwrap_or([0; N])
        }
        match dtype {
            DType::F32 => f32::from_le_bytes(array(element)).into(),
            DType::F16 => half::f16::from_le_bytes(array(element)).into(),
            DType::BF16 => half::bf16::from_le_bytes(array(element)).into(),
            DType::F64 => f64::from_le_bytes(array(element)),
            DType::I8 => i8::from_le_bytes(array(element)).into(),
            DType::I16 => i16::from_le_bytes(array(element)).into(),
            DType::I32 => i32::from_le_bytes(array(element)).into(),
            DType::I64 => i64::from_le_bytes(array(element)) as f64,
            DType::U8 | DType::Bool => u8::from_le_bytes(array(element)).into(),
            DType::U16 => u16::from_le_bytes(array(element)).into(),
            DType::U32 => u32::from_le_bytes(array(element)).into(),
            DType::U64 => u64::from_le_bytes(array(element)) as f64,
        }
    })
}
