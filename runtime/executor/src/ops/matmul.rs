//! Matrix products of any type, with the dimensions before the last two broadcast.

use super::{Attributes, FLOATS, Facts, Io, Operator, Refusal, expect_same, expect_type, is_float};
use crate::ops::quantize::{Scale, round_into};
use crate::shape;
use crate::view::{Failure, View};
use pannier_engine::DType;
use std::sync::Arc;

/// Sizes and broadcast of a product `[.., m, k] x [.., k, n]`, where a vector stands for a matrix of one row or column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Product {
    pub(crate) batch: Vec<usize>,
    pub(crate) a_batch: Vec<usize>,
    pub(crate) b_batch: Vec<usize>,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// Shape of the result.
    pub(crate) shape: Vec<usize>,
}

impl Product {
    pub(crate) fn new(a: &[usize], b: &[usize]) -> Result<Product, String> {
        let (Some(_), Some(_)) = (a.first(), b.first()) else { return Err("an operand is a scalar".into()) };
        let wide_a = if a.len() == 1 { vec![1, a[0]] } else { a.to_vec() };
        let wide_b = if b.len() == 1 { vec![b[0], 1] } else { b.to_vec() };
        let (a_batch, a_matrix) = wide_a.split_at(wide_a.len() - 2);
        let (b_batch, b_matrix) = wide_b.split_at(wide_b.len() - 2);
        let (&[m, k], &[inner, n]) = (a_matrix, b_matrix) else { return Err("an operand is no matrix".into()) };
        if k != inner {
            return Err(format!("a product of {a:?} and {b:?}"));
        }
        let batch = shape::broadcast([a_batch, b_batch])?;
        let mut shape = batch.clone();
        shape.extend((a.len() > 1).then_some(m));
        shape.extend((b.len() > 1).then_some(n));
        Ok(Product { batch, a_batch: a_batch.to_vec(), b_batch: b_batch.to_vec(), m, k, n, shape })
    }

    /// Calls `visit` with the index of each pair of matrices and where they begin, in elements.
    pub(crate) fn each(
        &self,
        mut visit: impl FnMut(usize, usize, usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let a = shape::broadcast_strides(&self.a_batch, &self.batch);
        let b = shape::broadcast_strides(&self.b_batch, &self.batch);
        let (len, by_a, by_b) = (shape::row_len(&self.batch), shape::row_stride(&a), shape::row_stride(&b));
        let mut index = 0;
        shape::for_each_row(&self.batch, [&a, &b], |[x, y]| {
            for step in 0..len {
                visit(index, (x + step * by_a) * self.m * self.k, (y + step * by_b) * self.k * self.n)?;
                index += 1;
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct MatMul;

/// `MatMul`
pub(crate) fn matmul(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(MatMul))
}

impl Operator for MatMul {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, DType::ALL)?;
        expect_same(inputs, 1, dtype)?;
        if dtype == DType::Bool { Err(Refusal::Unsupported("element type bool".into())) } else { Ok(vec![dtype]) }
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![Product::new(inputs.shape(0)?, inputs.shape(1)?)?.shape])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, b) = (io.input(0)?, io.input(1)?);
        let output = io.output(0)?;
        let product = Product::new(a.shape, b.shape)?;
        if is_float(a.dtype) {
            let (a, b) = (a.numbers::<f64>()?, b.numbers::<f64>()?);
            let mut out = output.numbers::<f64>()?;
            multiply(&product, 0.0, |sum, x, y| sum + a.at(x) * b.at(y), |at, sum| out.set(at, sum))
        } else {
            let (a, b) = (a.numbers::<i128>()?, b.numbers::<i128>()?);
            let mut out = output.numbers::<i128>()?;
            let add = |sum: i128, x, y| sum.wrapping_add(a.at(x) * b.at(y));
            multiply(&product, 0, add, |at, sum| out.set(at, sum))
        }
    }
}

/// Products of elements, added up by `add` from `zero` on in the order of k, and given to `put`.
fn multiply<S: Copy>(
    product: &Product,
    zero: S,
    add: impl Fn(S, usize, usize) -> S,
    mut put: impl FnMut(usize, S) -> Option<()>,
) -> Result<(), Failure> {
    let &Product { m, k, n, .. } = product;
    product.each(|index, a, b| {
        for at in 0..m * n {
            let (row, column) = (a + at / n * k, b + at % n);
            let sum = (0..k).fold(zero, |sum, i| add(sum, row + i, column + i * n));
            put(index * m * n + at, sum).ok_or("a product larger than its result")?;
        }
        Ok(())
    })
}

/// `alpha * op(A) * op(B) + beta * C`
#[derive(Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    transpose_a: bool,
    transpose_b: bool,
}

/// `Gemm`
pub(crate) fn gemm(attributes: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(Gemm {
        alpha: attributes.float("alpha", 1.0)?,
        beta: attributes.float("beta", 1.0)?,
        transpose_a: attributes.flag("transA", false)?,
        transpose_b: attributes.flag("transB", false)?,
    }))
}

impl Gemm {
    /// Rows, depth and columns.
    fn sizes(&self, a: &[usize], b: &[usize]) -> Result<(usize, usize, usize), String> {
        let (&[a0, a1], &[b0, b1]) = (a, b) else { return Err("an operand is no matrix".into()) };
        let (m, k) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (inner, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        if k == inner { Ok((m, k, n)) } else { Err(format!("a product of {a:?} and {b:?}")) }
    }
}

impl Operator for Gemm {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let dtype = expect_type(inputs, 0, &[FLOATS, &[DType::I32, DType::I64, DType::U32, DType::U64]].concat())?;
        expect_same(inputs, 1, dtype)?;
        expect_same(inputs, 2, dtype)?;
        Ok(vec![dtype])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        let (m, _, n) = self.sizes(inputs.shape(0)?, inputs.shape(1)?)?;
        if let Some(c) = inputs.get(2)
            && shape::broadcast([c.shape, &[m, n]])? != [m, n]
        {
            return Err(Refusal::Invalid(format!("C of {:?} does not broadcast to [{m}, {n}]", c.shape)));
        }
        Ok(vec![vec![m, n]])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, b, c) = (io.input(0)?, io.input(1)?, io.get(2));
        let output = io.output(0)?;
        let (m, k, n) = self.sizes(a.shape, b.shape)?;
        let (a_row, a_col) = if self.transpose_a { (1, m) } else { (k, 1) };
        let (b_row, b_col) = if self.transpose_b { (1, k) } else { (n, 1) };
        let places = c.map(|c| shape::broadcast_strides(c.shape, &[m, n]));
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        let (a, b) = (a.numbers::<f64>()?, b.numbers::<f64>()?);
        let c = c.map(|c| c.numbers::<f64>()).transpose()?;
        output.numbers::<f64>()?.fill(|at| {
            let (i, j) = (at / n, at % n);
            let sum: f64 = (0..k).map(|l| a.at(i * a_row + l * a_col) * b.at(l * b_row + j * b_col)).sum();
            let add = match (c, &places) {
                (Some(c), Some(places)) => c.at(i * places[0] + j * places[1]) * beta,
                _ => 0.0,
            };
            sum * alpha + add
        });
        Ok(())
    }
}

#[derive(Debug)]
struct MatMulInteger;

/// `MatMulInteger`
pub(crate) fn matmul_integer(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(MatMulInteger))
}

const BYTES: &[DType] = &[DType::U8, DType::I8];

/// A number of a tensor of bytes.
pub(crate) fn byte(view: View<'_>, at: usize) -> i128 {
    let value = view.bytes.get(at).copied().unwrap_or(0);
    if view.dtype == DType::I8 { i128::from(value as i8) } else { i128::from(value) }
}

/// The zero point of a row or column: one for all, or one for each.
fn zero_point(view: Option<View<'_>>, at: usize) -> i128 {
    view.map_or(0, |view| byte(view, if view.len() == 1 { 0 } else { at }))
}

impl Operator for MatMulInteger {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let (a, b) = (expect_type(inputs, 0, BYTES)?, expect_type(inputs, 1, BYTES)?);
        expect_same(inputs, 2, a)?;
        expect_same(inputs, 3, b)?;
        Ok(vec![DType::I32])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![Product::new(inputs.shape(0)?, inputs.shape(1)?)?.shape])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, b, a_zero, b_zero) = (io.input(0)?, io.input(1)?, io.get(2), io.get(3));
        let output = io.output(0)?;
        let product = Product::new(a.shape, b.shape)?;
        let (k, n) = (product.k.max(1), product.n.max(1));
        let add = |sum: i128, x: usize, y: usize| {
            let a = byte(a, x) - zero_point(a_zero, x / k % product.m.max(1));
            sum + a * (byte(b, y) - zero_point(b_zero, y % n))
        };
        let mut out = output.numbers::<i128>()?;
        multiply(&product, 0, add, |at, sum| out.set(at, sum))
    }
}

#[derive(Debug)]
struct QLinearMatMul;

/// `QLinearMatMul`
pub(crate) fn qlinear_matmul(_: &Attributes<'_>) -> Result<Arc<dyn Operator>, Refusal> {
    Ok(Arc::new(QLinearMatMul))
}

impl Operator for QLinearMatMul {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        let (a, b) = (expect_type(inputs, 0, BYTES)?, expect_type(inputs, 3, BYTES)?);
        expect_same(inputs, 2, a)?;
        expect_same(inputs, 5, b)?;
        [1, 4, 6].into_iter().try_for_each(|index| expect_type(inputs, index, FLOATS).map(|_| ()))?;
        Ok(vec![expect_type(inputs, 7, BYTES)?])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![Product::new(inputs.shape(0)?, inputs.shape(3)?)?.shape])
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (a, b) = (io.input(0)?, io.input(3)?);
        let (a_scale, b_scale) = (Scale::new(io.input(1)?)?, Scale::new(io.input(4)?)?);
        let (a_zero, b_zero) = (io.input(2)?, io.input(5)?);
        let (scale, zero) = (Scale::new(io.input(6)?)?, io.input(7)?);
        let output = io.output(0)?;
        let product = Product::new(a.shape, b.shape)?;
        let (m, k, n) = (product.m.max(1), product.k.max(1), product.n.max(1));
        let mut sums = vec![0i128; output.len()];
        let add = |sum: i128, x: usize, y: usize| {
            let a = byte(a, x) - zero_point(Some(a_zero), x / k % m);
            sum + a * (byte(b, y) - zero_point(Some(b_zero), y % n))
        };
        multiply(&product, 0, add, |at, sum| sums.get_mut(at).map(|slot| *slot = sum))?;
        let value = |at: usize| {
            let (row, column) = (at / n % m, at % n);
            sums[at] as f64 * a_scale.at(row) * b_scale.at(column) / scale.at(0)
        };
        round_into(output, value, |_| byte(zero, 0) as f64)
    }
}
