//! Elementwise work on 8-bit integers: they become numbers, steps are applied, numbers become 8-bit integers. Operands of steps are
//! numbers; those that are integers become numbers a tile at a time, so that they never leave the cache.

use super::Epilogue;
use super::chain::text;
use super::epilogue::{MOST_STEPS, Spread, split, spread};
use super::share::{cut, share, tasks};
use crate::ops::{Facts, Io, Operator, Refusal, expect_type};
use crate::shape;
use crate::view::{Failure, View, floats_mut};
use pannier_engine::DType;
use pannier_kernels::{ByteKind, Elements, ElementsMut, Kernels};
use std::sync::Arc;

/// Numbers of a tile, unless one row has more.
const TILE: usize = 2048;

/// Columns that make a row worth a loop of its own.
const LEAST_COLUMNS: usize = 64;

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

    fn of(self, data: &[u8]) -> Elements<'_> {
        Elements::Bytes { data, kind: self.kind, scale: self.scale }
    }

    fn of_mut(self, data: &mut [u8]) -> ElementsMut<'_> {
        ElementsMut::Bytes { data, kind: self.kind, scale: self.scale }
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

    /// Whether integers stay as they are.
    pub(crate) fn keeps(&self) -> bool {
        self.from.is_some() && self.from == self.to && self.epilogue.steps.is_empty()
    }

    /// The result of each integer, where every operand is a function of the same one: `given` has those functions.
    pub(crate) fn tabulated(&self, given: &[&[u8; 256]]) -> Result<Option<[u8; 256]>, Failure> {
        let (Some(from), Some(to), [first, rest @ ..]) = (self.from, self.to, given) else { return Ok(None) };
        if rest.len() != self.operands.len() || rest.len() > MOST_STEPS {
            return Ok(None);
        }
        let mut numbers = [[0.0f32; 256]; MOST_STEPS];
        let mut views: [Option<View<'_>>; MOST_STEPS] = [None; MOST_STEPS];
        for (((numbers, view), bytes), quant) in numbers.iter_mut().zip(&mut views).zip(rest).zip(&self.operands) {
            let Some(Quant { kind, scale }) = *quant else { return Ok(None) };
            self.kernels.dequantize(*bytes, kind, scale, numbers).map_err(text)?;
            *view = Some(View { dtype: DType::F32, shape: &[256], bytes: bytemuck::cast_slice(&*numbers) });
        }
        let mut table = [0; 256];
        self.epilogue.with_steps(&views[..rest.len()], &[256], 1, 256, |steps| {
            self.kernels.pointwise_bytes(0, 256, from.of(*first), to.of_mut(&mut table), steps).map_err(text)
        })?;
        Ok(Some(table))
    }

    /// Rows and columns of the result as a matrix, and rows of a tile.
    fn tiles(&self, result: &[usize], operands: &[&[usize]]) -> Result<[usize; 3], Failure> {
        let total = shape::len(result);
        let flat = operands.iter().all(|operand| matches!(shape::len(operand), 1) || shape::len(operand) == total);
        let (rows, cols) = split(result, operands).ok_or_else(|| "operands do not fit the result".to_string())?;
        if self.operands.iter().all(Option::is_none) {
            // Nothing has to be made ready. Without operands that repeat, one row is as good as many, and short ones are slow.
            return Ok(if flat && cols < LEAST_COLUMNS { [1, total, 1] } else { [rows, cols, rows.max(1)] });
        }
        // Without operands that repeat, a tile may begin anywhere.
        if flat && total > 0 { Ok([total, 1, TILE]) } else { Ok([rows, cols, (TILE / cols.max(1)).max(1)]) }
    }

    /// Numbers of scratch memory: a tile of each integer operand.
    fn scratch_len(&self, cols: usize) -> usize {
        TILE.max(cols).saturating_mul(self.operands.iter().flatten().count())
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
        tiles.filter(|_| self.table.is_none()).map_or(0, |[_, cols, _]| self.scratch_len(cols).saturating_mul(4))
    }

    fn detail(&self) -> String {
        let name = |quant: &Option<Quant>| quant.as_ref().map_or("f32".into(), Quant::describe);
        format!("{} -> {}{}", name(&self.from), name(&self.to), self.epilogue.describe())
    }

    fn run(&self, io: &mut Io<'_, '_>) -> Result<(), Failure> {
        let (inputs, pool) = (io.inputs, io.pool);
        let from = io.input(0)?;
        let scratch = floats_mut(io.scratch)?;
        let output = io.outputs.first_mut().and_then(Option::as_mut).ok_or("nobody wants the result")?;
        if let Some(table) = &self.table {
            return self.kernels.lookup_bytes(table, from.bytes, output.bytes).map_err(text);
        }
        let operands = inputs.get(1..).unwrap_or_default();
        let mut shapes: [&[usize]; MOST_STEPS] = [&[]; MOST_STEPS];
        let mut count = 0;
        for view in operands.iter().flatten() {
            *shapes.get_mut(count).ok_or("too many operands")? = view.shape;
            count += 1;
        }
        let [rows, cols, step] = self.tiles(output.shape, &shapes[..count])?;
        let shape = output.shape;
        let mut bands = Bands { chain: self, from, to: &mut *output.bytes, cols };
        if self.operands.iter().all(Option::is_none) {
            let parts = cut(rows, tasks(pool, rows.saturating_mul(cols)), 1).map(|band| {
                let start = band.start;
                bands.next(band.start, band.end).map(|(from, to)| (start, from, to))
            });
            return self.epilogue.with_steps(operands, shape, rows, cols, |steps| {
                share(pool, parts, |part: Result<_, Failure>| {
                    let (start, from, to) = part?;
                    self.kernels.pointwise_bytes(start, cols, from, to, steps).map_err(text)
                })
            });
        }
        let mut start = 0;
        while start < rows {
            let end = (start + step).min(rows);
            let (main, to) = bands.next(start, end)?;
            let place = Rows { range: [start, end], rows, cols };
            self.run_tile(&place, (main, from.shape), operands, to, scratch)?;
            start = end;
        }
        Ok(())
    }
}

/// The operand and the result, some rows after the other.
struct Bands<'a, 'b> {
    chain: &'a QuantizedChain,
    from: View<'a>,
    /// What is left of the result.
    to: &'b mut [u8],
    cols: usize,
}

impl<'a, 'b> Bands<'a, 'b> {
    fn next(&mut self, start: usize, end: usize) -> Result<(Elements<'a>, ElementsMut<'b>), Failure> {
        let range = start * self.cols..end * self.cols;
        let from = match self.chain.from {
            Some(quant) => self.from.bytes.get(range.clone()).map(|bytes| quant.of(bytes)),
            None => self.from.as_slice::<f32>()?.get(range.clone()).map(Elements::Floats),
        };
        let size = self.chain.to.map_or(4, |_| 1);
        let (to, rest) = std::mem::take(&mut self.to)
            .split_at_mut_checked(range.len().saturating_mul(size))
            .ok_or("a result is too short")?;
        self.to = rest;
        let to = match self.chain.to {
            Some(quant) => quant.of_mut(to),
            None => ElementsMut::Floats(floats_mut(to)?),
        };
        Ok((from.ok_or("an operand is too short")?, to))
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
        (from, shape): (Elements<'_>, &[usize]),
        operands: &[Option<View<'_>>],
        to: ElementsMut<'_>,
        mut scratch: &mut [f32],
    ) -> Result<(), Failure> {
        let &Rows { range: [start, end], rows, cols } = place;
        let count = end - start;
        // A column of numbers may as well be a row.
        let [height, width] = if cols == 1 { [1, count] } else { [count, cols] };
        let (full, column, row) = ([height, width], [height, 1], [width]);
        let mut views: [Option<View<'_>>; MOST_STEPS] = [None; MOST_STEPS];
        for ((slot, operand), quant) in views.iter_mut().zip(operands).zip(&self.operands) {
            let operand = operand.ok_or("an operand is missing")?;
            let len = operand.len();
            let spread = spread(operand.shape, len, shape, rows, cols).ok_or("an operand does not fit the result")?;
            let [first, last] = part(spread, [start, end], cols, len);
            let shape: &[usize] = match spread {
                Spread::Full => &full,
                Spread::Rows => &column,
                Spread::Cols => &row,
                Spread::Scalar => &[],
            };
            let bytes = match quant {
                Some(Quant { kind, scale }) => {
                    let split = scratch.split_at_mut_checked(last - first);
                    let (numbers, rest) = split.ok_or("too little scratch memory")?;
                    scratch = rest;
                    let bytes = operand.bytes.get(first..last).ok_or("an operand is too short")?;
                    self.kernels.dequantize(bytes, *kind, *scale, numbers).map_err(text)?;
                    bytemuck::cast_slice(&*numbers)
                }
                None => operand.bytes.get(first * 4..last * 4).ok_or("an operand is too short")?,
            };
            *slot = Some(View { dtype: DType::F32, shape, bytes });
        }
        self.epilogue.with_steps(&views[..self.operands.len()], &full, height, width, |steps| {
            self.kernels.pointwise_bytes(0, width, from, to, steps).map_err(text)
        })
    }
}
