//! `Scan` of opset 8, which had a batch dimension.

use super::{take_int, take_ints};
use crate::import::emit::{Emit, node};
use crate::import::error::Why;
use crate::import::model::{Attributes, input};
use pannier_graph::{Attribute, Body, Input, Node, ValueId};

/// Before opset 9 states and sequences had a leading batch dimension, and each element of the batch was scanned for
/// itself. So it is a scan over the batch around a scan over the sequence.
pub(super) fn batched(mut old: Node, _version: u32, emit: &mut Emit<'_>) -> Result<(), Why> {
    if input(&old, 0).is_some() {
        return Err(Why::Upgrade { reason: "it states sequence lengths" });
    }
    let missing = |name: &str| Why::AttributeMissing(name.to_owned());
    let sequences = take_int(&mut old, "num_scan_inputs")?.ok_or_else(|| missing("num_scan_inputs"))?;
    let directions = take_ints(&mut old, "directions")?;
    let body = old.take("body").ok_or_else(|| missing("body"))?;
    let inputs: Vec<Option<ValueId>> = old.inputs.iter().skip(1).copied().collect();
    let known = usize::try_from(sequences).ok().filter(|count| *count <= inputs.len());
    if known.is_none() {
        return Err(Why::Attribute { name: "num_scan_inputs".to_owned(), reason: "more than there are inputs" });
    }

    let each: Vec<ValueId> = inputs.iter().map(|_| emit.model.value(&format!("{}/element", old.name))).collect();
    let results: Vec<ValueId> = old.outputs.iter().map(|_| emit.model.value(&format!("{}/result", old.name))).collect();
    let mut inner = node(
        "Scan",
        each.iter().copied().map(Some).collect(),
        results.iter().copied().map(Some).collect(),
        [("body", body), ("num_scan_inputs", Attribute::Int(sequences))],
    );
    if let Some(directions) = directions {
        inner.set("scan_input_directions", Attribute::Ints(directions));
    }
    inner.name = format!("{}/sequence", old.name);
    let over_batch = Body {
        inputs: each.iter().map(|value| Input { value: *value, dtype: None, shape: None }).collect(),
        outputs: results,
        nodes: vec![inner],
        weights: Vec::new(),
    };
    let count = i64::try_from(inputs.len()).unwrap_or(i64::MAX);
    let attributes = [("body", Attribute::Body(Box::new(over_batch))), ("num_scan_inputs", Attribute::Int(count))];
    emit.push(node("Scan", inputs, old.outputs, attributes));
    Ok(())
}
