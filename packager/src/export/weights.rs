//! Weights in an ONNX file: what is stored as integers or as binary16 stays so, with the node behind it that makes numbers of it.

use super::{ExportError, Writer, proto, tensor};
use pannier_graph::{DType, Encoding, Literal, Span, Weight};
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;

/// `TensorProto.DataType` of signed 4-bit integers, two to a byte.
const INT4: i32 = 22;
/// `TensorProto.DataType` of binary32.
const FLOAT: i64 = 1;

/// A weight as initialisers, and the node that makes the weight of them.
#[derive(Default)]
pub(super) struct Exported {
    pub(super) initializers: Vec<pb::TensorProto>,
    pub(super) node: Option<proto::NodeProto>,
}

pub(super) fn export(writer: &Writer<'_>, weight: &Weight) -> Result<Exported, ExportError> {
    let name = writer.name(weight.value);
    let lost = || ExportError::Weight { weight: name.clone() };
    let bytes = |span: &Span| writer.program.bytes(span).ok_or_else(lost);
    let parts = Parts { writer, name: &name, weight };
    match &weight.encoding {
        Encoding::F16 => {
            let halves = parts.initializer("float16", DType::F16.onnx_number(), &weight.shape, bytes(&weight.data)?);
            let to = attribute("to", FLOAT);
            Ok(parts.made("Cast", vec![halves], vec![to]))
        }
        Encoding::Int8 { axis, scale, zero_point } => {
            let count: Vec<u64> = match axis {
                Some(axis) => weight.shape.get(*axis as usize).copied().into_iter().collect(),
                None => Vec::new(),
            };
            let int8 = DType::I8.onnx_number();
            let mut inputs = vec![
                parts.initializer("int8", int8, &weight.shape, bytes(&weight.data)?),
                parts.initializer("scale", DType::F32.onnx_number(), &count, bytes(scale)?),
            ];
            if let Some(span) = zero_point {
                inputs.push(parts.initializer("zero_point", int8, &count, bytes(span)?));
            }
            let axis = attribute("axis", axis.unwrap_or(0).into());
            Ok(parts.made("DequantizeLinear", inputs, vec![axis]))
        }
        Encoding::Int4 { block, scale, zero_point } => {
            let zeros = zero_point.as_ref().map(bytes).transpose()?;
            let Some(exported) = parts.int4(*block, bytes(&weight.data)?, bytes(scale)?, zeros) else {
                return parts.decoded().ok_or_else(lost);
            };
            Ok(exported)
        }
        Encoding::Raw => parts.decoded().ok_or_else(lost),
    }
}

struct Parts<'a> {
    writer: &'a Writer<'a>,
    name: &'a str,
    weight: &'a Weight,
}

impl Parts<'_> {
    /// The numbers themselves.
    fn decoded(&self) -> Option<Exported> {
        let bytes = self.weight.decode(|span| self.writer.program.bytes(span))?;
        let literal = Literal { dtype: self.weight.dtype, shape: self.weight.shape.clone(), bytes: bytes.to_vec() };
        let initializer = pb::TensorProto { name: self.name.to_owned(), ..tensor(&literal) };
        Some(Exported { initializers: vec![initializer], node: None })
    }

    /// In blocks along the last axis; `None` where zero points have no 4 bits, or the sizes do not fit.
    fn int4(&self, block: u32, data: &[u8], scale: &[u8], zeros: Option<&[u8]>) -> Option<Exported> {
        let row = usize::try_from(*self.weight.shape.last()?).ok().filter(|row| *row > 0)?;
        let mut blocks = self.weight.shape.clone();
        *blocks.last_mut()? = u64::try_from(row.div_ceil(usize::try_from(block).ok()?)).ok()?;
        // A row begins with a byte of its own in a bundle, not in ONNX.
        let halves =
            data.chunks(row.div_ceil(2)).flat_map(|bytes| bytes.iter().flat_map(|b| [b & 15, b >> 4]).take(row));
        let mut inputs = vec![
            self.initializer("int4", INT4, &self.weight.shape, &nibbles(halves)),
            self.initializer("scale", DType::F32.onnx_number(), &blocks, scale),
        ];
        if let Some(zeros) = zeros {
            if zeros.iter().any(|zero| !(-8..8).contains(&zero.cast_signed())) {
                return None;
            }
            inputs.push(self.initializer("zero_point", INT4, &blocks, &nibbles(zeros.iter().map(|zero| zero & 15))));
        }
        let axis = i64::try_from(self.weight.shape.len()).ok()? - 1;
        let block = i64::from(block).min(i64::try_from(row).ok()?);
        Some(self.made("DequantizeLinear", inputs, vec![attribute("axis", axis), attribute("block_size", block)]))
    }

    fn initializer(&self, what: &str, data_type: i32, shape: &[u64], bytes: &[u8]) -> pb::TensorProto {
        pb::TensorProto {
            name: self.writer.fresh(&format!("{}_{what}", self.name)),
            dims: shape.iter().map(|size| super::signed(*size)).collect(),
            data_type,
            raw_data: bytes.to_vec(),
            ..pb::TensorProto::default()
        }
    }

    fn made(&self, op: &str, initializers: Vec<pb::TensorProto>, attribute: Vec<proto::AttributeProto>) -> Exported {
        let node = proto::NodeProto {
            input: initializers.iter().map(|initializer| initializer.name.clone()).collect(),
            output: vec![self.name.to_owned()],
            name: self.writer.fresh(&format!("{}_{op}", self.name)),
            op_type: op.to_owned(),
            domain: String::new(),
            attribute,
        };
        Exported { initializers, node: Some(node) }
    }
}

/// Two to a byte, the first in the low half.
fn nibbles(halves: impl Iterator<Item = u8>) -> Vec<u8> {
    let halves: Vec<u8> = halves.collect();
    halves.chunks(2).map(|pair| pair.iter().rev().fold(0, |byte, half| byte << 4 | half)).collect()
}

fn attribute(name: &str, value: i64) -> proto::AttributeProto {
    proto::AttributeProto {
        name: name.to_owned(),
        i: Some(value),
        r#type: AttributeType::Int.into(),
        ..proto::AttributeProto::default()
    }
}
