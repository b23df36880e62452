//! Elementwise work on 8-bit integers: they become numbers, steps are applied, numbers become 8-bit integers. A tile at a time, so
//! that the numbers never leave the cache.

use super::Epilogue;
use super::chain::text;
use super::epilogue::{MOST_STEPS, Spread, split, spread};
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::{Failure, View, floats_mut};
use pannier_engine::DType;
use pannier_kernels as kernels;
use pannier_kernels::{ByteKind, Kernels};
use std::sync::Arc;

/// Numbers of a tile, unless one row has more.
const TILE: usize = 2048;

/// What 8-bit integers stand for: `(q - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quant {
    pub(crate) kind: ByteKind,
    pub(crate) scale: f32,
}

impl Quant {
    pub(crate) fn dtype(&self) -> DType {
        if self.kind.signed { DType::I8 } else { DType::U8 }
    }

    pub(crate) fn describe(&self) -> String {
        format!("{} * {} - {}", self.dtype().name(), self.scale, self.kind.zero)
    }
}

/// Operands: what the steps begin with, then those of the steps; binary32, or integers where there is something that they stand for.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedChain {
    pub(crate) kernels: Kernels,
    pub(crate) epilogue: Epilogue,
    pub(crate) from: Option<Quant>,
    /// By operand of the steps.
    pub(crate) operands: Vec<Option<Quant>>,
    pub(crate) to: Option<Quant>,
    /// The result of each integer, where there is no other operand.
    pub(crate) table: Option<Arc<[u8; 256]>>,
}

impl QuantizedChain {
    /// `QuantizeLinear`, `DequantizeLinear`, or from one to the other.
    pub(crate) fn convert(kernels: Kernels, from: Option<Quant>, to: Option<Quant>) -> QuantizedChain {
        QuantizedChain { kernels, epilogue: Epilogue::default(), from, operands: Vec::new(), to, table: None }
    }

    /// What its operand stands for, if numbers are all that it makes of it.
    pub(crate) fn dequantizes(&self) -> Option<Quant> {
        self.from.filter(|_| self.to.is_none() && self.epilogue.steps.is_empty())
    }

    /// What its result stands for, if that is all that it does.
    pub(crate) fn quantizes(&self) -> Option<Quant> {
        self.to.filter(|_| self.from.is_none() && self.epilogue.steps.is_empty())
    }

    /// Computes the result of each integer, if it depends on nothing else.
    pub(crate) fn tabulate(&mut self) -> Result<(), Failure> {
        let (Some(from), Some(to)) = (self.from, self.to) else { return Ok(()) };
        if !self.operands.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = (0..=255).collect();
        let (mut numbers, mut table) = ([0.0; 256], [0; 256]);
        self.kernels.dequantize(&bytes, from.kind, from.scale, &mut numbers).map_err(text)?;
        self.epilogue.with_steps(&[], &[256], 1, 256, |steps| {
            let numbers = kernels::ViewMut::dense(&mut numbers, 1, 256).map_err(text)?;
            self.kernels.pointwise_in_place(numbers, steps).map_err(text)
        })?;
        self.kernels.quantize(&numbers, to.kind, to.scale, &mut table).map_err(text)?;
        self.table = Some(Arc::new(table));
        Ok(())
    }

    /// Rows and columns of the result as a matrix, and rows of a tile.
    fn tiles(&self, result: &[usize], operands: &[&[usize]]) -> Result<[usize; 3], Failure> {
        let total = shape::len(result);
        let flat = operands.iter().all(|operand| matches!(shape::len(operand), 1) || shape::len(operand) == total);
        let (rows, cols) = split(result, operands).ok_or_else(|| "operands do not fit the result".to_string())?;
        // Without operands that repeat, a tile may begin anywhere.
        if flat && total > 0 { Ok([total, 1, TILE]) } else { Ok([rows, cols, (TILE / cols.max(1)).max(1)]) }
    }

    /// Numbers of scratch memory: a tile of the operand and one of each integer operand.
    fn scratch_len(&self, cols: usize) -> usize {
        let tiles = 1 + self.operands.iter().flatten().count();
        TILE.max(cols).saturating_mul(tiles)
    }
}

/// Which part of an operand belongs to the rows `start..end`.
fn part(spread: Spread, [start, end]: [usize; 2], cols: usize, len: usize) -> [usize; 2] {
    match spread {
        Spread::Full => [start * cols, end * cols],
        Spread::Rows => [start, end],
        Spread::Scalar | Spread::Cols => [0, len],
    }
}

impl Operator for QuantizedChain {
    fn types(&self, inputs: &[Option<DType>]) -> Result<Vec<DType>, Refusal> {
        expect_type(inputs, 0, &[DType::F32, DType::U8, DType::I8])?;
        Ok(vec![self.to.map_or(DType::F32, |to| to.dtype())])
    }

    fn shapes(&self, inputs: &Facts<'_>) -> Result<Vec<Vec<usize>>, Refusal> {
        Ok(vec![inputs.shape(0)?.to_vec()])
    }

    fn scratch_bytes(&self, inputs: &Facts<'_>) -> usize {
        let shapes: Vec<&[usize]> = inputs.0.iter().skip(1).flatten().map(|fact| fact.shape).collect();
        let tiles = inputs.shape(0).ok().and_then(|result| self.tiles(result, &shapes).ok());
        // A table needs none, nor do conversions.
        let none = self.table.is_some() || self.dequantizes().is_some() || self.quantizes().is_some();
        tiles.filter(|_| !none).map_or(0, |[_, cols, _]| self.scratch_len(cols).saturating_mul(4))
    }

    fn detail(&self) -> String {
        let name = |quant: &Option<Quant>| quant.as_ref().map_or("f32".into(), Quant::describe);
        format!("{} -> {}{}", name(&self.from), name(&self.to), self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let inputs = io.inputs;
        let from = io.input(0)?;
        let scratch = floats_mut(io.scratch)?;
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        if let Some(table) = &self.table {
            return self.kernels.lookup_bytes(table, from.bytes, output.bytes).map_err(text);
        }
        if let Some(Quant { kind, scale }) = self.dequantizes() {
            return self.kernels.dequantize(from.bytes, kind, scale, output.as_slice::<f32>()?).map_err(text);
        }
        if let Some(Quant { kind, scale }) = self.quantizes() {
            return self.kernels.quantize(from.as_slice::<f32>()?, kind, scale, output.bytes).map_err(text);
        }
        let operands = inputs.get(1..).unwrap_or_default();
        let mut shapes: [&[usize]; MOST_STEPS] = [&[]; MOST_STEPS];
        let mut count = 0;
        for view in operands.iter().flatten() {
            *shapes.get_mut(count).ok_or("too many operands")? = view.shape;
            count += 1;
        }
        let [rows, cols, step] = self.tiles(output.shape, &shapes[..count])?;
        let size = if self.to.is_some() { 1 } else { 4 };
        let (tile, rest) = scratch.split_at_mut_checked(TILE.max(cols)).ok_or("too little scratch memory")?;
        let mut start = 0;
        while start < rows {
            let end = (start + step).min(rows);
            let place = Rows { range: [start, end], rows, cols };
            let to = output.bytes.get_mut(start * cols * size..end * cols * size).ok_or("a result is too short")?;
            self.run_tile(&place, from, operands, to, tile, rest)?;
            start = end;
        }
        Ok(())
    }
}

/// Some rows of the result as a matrix.
struct Rows {
    range: [usize; 2],
    rows: usize,
    cols: usize,
}

impl QuantizedChain {
    fn run_tile(
        &self,
        place: &Rows,
        from: View<'_>,
        operands: &[Option<View<'_>>],
        to: &mut [u8],
        tile: &mut [f32],
        mut rest: &mut [f32],
    ) -> Result<(), Failure> {
        let &Rows { range: [start, end], rows, cols } = place;
        let count = end - start;
        let tile = tile.get_mut(..count * cols).ok_or("too little scratch memory")?;
        let short = || "an operand is too short".to_string();
        match self.from {
            Some(Quant { kind, scale }) => {
                let bytes = from.bytes.get(start * cols..end * cols).ok_or_else(short)?;
                self.kernels.dequantize(bytes, kind, scale, tile).map_err(text)?;
            }
            None => tile.copy_from_slice(from.as_slice::<f32>()?.get(start * cols..end * cols).ok_or_else(short)?),
        }
        // A column of numbers may as well be a row.
        let [height, width] = if cols == 1 { [1, count] } else { [count, cols] };
        let (full, column, row) = ([height, width], [height, 1], [width]);
        let mut views: [Option<View<'_>>; MOST_STEPS] = [None; MOST_STEPS];
        for ((slot, operand), quant) in views.iter_mut().zip(operands).zip(&self.operands) {
            let operand = operand.ok_or("an operand is missing")?;
            let len = operand.len();
            let spread =
                spread(operand.shape, len, from.shape, rows, cols).ok_or("an operand does not fit the result")?;
            let [first, last] = part(spread, [start, end], cols, len);
            let shape: &[usize] = match spread {
                Spread::Full => &full,
                Spread::Rows => &column,
                Spread::Cols => &row,
                Spread::Scalar => &[],
            };
            let bytes = match quant {
                Some(Quant { kind, scale }) => {
                    let (numbers, more) = rest.split_at_mut_checked(last - first).ok_or("too little scratch memory")?;
                    rest = more;
                    let bytes = operand.bytes.get(first..last).ok_or_else(short)?;
                    self.kernels.dequantize(bytes, *kind, *scale, numbers).map_err(text)?;
                    bytemuck::cast_slice(&*numbers)
                }
                None => operand.bytes.get(first * 4..last * 4).ok_or_else(short)?,
            };
            *slot = Some(View { dtype: DType::F32, shape, bytes });
        }
        self.epilogue.with_steps(&views[..self.operands.len()], &full, height, width, |steps| {
            let numbers = kernels::ViewMut::dense(tile, height, width).map_err(text)?;
            self.kernels.pointwise_in_place(numbers, steps).map_err(text)
        })?;
        match self.to {
            Some(Quant { kind, scale }) => self.kernels.quantize(tile, kind, scale, to).map_err(text),
            None => {
                to.copy_from_slice(bytemuck::cast_slice(tile));
                Ok(())
            }
        }
    }
}
