//! Our own operators, on the kernels of `pannier-kernels`: binary32 or 8-bit integers, images channels-last, elementwise work attached.
//!
//! Passes put them in the place of operators of the standard. Each is data that passes look into, and an [`Operator`].

mod chain;
mod conv;
mod epilogue;
mod expand;
mod lookup;
mod matmul;
mod permute;
mod quantized;
mod quantized_chain;
mod recurrent;
mod rows;
mod share;
mod spatial;

pub(crate) use chain::Chain;
pub(crate) use conv::{Conv, ConvTranspose};
pub(crate) use epilogue::{Combine, Epilogue, EpilogueStep, split};
pub(crate) use expand::Expand;
pub(crate) use lookup::Lookup;
pub(crate) use matmul::{MatMul, Weights};
pub(crate) use permute::Permute;
pub(crate) use quantized::{
    BytePacking, DynamicQuantize, Kernel as QuantizedKernel, Quantized, Source, Weights as QuantizedWeights,
};
pub(crate) use quantized_chain::{Quant, QuantizedChain};
pub(crate) use recurrent::Lstm;
pub(crate) use rows::{LayerNorm, Reduce, Softmax};
pub(crate) use spatial::{Nearest, Pool};

use crate::ops::Operator;
use std::sync::Arc;

/// One of our own operators.
#[derive(Debug, Clone)]
pub(crate) enum Fused {
    /// Elementwise steps in one pass.
    Chain(Chain),
    Conv(Conv),
    ConvTranspose(ConvTranspose),
    MatMul(MatMul),
    Softmax(Softmax),
    LayerNorm(LayerNorm),
    Reduce(Reduce),
    Pool(Pool),
    Nearest(Nearest),
    Lookup(Lookup),
    Lstm(Lstm),
    Expand(Expand),
    Quantized(Quantized),
    QuantizedChain(QuantizedChain),
    DynamicQuantize(DynamicQuantize),
}

impl Fused {
    pub(crate) fn to_operator(&self) -> Arc<dyn Operator> {
        match self.clone() {
            Fused::Chain(op) => Arc::new(op),
            Fused::Conv(op) => Arc::new(op),
            Fused::ConvTranspose(op) => Arc::new(op),
            Fused::MatMul(op) => Arc::new(op),
            Fused::Softmax(op) => Arc::new(op),
            Fused::LayerNorm(op) => Arc::new(op),
            Fused::Reduce(op) => Arc::new(op),
            Fused::Pool(op) => Arc::new(op),
            Fused::Nearest(op) => Arc::new(op),
            Fused::Lookup(op) => Arc::new(op),
            Fused::Lstm(op) => Arc::new(op),
            Fused::Expand(op) => Arc::new(op),
            Fused::Quantized(op) => Arc::new(op),
            Fused::QuantizedChain(op) => Arc::new(op),
            Fused::DynamicQuantize(op) => Arc::new(op),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fused::Chain(_) => "Chain",
            Fused::Conv(_) => "Conv",
            Fused::ConvTranspose(_) => "ConvTranspose",
            Fused::MatMul(_) => "MatMul",
            Fused::Softmax(_) => "Softmax",
            Fused::LayerNorm(_) => "LayerNorm",
            Fused::Reduce(_) => "Reduce",
            Fused::Pool(_) => "Pool",
            Fused::Nearest(_) => "Nearest",
            Fused::Lookup(_) => "Lookup",
            Fused::Lstm(_) => "LSTM",
            Fused::Expand(_) => "Expand",
            Fused::Quantized(op) => match op.kernel {
                QuantizedKernel::Conv(_) => "QuantizedConv",
                QuantizedKernel::MatMul { .. } => "QuantizedMatMul",
            },
            Fused::QuantizedChain(_) => "QuantizedChain",
            Fused::DynamicQuantize(_) => "DynamicQuantize",
        }
    }

    /// The elementwise work on its result, where it can have some, with the index of the first operand of that.
    pub(crate) fn epilogue(&self) -> Option<(&Epilogue, usize)> {
        match self {
            Fused::Chain(op) => Some((&op.epilogue, 1)),
            Fused::Conv(op) => Some((&op.epilogue, op.operands())),
            Fused::ConvTranspose(op) => Some((&op.epilogue, op.operands())),
            Fused::MatMul(op) => Some((&op.epilogue, op.operands())),
            Fused::Quantized(op) => Some((&op.epilogue, op.operands())),
            _ => None,
        }
    }

    pub(crate) fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        match self {
            Fused::Chain(op) => Some(&mut op.epilogue),
            Fused::Conv(op) => Some(&mut op.epilogue),
            Fused::ConvTranspose(op) => Some(&mut op.epilogue),
            Fused::MatMul(op) => Some(&mut op.epilogue),
            Fused::Quantized(op) => Some(&mut op.epilogue),
            _ => None,
        }
    }
}
