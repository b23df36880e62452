//! Weights in the form in which they are stored.

use super::integers;
use crate::quantize::codes::{Grid, pack_nibbles};
use crate::quantize::edit::Editor;
use crate::quantize::weights::{Numbers, Rows};
use crate::quantize::{Layer, LayerScheme};
use pannier_graph::{Attribute, DType, Encoding, ValueId};

/// A weight in its new form.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    form: Form,
    /// Scales, as they are stored.
    pub(super) scales: Vec<f32>,
    /// One for each scale; empty where all are zero.
    zeros: Vec<i8>,
    /// What engines make of it, in the order of the weight.
    pub(super) decoded: Vec<f32>,
}

#[derive(Debug, Clone)]
enum Form {
    /// Bit patterns of binary16.
    Half(Vec<u16>),
    /// Codes in the order of the weight.
    Bytes(Vec<i8>),
    /// Codes in rows of so many, blocks of so many; whether the rows are in the order of the weight.
    Nibbles { codes: Vec<i8>, row: usize, block: usize, order: Order },
}

/// How rows of blocks become the weight again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// They are its last axis.
    Same,
    /// They are the first axis: all others were joined.
    Joined,
    /// They are the columns of a matrix.
    Transposed,
}

impl Stored {
    /// Rounds to the nearest.
    pub(super) fn of(numbers: &Numbers, axis: usize, scheme: LayerScheme) -> Stored {
        match scheme {
            LayerScheme::Float | LayerScheme::Fp16 => Stored::half(numbers),
            LayerScheme::Int8 { levels, symmetric, .. } => {
                let rows = numbers.rows(axis);
                let grids = per_row(&rows, i32::from(levels), symmetric);
                let codes = nearest(&rows, &grids);
                Stored::bytes(&rows, &grids, &codes)
            }
            LayerScheme::Int4 { block, symmetric } => Stored::nibbles(numbers, axis, block as usize, symmetric),
        }
    }

    /// Numbers beyond the range of binary16 become its largest.
    fn half(numbers: &Numbers) -> Stored {
        let most = half::f16::MAX.to_f32();
        let halves: Vec<half::f16> =
            numbers.data.iter().map(|number| half::f16::from_f32(number.clamp(-most, most))).collect();
        let decoded = halves.iter().map(|half| half.to_f32()).collect();
        let bits = halves.iter().map(|half| half.to_bits()).collect();
        Stored { form: Form::Half(bits), scales: Vec::new(), zeros: Vec::new(), decoded }
    }

    /// Codes row after row.
    fn bytes(rows: &Rows, grids: &[Grid], codes: &[i8]) -> Stored {
        let decoded = decode(codes, grids, rows.width());
        Stored {
            form: Form::Bytes(rows.restore(codes)),
            scales: grids.iter().map(|grid| grid.scale).collect(),
            zeros: zeros(grids),
            decoded: rows.restore(&decoded),
        }
    }

    fn nibbles(numbers: &Numbers, axis: usize, block: usize, symmetric: bool) -> Stored {
        let rank = numbers.shape.len();
        let order = match axis {
            0 if rank > 2 => Order::Joined,
            1 if rank == 2 => Order::Transposed,
            _ => Order::Same,
        };
        let last = numbers.shape.last().copied().unwrap_or(1);
        let rows = numbers.rows(if order == Order::Same { rank } else { axis });
        // The weight as it is has rows along its last axis, whatever that is for.
        let (data, row) = match order {
            Order::Same => (&numbers.data, last),
            Order::Joined | Order::Transposed => (&rows.data, rows.width()),
        };
        let (mut codes, mut decoded, mut grids) = (Vec::new(), Vec::new(), Vec::new());
        for block in data.chunks(row.max(1)).flat_map(|row| row.chunks(block)) {
            let grid = grid(block, 7, symmetric);
            for number in block {
                let code = grid.encode(*number);
                codes.push(code as i8);
                decoded.push(grid.decode(code));
            }
            grids.push(grid);
        }
        Stored {
            scales: grids.iter().map(|grid| grid.scale).collect(),
            zeros: zeros(&grids),
            decoded: if order == Order::Same { decoded } else { rows.restore(&decoded) },
            form: Form::Nibbles { codes, row, block, order },
        }
    }

    /// Bytes of codes, scales and zero points.
    pub(super) fn size_bytes(&self) -> u64 {
        let codes = match &self.form {
            Form::Half(halves) => halves.len() * 2,
            Form::Bytes(codes) => codes.len(),
            Form::Nibbles { codes, row, .. } => codes.len() / (*row).max(1) * row.div_ceil(2),
        };
        (codes + self.scales.len() * 4 + self.zeros.len()) as u64
    }

    /// Makes the program store the weight so: as an operand of a layer of integers, or decoded by the engine.
    pub(super) fn write(&self, editor: &mut Editor, layer: &Layer, value: ValueId, shape: &[usize], as_operand: bool) {
        if let (Form::Bytes(codes), true) = (&self.form, as_operand) {
            return integers::weight(editor, layer, value, shape, codes, &self.scales);
        }
        let scale = editor.store_floats(&self.scales);
        let zero_point = (!self.zeros.is_empty()).then(|| editor.store(bytemuck::cast_slice(&self.zeros)));
        match &self.form {
            Form::Half(halves) => {
                let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
                let data = editor.store(&bytes);
                editor.encode(value, Encoding::F16, data);
            }
            Form::Bytes(codes) => {
                let data = editor.store(bytemuck::cast_slice(codes));
                let axis = u32::try_from(layer.axis).ok();
                editor.encode(value, Encoding::Int8 { axis, scale, zero_point }, data);
            }
            Form::Nibbles { codes, row, block, order } => {
                let data = editor.store(&pack_nibbles(codes, *row));
                let block = u32::try_from(*block).unwrap_or(u32::MAX);
                let encoding = Encoding::Int4 { block, scale, zero_point };
                if *order == Order::Same {
                    return editor.encode(value, encoding, data);
                }
                let name = editor.graph().value_name(value).to_owned();
                let rows = codes.len() / (*row).max(1);
                editor.undefine(value);
                let packed = editor.weight(&format!("{name}_blocks"), &[rows, *row], encoding, data);
                match order {
                    Order::Transposed => {
                        let perm = Attribute::Ints(vec![1, 0]);
                        editor.insert(0, "Transpose", &[packed], &[value], &[("perm", perm)]);
                    }
                    _ => {
                        let dims: Vec<u8> = shape.iter().flat_map(|size| (*size as i64).to_le_bytes()).collect();
                        let dims = editor.constant(&format!("{name}_shape"), DType::I64, &[shape.len()], &dims);
                        editor.insert(0, "Reshape", &[packed, dims], &[value], &[]);
                    }
                }
            }
        }
    }
}

/// The scheme in words.
pub(super) fn describe(scheme: LayerScheme) -> String {
    let zero = |symmetric: bool| if symmetric { "symmetric" } else { "with zero points" };
    match scheme {
        LayerScheme::Float => "float".to_owned(),
        LayerScheme::Fp16 => "float16".to_owned(),
        LayerScheme::Int8 { levels, symmetric, .. } => {
            format!("int8 per channel, {}, codes to {levels}", zero(symmetric))
        }
        LayerScheme::Int4 { block, symmetric } => format!("int4 in blocks of {block}, {}", zero(symmetric)),
    }
}

fn per_row(rows: &Rows, levels: i32, symmetric: bool) -> Vec<Grid> {
    rows.data.chunks(rows.width().max(1)).map(|row| grid(row, levels, symmetric)).collect()
}

/// The grid that just holds all of these numbers.
fn grid(numbers: &[f32], levels: i32, symmetric: bool) -> Grid {
    let (min, max) = numbers.iter().fold((0.0f32, 0.0f32), |(min, max), number| (min.min(*number), max.max(*number)));
    if symmetric { Grid::symmetric(max.max(-min), levels) } else { Grid::over(min, max, -levels - 1, levels) }
}

fn nearest(rows: &Rows, grids: &[Grid]) -> Vec<i8> {
    let rows = rows.data.chunks(rows.width().max(1)).zip(grids);
    rows.flat_map(|(row, grid)| row.iter().map(|number| grid.encode(*number) as i8)).collect()
}

fn decode(codes: &[i8], grids: &[Grid], width: usize) -> Vec<f32> {
    let rows = codes.chunks(width.max(1)).zip(grids);
    rows.flat_map(|(row, grid)| row.iter().map(|code| grid.decode(i32::from(*code)))).collect()
}

fn zeros(grids: &[Grid]) -> Vec<i8> {
    if grids.iter().all(|grid| grid.zero == 0) {
        Vec::new()
    } else {
        grids.iter().map(|grid| grid.zero as i8).collect()
    }
}
