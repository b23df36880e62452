//! A graph as text, for `packager inspect --graph`.

use crate::{Attribute, Body, DType, Dim, Encoding, Graph, Node, ValueId};
use core::fmt::{Display, Formatter, Result};

/// Elements of a list that are written out.
const SHOWN: usize = 8;

/// One line per input, weight, node and output; nested bodies are indented below their node.
impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "opset ai.onnx {}", crate::OPSET)?;
        for (domain, version) in &self.domains {
            writeln!(f, "opset {domain} {version}")?;
        }
        self.write_body(f, &self.body, 0)
    }
}

impl Graph {
    fn write_body(&self, f: &mut Formatter<'_>, body: &Body, depth: usize) -> Result {
        let indent = depth * 4;
        for input in &body.inputs {
            write!(f, "{:indent$}input  {}", "", self.value_name(input.value))?;
            if let Some(dtype) = input.dtype {
                write!(f, ": {}", dtype.name())?;
            }
            if let Some(shape) = &input.shape {
                write_list(f, shape, shape.len(), |f, dim| match dim {
                    Dim::Fixed(size) => write!(f, "{size}"),
                    Dim::Symbol(name) => f.write_str(name),
                })?;
            }
            writeln!(f)?;
        }
        for weight in &body.weights {
            let encoding = match weight.encoding {
                Encoding::Raw => "",
                Encoding::F16 => " as float16",
                Encoding::Int8 { .. } => " as int8",
                Encoding::Int4 { .. } => " as int4",
            };
            write!(f, "{:indent$}weight {}: {}", "", self.value_name(weight.value), weight.dtype.name())?;
            write_list(f, &weight.shape, weight.shape.len(), |f, size| write!(f, "{size}"))?;
            writeln!(f, "{encoding}")?;
        }
        for node in &body.nodes {
            self.write_node(f, node, depth)?;
        }
        for output in &body.outputs {
            writeln!(f, "{:indent$}output {}", "", self.value_name(*output))?;
        }
        Ok(())
    }

    fn write_node(&self, f: &mut Formatter<'_>, node: &Node, depth: usize) -> Result {
        let indent = depth * 4;
        write!(f, "{:indent$}", "")?;
        self.write_values(f, &node.outputs)?;
        let dot = if node.domain.is_empty() { "" } else { "." };
        write!(f, " = {}{dot}{}(", node.domain, node.op)?;
        self.write_values(f, &node.inputs)?;
        f.write_str(")")?;
        for (name, attribute) in &node.attributes {
            if !matches!(attribute, Attribute::Body(_)) {
                write!(f, " {name}=")?;
                write_attribute(f, attribute)?;
            }
        }
        writeln!(f)?;
        for (name, attribute) in &node.attributes {
            if let Attribute::Body(body) = attribute {
                writeln!(f, "{:indent$}  {name}:", "")?;
                self.write_body(f, body, depth + 1)?;
            }
        }
        Ok(())
    }

    fn write_values(&self, f: &mut Formatter<'_>, values: &[Option<ValueId>]) -> Result {
        for (index, value) in values.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", value.map_or("_", |value| self.value_name(value)))?;
        }
        Ok(())
    }
}

fn write_attribute(f: &mut Formatter<'_>, attribute: &Attribute) -> Result {
    match attribute {
        Attribute::Int(value) => write!(f, "{value}"),
        Attribute::Float(value) => write!(f, "{value:?}"),
        Attribute::String(value) => write!(f, "\"{}\"", value.escape_ascii()),
        Attribute::Tensor(literal) => {
            f.write_str(literal.dtype.name())?;
            write_list(f, &literal.shape, SHOWN, |f, size| write!(f, "{size}"))?;
            write_elements(f, literal.dtype, &literal.bytes)
        }
        Attribute::Body(_) => f.write_str("{..}"),
        Attribute::Ints(values) => write_list(f, values, SHOWN, |f, value| write!(f, "{value}")),
        Attribute::Floats(values) => write_list(f, values, SHOWN, |f, value| write!(f, "{value:?}")),
        Attribute::Strings(values) => {
            write_list(f, values, SHOWN, |f, value| write!(f, "\"{}\"", value.escape_ascii()))
        }
    }
}

/// The first elements of a literal of a common type.
fn write_elements(f: &mut Formatter<'_>, dtype: DType, bytes: &[u8]) -> Result {
    match dtype {
        DType::F32 => write_list(f, bytes.as_chunks::<4>().0, SHOWN, |f, b| write!(f, "{:?}", f32::from_le_bytes(*b))),
        DType::I32 => write_list(f, bytes.as_chunks::<4>().0, SHOWN, |f, b| write!(f, "{}", i32::from_le_bytes(*b))),
        DType::I64 => write_list(f, bytes.as_chunks::<8>().0, SHOWN, |f, b| write!(f, "{}", i64::from_le_bytes(*b))),
        DType::U8 | DType::Bool => write_list(f, bytes, SHOWN, |f, byte| write!(f, "{byte}")),
        _ => Ok(()),
    }
}

fn write_list<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    shown: usize,
    write: impl Fn(&mut Formatter<'_>, &T) -> Result,
) -> Result {
    f.write_str("[")?;
    for (index, item) in items.iter().take(shown).enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    f.write_str(if items.len() > shown { ", ..]" } else { "]" })
}
