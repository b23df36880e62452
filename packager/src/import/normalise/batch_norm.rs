//! Batch normalisation as part of the layer before it.

use super::{Tally, uses};
use crate::import::emit::Emit;
use crate::import::emit::node as new_node;
use crate::import::model::{Attributes, Constant, Model, index, input, output};
use pannier_graph::{Attribute, DType, Node, ValueId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Folds `BatchNormalization` into the `Conv`, `ConvTranspose`, `Gemm` or `MatMul` before it, if nothing else uses
/// what that gives and both have constant parameters. Computed in binary64 and rounded once.
///
/// `y = (x - mean) / sqrt(variance + epsilon) * scale + bias` for each channel is `y = factor * x + offset`
/// (Ioffe and Szegedy 2015), so the weights of a channel are multiplied by `factor`.
pub(super) fn fold(model: &mut Model, tally: &mut Tally) {
    let mut body = std::mem::take(&mut model.body);
    let counts = uses::count(&body, model.len());
    let mut producer: BTreeMap<ValueId, usize> = BTreeMap::new();
    for (position, node) in body.nodes.iter().enumerate() {
        producer.extend(output(node, 0).map(|value| (value, position)));
    }
    // By position of the layer: the nodes that take its place. By position of the normalisation: nothing.
    let mut replaced: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
    let mut folded = 0;
    for (position, node) in body.nodes.iter().enumerate() {
        let Some(x) = input(node, 0).filter(|x| counts.get(index(*x)) == Some(&1)) else { continue };
        let Some(layer) = producer.get(&x).filter(|layer| !replaced.contains_key(layer)) else { continue };
        let Some(norm) = Normalisation::of(model, node) else { continue };
        let Some(nodes) = body.nodes.get(*layer).and_then(|layer| norm.in_layer(model, layer, node)) else {
            continue;
        };
        replaced.insert(*layer, nodes);
        replaced.insert(position, Vec::new());
        folded += 1;
    }
    let mut nodes = Vec::with_capacity(body.nodes.len());
    for (position, node) in std::mem::take(&mut body.nodes).into_iter().enumerate() {
        match replaced.remove(&position) {
            Some(instead) => nodes.extend(instead),
            None => nodes.push(node),
        }
    }
    body.nodes = nodes;
    model.body = body;
    tally.add(["folded 1 BatchNormalization", "folded # BatchNormalization"], folded);
}

/// `y = factor * x + offset` for each channel.
struct Normalisation {
    factors: Vec<f64>,
    offsets: Vec<f64>,
}

impl Normalisation {
    fn of(model: &Model, node: &Node) -> Option<Normalisation> {
        if node.op != "BatchNormalization" || !node.domain.is_empty() || node.int_or("training_mode", 0) != 0 {
            return None;
        }
        let parameter = |index| model.known(input(node, index))?.floats();
        let (scale, bias, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let factors: Vec<f64> = scale.iter().zip(&variance).map(|(scale, v)| scale / (v + epsilon).sqrt()).collect();
        let offsets: Vec<f64> =
            bias.iter().zip(&mean).zip(&factors).map(|((bias, mean), factor)| bias - mean * factor).collect();
        let complete = offsets.len() == scale.len() && factors.iter().chain(&offsets).all(|value| value.is_finite());
        complete.then_some(Normalisation { factors, offsets })
    }

    /// The layer with the normalisation in it, giving what the normalisation gave.
    fn in_layer(&self, model: &mut Model, layer: &Node, norm: &Node) -> Option<Vec<Node>> {
        if !layer.domain.is_empty() {
            return None;
        }
        let weight = input(layer, 1)?;
        let constant = model.constants.get(&weight)?.clone();
        let channels = self.factors.len();
        let shape: Vec<usize> =
            constant.shape.iter().map(|size| usize::try_from(*size)).collect::<Result<_, _>>().ok()?;
        let out = norm.outputs.clone();
        let base = layer.name.clone();
        match (layer.op.as_str(), shape.as_slice()) {
            ("Conv", [filters, inner @ ..]) if *filters == channels => {
                let inner: usize = inner.iter().product();
                let scaled = scale(&constant, |element| element / inner.max(1), &self.factors)?;
                let bias = self.bias(model, input(layer, 2), 1.0)?;
                Some(vec![with_parameters(model, layer, scaled, bias, out)])
            }
            ("ConvTranspose", [_, filters, kernel @ ..]) => {
                let groups = usize::try_from(layer.int_or("group", 1)).ok().filter(|groups| *groups > 0)?;
                let depth = shape.first().copied()?;
                if filters.checked_mul(groups)? != channels || depth % groups != 0 || depth == 0 {
                    return None;
                }
                let kernel: usize = kernel.iter().product::<usize>().max(1);
                let per_group = depth / groups;
                let channel = |element: usize| {
                    let (row, column) = (element / (filters * kernel), element / kernel % filters);
                    row / per_group * filters + column
                };
                let scaled = scale(&constant, channel, &self.factors)?;
                let bias = self.bias(model, input(layer, 2), 1.0)?;
                Some(vec![with_parameters(model, layer, scaled, bias, out)])
            }
            ("Gemm", [rows, columns]) => {
                let transposed = layer.int_or("transB", 0) != 0;
                if *(if transposed { rows } else { columns }) != channels {
                    return None;
                }
                let channel = |element: usize| if transposed { element / columns } else { element % columns };
                let scaled = scale(&constant, channel, &self.factors)?;
                let beta = layer.float("beta").unwrap_or(1.0);
                let bias = self.bias(model, input(layer, 2), beta.into())?;
                let mut gemm = with_parameters(model, layer, scaled, bias, out);
                gemm.take("beta");
                Some(vec![gemm])
            }
            ("MatMul", [_, columns]) if *columns == channels && model.rank(output(layer, 0)?) == Some(2) => {
                let scaled = scale(&constant, |element| element % columns, &self.factors)?;
                let bias = self.bias(model, None, 1.0)?;
                let bias = rounded(constant.dtype, &[bias.len() as u64], &bias)?;
                let mut nodes = Vec::new();
                let mut emit = Emit::new(model, &mut nodes, &base);
                let (scaled, bias) = (emit.constant(scaled), emit.constant(bias));
                let product = emit.op("MatMul", &[input(layer, 0)?, scaled]);
                emit.push(new_node("Add", vec![Some(product), Some(bias)], out, []));
                Some(nodes)
            }
            _ => None,
        }
    }

    /// `factor * beta * bias + offset`, where the layer's bias is one number or one for each channel.
    fn bias(&self, model: &Model, bias: Option<ValueId>, beta: f64) -> Option<Vec<f64>> {
        let bias = match bias {
            None => vec![0.0],
            Some(value) => {
                let constant = model.constants.get(&value)?;
                // Along the channels only: [], [1], [channels] or [1, channels].
                if constant.shape.iter().rev().skip(1).any(|size| *size != 1) {
                    return None;
                }
                constant.floats()?
            }
        };
        if ![1, self.factors.len()].contains(&bias.len()) {
            return None;
        }
        let each = bias.iter().cycle().zip(&self.factors).zip(&self.offsets);
        Some(each.map(|((bias, factor), offset)| factor * beta * bias + offset).collect())
    }
}

fn with_parameters(
    model: &mut Model,
    layer: &Node,
    weight: Constant,
    bias: Vec<f64>,
    outputs: Vec<Option<ValueId>>,
) -> Node {
    let dtype = weight.dtype;
    let name = input(layer, 1).map(|value| model.name(value).to_owned()).unwrap_or_default();
    let weight = model.constant(&name, weight);
    let name = input(layer, 2).map_or_else(|| format!("{}/bias", layer.name), |value| model.name(value).to_owned());
    let bias = rounded(dtype, &[bias.len() as u64], &bias).map(|bias| model.constant(&name, bias));
    let inputs = vec![input(layer, 0), Some(weight), bias];
    let attributes: Vec<(String, Attribute)> = layer.attributes.clone();
    Node { inputs, outputs, attributes, ..layer.clone() }
}

/// The weight with each element multiplied by the factor of its channel.
fn scale(weight: &Constant, channel: impl Fn(usize) -> usize, factors: &[f64]) -> Option<Constant> {
    let mut values = weight.floats()?;
    for (element, value) in values.iter_mut().enumerate() {
        *value *= factors.get(channel(element))?;
    }
    rounded(weight.dtype, &weight.shape, &values)
}

/// Numbers rounded to a floating-point type.
fn rounded(dtype: DType, shape: &[u64], values: &[f64]) -> Option<Constant> {
    let bytes = match dtype {
        DType::F32 => values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
        DType::F64 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DType::F16 => values.iter().flat_map(|value| half::f16::from_f64(*value).to_le_bytes()).collect(),
        DType::BF16 => values.iter().flat_map(|value| half::bf16::from_f64(*value).to_le_bytes()).collect(),
        _ => return None,
    };
    Some(Constant { dtype, shape: shape.to_vec(), bytes: Arc::new(bytes) })
}
