//! Weights in the form in which they are stored.

use super::integers;
use crate::quantize::codes::{Grid, pack_nibbles};
use crate::quantize::edit::Editor;
use crate::quantize::weights::{Numbers, Rows};
use crate::quantize::{Layer, LayerScheme};
use pannier_graph::{Attribute, DType, Encoding, ValueId};

/// How the rows of a weight lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// A row for each output channel; the stored weight keeps its own order.
    Channels,
    /// A row along the last axis for each index of all others.
    Last,
    /// A row for each index of the first axis: all others are joined.
    Joined,
    /// A row for each column of a matrix.
    Transposed,
}

impl Order {
    /// Blocks of 4 bits run along rows, so rows are to be what is multiplied with one vector.
    pub(super) fn of(layer: &Layer, rank: usize, scheme: LayerScheme) -> Order {
        match (scheme, layer.op.as_str()) {
            (LayerScheme::Int4 { .. }, "Conv" | "ConvTranspose") => Order::Joined,
            (LayerScheme::Int4 { .. }, "MatMul" | "Gemm") if rank == 2 && layer.axis == 1 => Order::Transposed,
            (LayerScheme::Int4 { .. }, _) => Order::Last,
            _ => Order::Channels,
        }
    }

    pub(super) fn rows(self, numbers: &Numbers, axis: usize) -> Rows {
        match self {
            Order::Channels => numbers.rows(axis),
            Order::Last => numbers.rows_as_they_are(),
            Order::Joined => numbers.rows(0),
            Order::Transposed => numbers.rows(1),
        }
    }
}

/// Rows as codes, and what these stand for.
#[derive(Debug, Clone)]
pub(super) struct Coded {
    /// Row after row.
    pub(super) codes: Vec<i8>,
    /// One for each block of each row, row after row.
    pub(super) grids: Vec<Grid>,
    /// Weights of a block; the last of a row may be shorter.
    pub(super) block: usize,
}

/// What is stored of a weight.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// Bit patterns of binary16, row after row.
    Halves(Vec<half::f16>),
    /// One byte for each weight.
    Bytes(Coded),
    /// Half a byte for each weight.
    Nibbles(Coded),
}

impl Stored {
    /// The scales, as they are stored.
    pub(super) fn scales(&self) -> Vec<f32> {
        match self {
            Stored::Halves(_) => Vec::new(),
            Stored::Bytes(coded) | Stored::Nibbles(coded) => coded.grids.iter().map(|grid| grid.scale).collect(),
        }
    }

    /// Zero points; none where all of them are zero.
    fn zeros(&self) -> Vec<i8> {
        match self {
            Stored::Bytes(coded) | Stored::Nibbles(coded) if coded.grids.iter().any(|grid| grid.zero != 0) => {
                coded.grids.iter().map(|grid| grid.zero as i8).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Bytes of codes, scales and zero points.
    pub(super) fn size_bytes(&self, width: usize) -> u64 {
        let codes = match self {
            Stored::Halves(halves) => halves.len() * 2,
            Stored::Bytes(coded) => coded.codes.len(),
            Stored::Nibbles(coded) => coded.codes.len() / width.max(1) * width.div_ceil(2),
        };
        (codes + self.scales().len() * 4 + self.zeros().len()) as u64
    }

    /// Makes the program store a weight so: as an operand of a layer of integers, or decoded by the engine.
    pub(super) fn write(&self, editor: &mut Editor, layer: &Layer, target: &Target<'_>) {
        let Target { value, shape, rows, order, as_operand } = *target;
        let scales = self.scales();
        if let (Stored::Bytes(coded), true) = (self, as_operand) {
            return integers::weight(editor, layer, value, shape, &rows.restore(&coded.codes), &scales);
        }
        let zeros = self.zeros();
        let scale = editor.store_floats(&scales);
        let zero_point = (!zeros.is_empty()).then(|| editor.store(bytemuck::cast_slice(&zeros)));
        match self {
            Stored::Halves(halves) => {
                let bytes: Vec<u8> = rows.restore(halves).iter().flat_map(|half| half.to_le_bytes()).collect();
                let data = editor.store(&bytes);
                editor.encode(value, Encoding::F16, data);
            }
            Stored::Bytes(coded) => {
                let data = editor.store(bytemuck::cast_slice(&rows.restore(&coded.codes)));
                let axis = u32::try_from(layer.axis).ok();
                editor.encode(value, Encoding::Int8 { axis, scale, zero_point }, data);
            }
            Stored::Nibbles(coded) => {
                let data = editor.store(&pack_nibbles(&coded.codes, rows.width()));
                let block = u32::try_from(coded.block).unwrap_or(u32::MAX);
                let encoding = Encoding::Int4 { block, scale, zero_point };
                match order {
                    Order::Channels | Order::Last => editor.encode(value, encoding, data),
                    Order::Joined | Order::Transposed => {
                        let name = format!("{}_blocks", editor.graph().value_name(value));
                        let packed = editor.weight(&name, &[rows.count(), rows.width()], encoding, data);
                        turned(editor, value, packed, order, shape);
                    }
                }
            }
        }
    }
}

/// A weight that is to be written.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) value: ValueId,
    pub(super) shape: &'a [usize],
    pub(super) rows: &'a Rows,
    pub(super) order: Order,
    /// Whether the layer computes with integers.
    pub(super) as_operand: bool,
}

/// Makes a weight of its rows, for engines to compute once.
fn turned(editor: &mut Editor, value: ValueId, packed: ValueId, order: Order, shape: &[usize]) {
    editor.undefine(value);
    if order == Order::Transposed {
        let perm = Attribute::Ints(vec![1, 0]);
        return editor.insert(0, "Transpose", &[packed], &[value], &[("perm", perm)]);
    }
    let dims: Vec<u8> = shape.iter().flat_map(|size| (*size as i64).to_le_bytes()).collect();
    let name = format!("{}_shape", editor.graph().value_name(value));
    let dims = editor.constant(&name, DType::I64, &[shape.len()], &dims);
    editor.insert(0, "Reshape", &[packed, dims], &[value], &[]);
}

/// The scheme in words.
pub(super) fn describe(scheme: LayerScheme) -> String {
    let zero = |symmetric: bool| if symmetric { "symmetric" } else { "with zero points" };
    match scheme {
        LayerScheme::Float => "float32".to_owned(),
        LayerScheme::Fp16 => "float16".to_owned(),
        LayerScheme::Int8 { levels, symmetric, .. } => {
            format!("int8 per channel, {}, codes to {levels}", zero(symmetric))
        }
        LayerScheme::Int4 { block, symmetric } => format!("int4 in blocks of {block}, {}", zero(symmetric)),
    }
}
