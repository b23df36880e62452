//! Constant weights take the form that their kernels read.
//!
//! Plans of one program share what they pack, and a weight that is packed is kept as it was stored only where somebody
//! still reads it so.

use super::Context;
use super::stored::Layer;
use crate::fused::{Fused, Quantized, Weights};
use crate::import::Stop;
use crate::ir::{Constant, Id, Ir, Node, Op};
use crate::view::{floats, floats_mut};
use crate::weights::{Form, PackedKey};
use pannier_engine::{DType, EngineError};
use pannier_graph::{AlignedBytes, Span};
use pannier_kernels::{Packing, StoredPacking};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) fn run(ir: &mut Ir, context: &Context<'_>) -> Result<(), Stop> {
    let mut nodes = std::mem::take(&mut ir.nodes);
    let mut readers = Readers::new(ir, &nodes);
    // From the end: weights that were given memory of their own lie in that order, so what is packed next fits into what
    // those before have left, and the heap does not grow.
    for node in nodes.iter_mut().rev() {
        context.limits.check_time(&node.name)?;
        pack(ir, context, &mut readers, node)
            .map_err(|reason| EngineError::Failed { node: node.name.clone(), reason })?;
    }
    ir.nodes = nodes;
    Ok(())
}

fn pack(ir: &mut Ir, context: &Context<'_>, readers: &mut Readers, node: &mut Node) -> Result<(), String> {
    let Op::Fused(fused) = &mut node.op else { return Ok(()) };
    if let Fused::Quantized(layer) = fused {
        let Some(weights) = node.inputs.get_mut(1).filter(|_| !layer.packed) else { return Ok(()) };
        return integers(ir, context, readers, layer, weights);
    }
    // The weights and the bias behind them, which one packed constant takes the place of.
    let weights = node.inputs.get(1).copied().flatten();
    let packings = match fused {
        Fused::Conv(conv) if !conv.packed => {
            conv.packed = true;
            let packing = Layer::conv(&conv.conv).packing(ir, weights);
            conv.storage = packing.1;
            [Some(packing), None]
        }
        Fused::ConvTranspose(conv) if !conv.packed => {
            conv.packed = true;
            [Some((conv.conv.packing(), None)), None]
        }
        Fused::MatMul(matmul) => {
            let Weights::Constant { transposed } = matmul.weights else { return Ok(()) };
            let rows = matmul.batch * matmul.rows;
            let packing = Layer::matmul(&matmul.product, rows, transposed).packing(ir, weights);
            matmul.weights = Weights::Packed(packing.1);
            [Some(packing), None]
        }
        Fused::Lstm(lstm) if !lstm.packed => {
            lstm.packed = true;
            let recurrent = node.inputs.get(3).copied().flatten();
            let input = Layer::matmul(&lstm.input, lstm.steps * lstm.batch, true).packing(ir, weights);
            let hidden = Layer::matmul(&lstm.hidden, lstm.batch, true).packing(ir, recurrent);
            lstm.storage = [input.1, hidden.1];
            [Some(input), Some(hidden)]
        }
        _ => return Ok(()),
    };
    for (at, (packing, storage)) in (1..).zip(packings.into_iter().flatten()) {
        let weights = node.input(at).ok_or("the weights are missing")?;
        let form = storage.and_then(|storage| packing.stored(storage));
        let packed = packed(ir, context, readers, &packing, form, weights, node.input(at + 1))?;
        node.inputs.splice(at..at + 2, [Some(packed)]);
    }
    Ok(())
}

/// The packed form of constants that one node reads; the node then reads this instead. `form`: weights stay as they are stored.
fn packed(
    ir: &mut Ir,
    context: &Context<'_>,
    readers: &mut Readers,
    packing: &Packing,
    form: Option<StoredPacking>,
    weights: Id,
    bias: Option<Id>,
) -> Result<Id, String> {
    let constant = |id: Id| ir.values[id].constant.clone().ok_or("the weights are no constant");
    let (stored, of_bias) = (constant(weights)?, bias.map(constant).transpose()?);
    let identity = of_bias.as_ref().map(Constant::identity);
    let as_stored = form.zip(stored.as_encoded().cloned());
    let storage = as_stored.as_ref().map(|(form, _)| form.storage());
    let key = PackedKey { packing: *packing, storage, weights: stored.identity(), bias: identity };
    let bytes = context.weights.packed(key, || {
        let size_bytes = match &as_stored {
            Some((form, _)) => Some(form.packed_bytes()),
            None => packing.packed_len().checked_mul(4),
        };
        let mut bytes = size_bytes.and_then(AlignedBytes::lasting).ok_or("there is no memory for packed weights")?;
        let bias = of_bias.as_ref().map(|bias| floats(bias.bytes())).transpose()?;
        match &as_stored {
            Some((form, encoded)) => encoded.pack(form, bias, bytes.as_bytes_mut()),
            None => packing.pack(floats(stored.bytes())?, bias, floats_mut(bytes.as_bytes_mut())?),
        }
        .map_err(|error| error.to_string())?;
        Ok::<_, String>(bytes)
    })?;
    if readers.leave(weights, &stored) {
        ir.values[weights].constant = None;
        match (stored.stored_span(), &as_stored) {
            (Some(span), Some((form, encoded))) => {
                let (order, size_bytes) = encoded.order(form);
                context.weights.replace(span, Form::Stored(*form, order, size_bytes), &bytes);
            }
            (Some(span), None) if stored.as_encoded().is_some() => context.weights.widened(span),
            (Some(span), None) => context.weights.replace(span, Form::Floats(*packing), &bytes),
            (None, _) => {}
        }
    }
    let name = ir.values[weights].name.clone();
    let (dtype, len) = match as_stored {
        Some((form, _)) => (DType::U8, form.packed_bytes()),
        None => (DType::F32, packing.packed_len()),
    };
    Ok(ir.constant(&name, dtype, vec![len], Constant::shared(bytes)))
}

/// Integers in the order in which their layer reads them; what they stand for is a part of that.
fn integers(
    ir: &mut Ir,
    context: &Context<'_>,
    readers: &mut Readers,
    layer: &mut Quantized,
    weights: &mut Option<Id>,
) -> Result<(), String> {
    let id = weights.ok_or("the weights are missing")?;
    let stored = ir.values[id].constant.clone().ok_or("the weights are no constant")?;
    let size_bytes = layer.packed_len().checked_mul(4);
    let mut bytes = size_bytes.and_then(AlignedBytes::lasting).ok_or("there is no memory for packed weights")?;
    layer.pack(stored.bytes(), bytemuck::cast_slice_mut(bytes.as_bytes_mut()))?;
    layer.packed = true;
    let bytes = Arc::new(bytes);
    if readers.leave(id, &stored) {
        ir.values[id].constant = None;
        if let Some(span) = stored.span() {
            context.weights.replace(span, Form::Bytes(layer.packing()), &bytes);
        }
    }
    let name = ir.values[id].name.clone();
    *weights = Some(ir.constant(&name, DType::I32, vec![layer.packed_len()], Constant::shared(bytes)));
    Ok(())
}

/// How many operands there are still of each constant, and of each weight whatever it is called.
struct Readers {
    values: Vec<usize>,
    spans: HashMap<Span, usize>,
}

impl Readers {
    fn new(ir: &Ir, nodes: &[Node]) -> Readers {
        let mut readers = Readers { values: vec![0; ir.values.len()], spans: HashMap::new() };
        for id in nodes.iter().flat_map(|node| &node.inputs).flatten().chain(&ir.outputs) {
            readers.values[*id] += 1;
            if let Some(span) = ir.values[*id].constant.as_ref().and_then(Constant::stored_span) {
                *readers.spans.entry(span).or_default() += 1;
            }
        }
        readers
    }

    /// One node reads something else now. Whether nobody reads the constant any more.
    fn leave(&mut self, id: Id, constant: &Constant) -> bool {
        let count = |slot: Option<&mut usize>| {
            slot.is_none_or(|count| {
                *count = count.saturating_sub(1);
                *count == 0
            })
        };
        let of_span = count(constant.stored_span().and_then(|span| self.spans.get_mut(&span)));
        count(self.values.get_mut(id)) && of_span
    }
}
