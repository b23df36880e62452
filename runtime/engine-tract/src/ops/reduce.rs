//! `ReduceMax`, `ReduceMin` and what is made of sums of integers.
//!
//! tract starts an extremum from the largest finite number where the standard wants an infinity: the largest of `[-inf]`
//! comes out as `-3.4e38`. It has no extremum of booleans. Its `ReduceLogSumExp` overflows. And it adds integers up in 32
//! bits, whatever their type. Roots and logarithms of sums of integers, which it has for floating-point numbers only, are
//! refused.

use super::square::integer_square;
use super::{arity, position};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{Reduce as TypedReduce, Reducer};
use tract_onnx::tract_core::{args_1, as_op, op_as_typed_op, op_out_of_plan};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::nn;
use tract_onnx::tract_hir::tract_ndarray::Axis;

/// What becomes of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Largest,
    Smallest,
    Sum,
    L1,
    Mean,
    SumSquare,
    /// One that is for floating-point numbers only.
    Float(nn::Reducer),
}

impl Kind {
    /// tract's own, which is right for floating-point numbers.
    fn of_floats(self) -> Option<nn::Reducer> {
        match self {
            Kind::Largest | Kind::Smallest => None,
            Kind::Sum => Some(nn::Reducer::Sum),
            Kind::L1 => Some(nn::Reducer::L1),
            Kind::Mean => Some(nn::Reducer::Mean),
            Kind::SumSquare => Some(nn::Reducer::SumSquare),
            Kind::Float(reducer) => Some(reducer),
        }
    }
}

/// The operator as ONNX has it.
#[derive(Debug, Clone)]
pub(crate) struct Reduce {
    pub(crate) kind: Kind,
    pub(crate) keep_dims: bool,
    /// Whether no axes mean all of them; otherwise they mean none.
    pub(crate) none_is_all: bool,
    pub(crate) has_axes: bool,
}

impl Reduce {
    fn without_axes(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        mut wire: TVec<OutletId>,
        axes: &[usize],
    ) -> TractResult<TVec<OutletId>> {
        for axis in axes.iter().rev().filter(|_| !self.keep_dims) {
            wire = model.wire_node(format!("{prefix}.without_{axis}"), AxisOp::Rm(*axis), &wire)?;
        }
        Ok(wire)
    }

    fn axes(&self, rank: usize, given: Option<&Tensor>) -> TractResult<Vec<usize>> {
        let given = match given {
            Some(axes) => axes.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec(),
            None => vec![],
        };
        if given.is_empty() && self.none_is_all {
            return Ok((0..rank).collect());
        }
        given.into_iter().map(|axis| position(axis, rank)).collect()
    }
}

impl Expansion for Reduce {
    fn name(&self) -> StaticName {
        match self.kind {
            Kind::Largest => "ReduceMax".into(),
            Kind::Smallest => "ReduceMin".into(),
            Kind::Sum => "ReduceSum".into(),
            Kind::L1 => "ReduceL1".into(),
            Kind::Mean => "ReduceMean".into(),
            Kind::SumSquare => "ReduceSumSquare".into(),
            Kind::Float(reducer) => format!("Reduce{reducer:?}").into(),
        }
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        arity(inputs, 1 + usize::from(self.has_axes), outputs)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        let reduced = move |s: &mut Solver<'r>, shape: TVec<TDim>, axes: Option<&Tensor>| {
            let axes = self.axes(shape.len(), axes)?.into_iter().map(|axis| axis as i64).collect();
            let reduce = nn::Reduce::new(Some(axes), self.keep_dims, nn::Reducer::Max);
            s.equals(&outputs[0].shape, reduce.output_shape(&shape))
        };
        if self.has_axes {
            s.given_2(&inputs[0].shape, &inputs[1].value, move |s, shape, axes| reduced(s, shape, Some(&axes)))
        } else {
            s.given(&inputs[0].shape, move |s, shape| reduced(s, shape, None))
        }
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let given = match inputs.get(1) {
            Some(axes) => Some(model.outlet_fact(*axes)?.konst.clone().context("the axes are not constant")?),
            None => None,
        };
        let mut axes = self.axes(model.outlet_fact(inputs[0])?.rank(), given.as_deref())?;
        axes.sort_unstable();
        axes.dedup();
        let datum = model.outlet_fact(inputs[0])?.datum_type;
        if self.kind == Kind::Float(nn::Reducer::LogSumExp) && datum.is_float() {
            let wire = log_sum_exp(prefix, model, inputs[0], &axes)?;
            return self.without_axes(prefix, model, wire, &axes);
        }
        if let Some(reducer) = self.kind.of_floats().filter(|_| !datum.is_integer()) {
            let axes = axes.into_iter().map(|axis| axis as i64).collect();
            return nn::Reduce::new(Some(axes), self.keep_dims, reducer).wire(prefix, model, &inputs[..1]);
        }
        let mut wire = tvec!(inputs[0]);
        if self.kind == Kind::L1 && datum.is_signed() {
            wire = model.wire_node(format!("{prefix}.abs"), math::abs(), &wire)?;
        } else if self.kind == Kind::SumSquare {
            wire = model.wire_node(format!("{prefix}.square"), integer_square(), &wire)?;
        }
        let kind = if matches!(self.kind, Kind::L1 | Kind::SumSquare) { Kind::Sum } else { self.kind };
        if let Kind::Float(_) = kind {
            bail!("{} of {datum:?} is not supported", self.name());
        }
        wire = model.wire_node(prefix, Fold { axes: axes.clone(), kind }, &wire)?;
        self.without_axes(prefix, model, wire, &axes)
    }
}

/// `m + ln(sum(exp(x - m)))` with the largest element as `m`, so that nothing overflows that the result can hold.
fn log_sum_exp(prefix: &str, model: &mut TypedModel, x: OutletId, axes: &[usize]) -> TractResult<TVec<OutletId>> {
    let name = |part: &str| format!("{prefix}.{part}");
    let (datum, rank) = (model.outlet_fact(x)?.datum_type, model.outlet_fact(x)?.rank());
    // An infinite `m` would make a NaN of the difference.
    let finite = if datum == DatumType::F16 { 65504.0 } else { f32::MAX };
    let mut bound = |part: &str, value: f32| {
        let bound = tensor0(value).cast_to_dt(datum)?.into_owned().broadcast_into_rank(rank)?;
        model.add_const(name(part), bound)
    };
    let (highest, lowest) = (bound("highest", finite)?, bound("lowest", -finite)?);
    let largest = model.wire_node(name("largest"), Fold { axes: axes.into(), kind: Kind::Largest }, &[x])?[0];
    let largest = model.wire_node(name("below"), math::min(), &[largest, highest])?[0];
    let largest = model.wire_node(name("within"), math::max(), &[largest, lowest])?[0];
    let wire = model.wire_node(name("less"), math::sub(), &[x, largest])?;
    let wire = model.wire_node(name("exp"), math::exp(), &wire)?;
    let wire = model.wire_node(name("sum"), TypedReduce::new(axes.into(), Reducer::Sum), &wire)?;
    let wire = model.wire_node(name("ln"), math::ln(), &wire)?;
    model.wire_node(prefix, math::add(), &[wire[0], largest])
}

/// Keeps all axes; those that are reduced become 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fold {
    axes: Vec<usize>,
    kind: Kind,
}

impl Op for Fold {
    fn name(&self) -> StaticName {
        "Fold".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Fold {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        macro_rules! by_type {
            (floats: $($float:ident: $f:ty),*; integers: $($integer:ident: $i:ty),*) => {
                match (self.kind, input.datum_type()) {
                    $((Kind::Largest, DatumType::$float) => self.extremum(&input, <$f>::NEG_INFINITY, |a, b| a > b)?,
                      (Kind::Smallest, DatumType::$float) => self.extremum(&input, <$f>::INFINITY, |a, b| a < b)?,)*
                    $((Kind::Largest, DatumType::$integer) => self.extremum(&input, <$i>::MIN, |a, b| a > b)?,
                      (Kind::Smallest, DatumType::$integer) => self.extremum(&input, <$i>::MAX, |a, b| a < b)?,
                      (Kind::Sum, DatumType::$integer) => self.fold(&input, 0, |sum: &$i, value| sum.wrapping_add(*value))?,
                      (Kind::Mean, DatumType::$integer) => {
                          let sum = self.fold(&input, 0, |sum: &$i, value| sum.wrapping_add(*value))?;
                          let count: usize = self.axes.iter().map(|axis| input.shape()[*axis]).product();
                          let count = <$i>::try_from(count).ok().filter(|count| *count != 0);
                          let count = count.context("a mean of no elements, or of too many")?;
                          sum.into_plain_array::<$i>()?.mapv(|sum| sum / count).into_tensor()
                      })*
                    (Kind::Largest, DatumType::Bool) => self.extremum(&input, false, |a, b| a > b)?,
                    (Kind::Smallest, DatumType::Bool) => self.extremum(&input, true, |a, b| a < b)?,
                    (kind, datum) => bail!("{kind:?} of {datum:?} is not supported"),
                }
            };
        }
        let output = by_type! {
            floats: F32: f32, F64: f64, F16: f16;
            integers: I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64
        };
        Ok(tvec!(output.into_tvalue()))
    }
}

impl Fold {
    #[expect(clippy::eq_op, reason = "NaN is what differs from itself, and goes through as NumPy lets it")]
    fn extremum<T>(&self, input: &Tensor, start: T, beats: fn(&T, &T) -> bool) -> TractResult<Tensor>
    where
        T: Datum + Copy + PartialOrd,
    {
        self.fold(input, start, |best, value| if beats(value, best) || value != value { *value } else { *best })
    }

    fn fold<T: Datum + Copy>(&self, input: &Tensor, start: T, step: impl Fn(&T, &T) -> T) -> TractResult<Tensor> {
        let mut array = input.to_plain_array_view::<T>()?.to_owned();
        for axis in &self.axes {
            array = array.fold_axis(Axis(*axis), start, &step).insert_axis(Axis(*axis));
        }
        Ok(array.into_tensor())
    }
}

impl TypedOp for Fold {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        for axis in &self.axes {
            shape[*axis] = 1.to_dim();
        }
        Ok(tvec!(inputs[0].datum_type.fact(shape)))
    }

    as_op!();
}
