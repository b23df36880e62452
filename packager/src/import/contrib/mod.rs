//! Operators of the domain `com.microsoft`, which ONNX Runtime's tools write, as what they mean in operators of the standard.
//!
//! Each is a function from one node to several. A form that is not written out here is an operator that is not known. `MatMulNBits` alone
//! stays what it is: its weights would be many times as large in an operator of the standard.

mod floats;
mod quantized;

use super::emit::{Emit, node};
use super::error::Why;
use super::model::{Attributes, Constant, Model, input, output};
use pannier_graph::{Attribute, Node, ValueId};

const DOMAIN: &str = "com.microsoft";

/// Its operators that the program keeps.
const KEPT: &[&str] = &["MatMulNBits"];

/// Whether a node is one of those that [`expand`] is for.
pub(super) fn is_for(node: &Node) -> bool {
    node.domain == DOMAIN || function(node).is_some()
}

/// Appends what a node is in operators of the standard, or the node itself if that is an operator of the standard already.
///
/// # Errors
/// [`Why::UnknownOperator`] for a form that is not written out.
pub(super) fn expand(node: Node, model: &mut Model, out: &mut Vec<Node>) -> Result<(), Why> {
    let kept = node.domain.is_empty() || KEPT.contains(&node.op.as_str());
    let first = out.len();
    if written_out(&node, model, out).is_some() {
        return Ok(());
    }
    out.truncate(first);
    if !kept {
        return Err(Why::UnknownOperator);
    }
    out.push(node);
    Ok(())
}

fn written_out(node: &Node, model: &mut Model, out: &mut Vec<Node>) -> Option<()> {
    let function = function(node)?;
    let first = out.len();
    let result = function(&mut Call { emit: Emit::new(model, out, &node.name), node })?;
    // The result is that of the last node that was written. Other results have to be written as what they are.
    let (last, before) = out.get_mut(first..)?.split_last_mut().filter(|(last, _)| last.outputs == [Some(result)])?;
    last.outputs = vec![output(node, 0)];
    let is_written =
        |value: &Option<ValueId>| value.is_none() || before.iter().any(|node| node.outputs.contains(value));
    node.outputs.iter().skip(1).all(is_written).then_some(())
}

/// What function writes a node out.
fn function(node: &Node) -> Option<fn(&mut Call<'_>) -> Option<ValueId>> {
    if node.domain.is_empty() {
        return match node.op.as_str() {
            "QLinearConv" => Some(quantized::conv),
            "QLinearMatMul" => Some(quantized::matmul),
            _ => None,
        };
    }
    if node.domain != DOMAIN {
        return None;
    }
    Some(match node.op.as_str() {
        "Attention" => floats::attention,
        "BiasGelu" => floats::bias_gelu,
        "DynamicQuantizeLSTM" => quantized::dynamic_lstm,
        "DynamicQuantizeMatMul" => quantized::dynamic_matmul,
        "EmbedLayerNormalization" => floats::embed_layer_norm,
        "FastGelu" => floats::fast_gelu,
        "FusedConv" => floats::fused_conv,
        "FusedGemm" => floats::fused_gemm,
        "FusedMatMul" => floats::fused_matmul,
        "Gelu" => floats::gelu,
        "MatMulIntegerToFloat" => quantized::matmul_to_float,
        "MultiHeadAttention" => floats::multi_head_attention,
        "QGemm" => quantized::gemm,
        "QLinearAdd" | "QLinearMul" => quantized::binary,
        "QLinearAveragePool"
        | "QLinearGlobalAveragePool"
        | "QLinearLeakyRelu"
        | "QLinearSigmoid"
        | "QLinearSoftmax" => quantized::unary,
        "QLinearConcat" => quantized::concat,
        "QuickGelu" => floats::quick_gelu,
        "SkipLayerNormalization" => floats::skip_layer_norm,
        _ => return None,
    })
}

/// A node that is being written out.
struct Call<'a> {
    emit: Emit<'a>,
    node: &'a Node,
}

/// Attributes by name.
type Named = (&'static str, Attribute);

impl Call<'_> {
    fn input(&self, index: usize) -> Option<ValueId> {
        input(self.node, index)
    }

    fn is_constant(&self, index: usize) -> bool {
        self.emit.model.known(self.input(index)).is_some()
    }

    /// Shape of an operand that is a constant.
    fn constant_shape(&self, index: usize) -> Option<&[u64]> {
        Some(&self.emit.model.known(self.input(index))?.shape)
    }

    /// How many axes an operand has, if that is known.
    fn rank(&self, index: usize) -> Option<usize> {
        self.emit.model.rank(self.input(index)?)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.node.int_or(name, default)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.node.float(name).unwrap_or(default)
    }

    /// The node's attributes but for these.
    fn attributes_without(&self, names: &[&str]) -> Vec<(String, Attribute)> {
        self.node.attributes.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect()
    }

    /// Writes a node of the standard; returns its result.
    fn emit(&mut self, op: &str, inputs: &[Option<ValueId>], attributes: Vec<(String, Attribute)>) -> ValueId {
        self.emit_with_outputs(op, inputs, 1, attributes)[0]
    }

    /// The same with more than one result.
    fn emit_with_outputs(
        &mut self,
        op: &str,
        inputs: &[Option<ValueId>],
        outputs: usize,
        attributes: Vec<(String, Attribute)>,
    ) -> Vec<ValueId> {
        let base = &self.node.name;
        let values: Vec<ValueId> = (0..outputs).map(|_| self.emit.model.value(&format!("{base}/{op}"))).collect();
        let mut written = node(op, inputs.to_vec(), values.iter().copied().map(Some).collect(), []);
        attributes.into_iter().for_each(|(name, value)| written.set(&name, value));
        self.emit.push(written);
        values
    }

    /// A node whose operands are all there.
    fn op(&mut self, op: &str, inputs: &[ValueId], attributes: &[Named]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.emit(op, &inputs, attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    fn number(&mut self, value: f32) -> ValueId {
        self.emit.constant(Constant::from_floats(&[], &[value]))
    }

    fn ints(&mut self, values: &[i64]) -> ValueId {
        self.emit.ints(values)
    }
}
