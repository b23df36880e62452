//! The operators of the standard, in simple code that is right for every type.
//!
//! To add one: write it in the file of its family (or a new one), as a type that implements [`Operator`] and a function
//! that makes it from a node's attributes; then add a line to [`TABLE`]. `supports()`, shape inference, folding and
//! running all go through this one trait. What is hot is replaced later by an operator of [`fused`](crate::fused).

mod attention;
mod attributes;
mod cast;
mod choose;
mod concat;
mod conv;
mod einsum;
mod elementwise;
mod fill;
mod fourier;
mod gather;
mod index;
mod matmul;
mod matmul_nbits;
mod normalise;
mod pad;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod sample;
mod scatter;
mod shapes;
mod slice;
mod softmax;
mod transpose;
mod window;

pub(crate) use attributes::Attributes;
pub(crate) use concat::along as concat_along;
pub(crate) use conv::Geometry;
pub(crate) use gather::index_at as gather_index;
pub(crate) use resize::{ResizeMode, given as resize_sizes, parse as parse_resize};
pub(crate) use slice::sliced;
pub(crate) use transpose::order as transpose_order;
pub(crate) use window::{Axis, Window};

use crate::ir::Constant;
use crate::limits::Going;
use crate::view::{Failure, View, ViewMut};
use pannier_engine::DType;
use pannier_graph::Node;
use pannier_kernels::ThreadPool;
use std::fmt::{self, Debug};
use std::sync::Arc;

/// Why an operator cannot be planned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// It is not implemented; what is missing, in a few words.
    Unsupported(String),
    /// The node breaks the standard.
    Invalid(String),
    /// The value of this operand must be known when the plan is made.
    NeedsValue(usize),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Invalid(reason)
    }
}

/// What is known of an operand when a plan is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact<'a> {
    pub(crate) dtype: DType,
    pub(crate) shape: &'a [usize],
    /// The elements, if they are known.
    pub(crate) value: Option<&'a Constant>,
}

/// The operands of a node: `None` where an optional one is absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a>(pub(crate) &'a [Option<Fact<'a>>]);

impl<'a> Facts<'a> {
    pub(crate) fn get(&self, index: usize) -> Option<Fact<'a>> {
        self.0.get(index).copied().flatten()
    }

    pub(crate) fn has(&self, index: usize) -> bool {
        self.get(index).is_some()
    }

    pub(crate) fn shape(&self, index: usize) -> Result<&'a [usize], Refusal> {
        self.get(index).map(|fact| fact.shape).ok_or_else(|| absent(index))
    }

    /// The elements of a known operand.
    pub(crate) fn value(&self, index: usize) -> Result<View<'a>, Refusal> {
        let fact = self.get(index).ok_or_else(|| absent(index))?;
        let bytes = fact.value.ok_or(Refusal::NeedsValue(index))?.bytes();
        Ok(View { dtype: fact.dtype, shape: fact.shape, bytes })
    }

    /// The integers of a known operand.
    pub(crate) fn ints(&self, index: usize) -> Result<Vec<i64>, Refusal> {
        Ok(self.value(index)?.to_ints()?)
    }

    /// The integers of a known operand, if it is there.
    pub(crate) fn ints_if_any(&self, index: usize) -> Result<Option<Vec<i64>>, Refusal> {
        if self.has(index) { self.ints(index).map(Some) } else { Ok(None) }
    }

    /// The one integer of a known operand.
    pub(crate) fn int(&self, index: usize) -> Result<i64, Refusal> {
        match self.ints(index)?.as_slice() {
            [value] => Ok(*value),
            other => Err(Refusal::Invalid(format!("operand {index} has {} elements, expected 1", other.len()))),
        }
    }
}

fn absent(index: usize) -> Refusal {
    Refusal::Invalid(format!("operand {index} is missing"))
}

/// Operands and results of one run of an operator.
pub(crate) struct Io<'a, 'b> {
    pub(crate) inputs: &'b [Option<View<'a>>],
    pub(crate) outputs: &'b mut [Option<ViewMut<'a>>],
    /// Arbitrary bytes, as many as [`Operator::scratch_bytes`] asked for, for an operator that shares its work once for each
    /// thread; aligned for every type.
    pub(crate) scratch: &'b mut [u8],
    /// Threads to share work with.
    pub(crate) pool: Option<&'b dyn ThreadPool>,
    /// Asked by long operators whether to go on.
    pub(crate) limits: Going<'b>,
}

impl<'a> Io<'a, '_> {
    pub(crate) fn input(&self, index: usize) -> Result<View<'a>, Failure> {
        self.get(index).ok_or_else(|| format!("operand {index} is missing"))
    }

    pub(crate) fn get(&self, index: usize) -> Option<View<'a>> {
        self.inputs.get(index).copied().flatten()
    }

    /// The result at `index`; the operator is only called if somebody wants at least one of its results.
    pub(crate) fn output(&mut self, index: usize) -> Result<&mut ViewMut<'a>, Failure> {
        self.output_if_any(index).ok_or_else(|| format!("nobody wants result {index}"))
    }

    pub(crate) fn output_if_any(&mut self, index: usize) -> Option<&mut ViewMut<'a>> {
        self.outputs.get_mut(index).and_then(Option::as_mut)
    }
}

/// One operator with its attributes.
pub(crate) trait Operator: Send + Sync {
    /// Types of the results, given those of the operands. Refuses types that it does not compute.
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal>;

    /// Shapes of the results.
    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal>;

    /// Operands whose values [`shapes`](Operator::shapes) wants to know.
    fn needs(&self) -> &'static [usize] {
        &[]
    }

    /// Whether it shares its work between threads: then each has scratch memory of its own.
    fn shares(&self) -> bool {
        false
    }

    /// Bytes of scratch memory that a run takes, by each thread.
    fn scratch_bytes(&self, _inputs: &Facts<'_>) -> usize {
        0
    }

    /// Floating-point operations of a run, 0 where that is not what takes the time.
    fn flops(&self, _inputs: &Facts<'_>) -> usize {
        0
    }

    /// Operands that the first result may take the place of, if they are of the same size and nobody else needs them. Such
    /// an operand is then absent from a run, and the result holds its elements.
    fn in_place(&self) -> &'static [usize] {
        &[]
    }

    /// Parameters and fused parts, for people.
    fn detail(&self) -> String {
        String::new()
    }

    /// Computes the results. Types and shapes are those that were inferred.
    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure>;
}

/// Not what each operator derives: that would be linked, though nobody asks for it.
impl Debug for dyn Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operator({})", self.detail())
    }
}

/// Makes an operator of a node.
pub(crate) type Build = fn(&Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal>;

/// Every operator of the domain `ai.onnx`, sorted by name.
static TABLE: &[(&str, Build)] = &[
    ("Abs", elementwise::unary),
    ("Acos", elementwise::unary),
    ("Acosh", elementwise::unary),
    ("Add", elementwise::binary),
    ("And", elementwise::binary),
    ("ArgMax", choose::arg_extreme),
    ("ArgMin", choose::arg_extreme),
    ("Asin", elementwise::unary),
    ("Asinh", elementwise::unary),
    ("Atan", elementwise::unary),
    ("Atanh", elementwise::unary),
    ("Attention", attention::attention),
    ("AveragePool", pool::pool),
    ("BatchNormalization", normalise::batch),
    ("BitShift", elementwise::bit_shift),
    ("BitwiseAnd", elementwise::binary),
    ("BitwiseNot", elementwise::unary),
    ("BitwiseOr", elementwise::binary),
    ("BitwiseXor", elementwise::binary),
    ("BlackmanWindow", fill::window),
    ("Cast", cast::cast),
    ("CastLike", cast::cast_like),
    ("Ceil", elementwise::unary),
    ("Celu", elementwise::unary),
    ("Clip", elementwise::clip),
    ("Compress", choose::compress),
    ("Concat", concat::concat),
    ("Constant", fill::constant),
    ("ConstantOfShape", fill::constant_of_shape),
    ("Conv", conv::conv),
    ("ConvInteger", conv::conv_integer),
    ("ConvTranspose", conv::conv_transpose),
    ("Cos", elementwise::unary),
    ("Cosh", elementwise::unary),
    ("CumSum", reduce::cum_sum),
    ("DFT", fourier::dft),
    ("DepthToSpace", shapes::depth_to_space),
    ("DequantizeLinear", quantize::dequantize),
    ("Det", index::det),
    ("Div", elementwise::binary),
    ("Dropout", shapes::identity),
    ("DynamicQuantizeLinear", quantize::dynamic_quantize),
    ("Einsum", einsum::einsum),
    ("Elu", elementwise::unary),
    ("Equal", elementwise::binary),
    ("Erf", elementwise::unary),
    ("Exp", elementwise::unary),
    ("Expand", shapes::expand),
    ("EyeLike", fill::eye_like),
    ("Flatten", shapes::flatten),
    ("Floor", elementwise::unary),
    ("GRU", recurrent::recurrent),
    ("Gather", gather::gather),
    ("GatherElements", gather::gather_elements),
    ("GatherND", gather::gather_nd),
    ("Gelu", elementwise::unary),
    ("Gemm", matmul::gemm),
    ("GlobalAveragePool", pool::global_pool),
    ("GlobalMaxPool", pool::global_pool),
    ("Greater", elementwise::binary),
    ("GreaterOrEqual", elementwise::binary),
    ("GridSample", sample::grid_sample),
    ("GroupNormalization", normalise::group),
    ("HammingWindow", fill::window),
    ("HannWindow", fill::window),
    ("HardSigmoid", elementwise::unary),
    ("HardSwish", elementwise::unary),
    ("Hardmax", softmax::hardmax),
    ("Identity", shapes::identity),
    ("InstanceNormalization", normalise::instance),
    ("IsInf", elementwise::is_inf),
    ("IsNaN", elementwise::unary),
    ("LRN", normalise::lrn),
    ("LSTM", recurrent::recurrent),
    ("LayerNormalization", normalise::layer),
    ("LeakyRelu", elementwise::unary),
    ("Less", elementwise::binary),
    ("LessOrEqual", elementwise::binary),
    ("Log", elementwise::unary),
    ("LogSoftmax", softmax::softmax),
    ("LpNormalization", normalise::lp),
    ("LpPool", pool::pool),
    ("MatMul", matmul::matmul),
    ("MatMulInteger", matmul::matmul_integer),
    ("Max", elementwise::variadic),
    ("MaxPool", pool::pool),
    ("Mean", elementwise::variadic),
    ("MeanVarianceNormalization", normalise::mean_variance),
    ("Min", elementwise::variadic),
    ("Mish", elementwise::unary),
    ("Mod", elementwise::modulo),
    ("Mul", elementwise::binary),
    ("Neg", elementwise::unary),
    ("NonZero", choose::non_zero),
    ("Not", elementwise::unary),
    ("OneHot", index::one_hot),
    ("Or", elementwise::binary),
    ("PRelu", elementwise::binary),
    ("Pad", pad::pad),
    ("Pow", elementwise::binary),
    ("QLinearConv", conv::qlinear_conv),
    ("QLinearMatMul", matmul::qlinear_matmul),
    ("QuantizeLinear", quantize::quantize),
    ("RMSNormalization", normalise::rms),
    ("RNN", recurrent::recurrent),
    ("Range", fill::range),
    ("Reciprocal", elementwise::unary),
    ("ReduceL1", reduce::reduce),
    ("ReduceL2", reduce::reduce),
    ("ReduceLogSum", reduce::reduce),
    ("ReduceLogSumExp", reduce::reduce),
    ("ReduceMax", reduce::reduce),
    ("ReduceMean", reduce::reduce),
    ("ReduceMin", reduce::reduce),
    ("ReduceProd", reduce::reduce),
    ("ReduceSum", reduce::reduce),
    ("ReduceSumSquare", reduce::reduce),
    ("Relu", elementwise::unary),
    ("Reshape", shapes::reshape),
    ("Resize", resize::resize),
    ("ReverseSequence", index::reverse_sequence),
    ("RotaryEmbedding", attention::rotary),
    ("Round", elementwise::unary),
    ("STFT", fourier::stft),
    ("ScatterElements", scatter::scatter_elements),
    ("ScatterND", scatter::scatter_nd),
    ("Selu", elementwise::unary),
    ("Shape", shapes::shape),
    ("Shrink", elementwise::unary),
    ("Sigmoid", elementwise::unary),
    ("Sign", elementwise::unary),
    ("Sin", elementwise::unary),
    ("Sinh", elementwise::unary),
    ("Size", shapes::size),
    ("Slice", slice::slice),
    ("Softmax", softmax::softmax),
    ("Softplus", elementwise::unary),
    ("Softsign", elementwise::unary),
    ("SpaceToDepth", shapes::space_to_depth),
    ("Split", slice::split),
    ("Sqrt", elementwise::unary),
    ("Squeeze", shapes::squeeze),
    ("Sub", elementwise::binary),
    ("Sum", elementwise::variadic),
    ("Swish", elementwise::unary),
    ("Tan", elementwise::unary),
    ("Tanh", elementwise::unary),
    ("ThresholdedRelu", elementwise::unary),
    ("Tile", shapes::tile),
    ("TopK", choose::top_k),
    ("Transpose", transpose::transpose),
    ("Trilu", index::trilu),
    ("Unsqueeze", shapes::unsqueeze),
    ("Where", elementwise::where_),
    ("Xor", elementwise::binary),
];

/// Operators of the domain `com.microsoft`, sorted by name: those that importers do not write as several of the standard.
static MICROSOFT: &[(&str, Build)] = &[("MatMulNBits", matmul_nbits::matmul_nbits)];

/// Makes the operator of a node.
///
/// # Errors
/// [`Refusal::Unsupported`] with `operator` if there is none, or what its constructor says.
pub(crate) fn build(node: &Node) -> Result<Arc<dyn Operator>, Refusal> {
    let table = match node.domain.as_str() {
        "" => TABLE,
        "com.microsoft" => MICROSOFT,
        _ => &[],
    };
    let found = table.binary_search_by(|(name, _)| (*name).cmp(&node.op)).ok();
    match found.and_then(|index| table.get(index)) {
        Some((_, build)) => build(&Attributes::new(node)),
        None => Err(Refusal::Unsupported("operator".into())),
    }
}

/// Refuses operands of other types than these.
pub(crate) fn expect_type(inputs: &[Option<DType>], index: usize, allowed: &[DType]) -> Result<DType, Refusal> {
    let dtype = inputs.get(index).copied().flatten().ok_or_else(|| absent(index))?;
    if allowed.contains(&dtype) {
        return Ok(dtype);
    }
    Err(Refusal::Unsupported(format!("element type {}", dtype.name())))
}

/// Whether the operand has the type of the first one, if it is there.
pub(crate) fn expect_same(inputs: &[Option<DType>], index: usize, dtype: DType) -> Result<(), Refusal> {
    match inputs.get(index).copied().flatten() {
        Some(other) if other != dtype => {
            Err(Refusal::Invalid(format!("operands are of {} and of {}", dtype.name(), other.name())))
        }
        _ => Ok(()),
    }
}

pub(crate) const FLOATS: &[DType] = &[DType::F32, DType::F64, DType::F16, DType::BF16];
pub(crate) const INTEGERS: &[DType] =
    &[DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::U16, DType::U32, DType::U64];

pub(crate) fn is_float(dtype: DType) -> bool {
    FLOATS.contains(&dtype)
}

/// Writes a tensor of floating-point numbers, element by element, each rounded once.
pub(crate) fn write_floats(output: &mut ViewMut<'_>, value: &mut dyn FnMut(usize) -> f64) -> Result<(), Failure> {
    output.numbers()?.fill(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    }
}
