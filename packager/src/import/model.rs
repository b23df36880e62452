//! The model while it is being imported: the graph's own types, with constants and types of values kept beside.

use pannier_graph::{Attribute, Body, DType, Dim, Node, ValueId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A model on its way to a [`pannier_graph::Graph`]. `Body::weights` stays empty until the weights are laid out.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Name of each value.
    names: Vec<String>,
    taken: Names,
    /// What is known of each value.
    pub types: Vec<Type>,
    /// Values that are known altogether, wherever they are used.
    pub constants: BTreeMap<ValueId, Constant>,
    /// Operator sets other than `ai.onnx` that are used.
    pub domains: BTreeMap<String, u32>,
    /// The main graph.
    pub body: Body,
}

/// What is known of a value's type.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Type {
    pub dtype: Option<DType>,
    /// `None` if not even the rank is known.
    pub shape: Option<Vec<Option<Dim>>>,
    /// What is known of the elements of a short list of integers, such as a shape that is being computed.
    pub elements: Option<Vec<Element>>,
}

/// What is known of one integer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Known(i64),
    /// The size that this symbol stands for.
    Symbol(String),
    Unknown,
}

/// Longest list of integers whose elements are followed.
pub(super) const ELEMENTS: usize = 64;

/// A tensor whose elements are known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constant {
    pub dtype: DType,
    pub shape: Vec<u64>,
    /// Little-endian, as many as type and shape say.
    pub bytes: Arc<Vec<u8>>,
}

/// Names in use, each with the number that was last added to it.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, u32>);

impl Names {
    /// `wanted`, with a number added if that is taken.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = self.0.get(wanted).copied().unwrap_or(0);
        while self.0.contains_key(&name) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        if number > 0 {
            self.0.insert(wanted.to_owned(), number);
        }
        self.0.insert(name.clone(), 0);
        name
    }
}

impl Model {
    /// A new value. Its name is `wanted`, with a number added if that is taken.
    pub(super) fn value(&mut self, wanted: &str) -> ValueId {
        let name = self.taken.unique(if wanted.is_empty() { "value" } else { wanted });
        let id = ValueId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name);
        self.types.push(Type::default());
        id
    }

    /// A new value that is constant.
    pub(super) fn constant(&mut self, wanted: &str, constant: Constant) -> ValueId {
        let id = self.value(wanted);
        self.set_constant(id, constant);
        id
    }

    /// Makes a value constant. The caller removes the node that defined it.
    pub(super) fn set_constant(&mut self, id: ValueId, constant: Constant) {
        *self.type_mut(id) = constant.r#type();
        self.constants.insert(id, constant);
    }

    pub(super) fn name(&self, id: ValueId) -> &str {
        self.names.get(index(id)).map_or("", String::as_str)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn r#type(&self, id: ValueId) -> &Type {
        const UNKNOWN: &Type = &Type { dtype: None, shape: None, elements: None };
        self.types.get(index(id)).unwrap_or(UNKNOWN)
    }

    pub(super) fn type_mut(&mut self, id: ValueId) -> &mut Type {
        let index = index(id);
        if index >= self.types.len() {
            self.types.resize(index + 1, Type::default());
        }
        &mut self.types[index]
    }

    /// The constant that an input of a node is, if it is there and constant.
    pub(super) fn known(&self, input: Option<ValueId>) -> Option<&Constant> {
        self.constants.get(&input?)
    }

    /// The integers that an input of a node is.
    pub(super) fn known_ints(&self, input: Option<ValueId>) -> Option<Vec<i64>> {
        self.known(input)?.ints()
    }

    /// Name and type of a value.
    pub(super) fn output(&self, id: ValueId) -> (String, Type) {
        (self.name(id).to_owned(), self.r#type(id).clone())
    }

    pub(super) fn rank(&self, id: ValueId) -> Option<usize> {
        self.r#type(id).shape.as_ref().map(Vec::len)
    }
}

/// A value's place in lists by value.
pub(super) fn index(id: ValueId) -> usize {
    usize::try_from(id.0).unwrap_or(usize::MAX)
}

impl Type {
    /// The shape, if every size is known.
    pub(super) fn fixed_shape(&self) -> Option<Vec<u64>> {
        self.shape.as_ref()?.iter().map(fixed).collect()
    }
}

/// The size of a dimension, if it is known.
pub(super) fn fixed(dim: &Option<Dim>) -> Option<u64> {
    match dim {
        Some(Dim::Fixed(size)) => Some(*size),
        _ => None,
    }
}

impl Constant {
    /// A constant from whole numbers.
    pub(super) fn from_ints(shape: &[u64], values: &[i64]) -> Constant {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Constant { dtype: DType::I64, shape: shape.to_vec(), bytes: Arc::new(bytes) }
    }

    /// A list of whole numbers.
    pub(super) fn ints_1d(values: &[i64]) -> Constant {
        Self::from_ints(&[values.len() as u64], values)
    }

    /// A constant from binary32 numbers.
    pub(super) fn from_floats(shape: &[u64], values: &[f32]) -> Constant {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Constant { dtype: DType::F32, shape: shape.to_vec(), bytes: Arc::new(bytes) }
    }

    /// One number of a floating-point type, rounded to it. `None` for other types.
    pub(super) fn float_scalar(dtype: DType, value: f64) -> Option<Constant> {
        let bytes = match dtype {
            DType::F32 => (value as f32).to_le_bytes().to_vec(),
            DType::F64 => value.to_le_bytes().to_vec(),
            DType::F16 => half::f16::from_f64(value).to_le_bytes().to_vec(),
            DType::BF16 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
            _ => return None,
        };
        Some(Constant { dtype, shape: Vec::new(), bytes: Arc::new(bytes) })
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size_bytes()
    }

    /// The elements, if they are 64-bit or 32-bit integers.
    pub(super) fn ints(&self) -> Option<Vec<i64>> {
        match self.dtype {
            DType::I64 => Some(self.bytes.as_chunks().0.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect()),
            DType::I32 => {
                Some(self.bytes.as_chunks().0.iter().map(|chunk| i32::from_le_bytes(*chunk).into()).collect())
            }
            _ => None,
        }
    }

    /// The elements as binary64, if they are floating-point numbers.
    pub(super) fn floats(&self) -> Option<Vec<f64>> {
        let bytes = &self.bytes;
        Some(match self.dtype {
            DType::F64 => bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect(),
            DType::F32 => bytes.as_chunks().0.iter().map(|chunk| f32::from_le_bytes(*chunk).into()).collect(),
            DType::F16 => bytes.as_chunks().0.iter().map(|chunk| half::f16::from_le_bytes(*chunk).into()).collect(),
            DType::BF16 => bytes.as_chunks().0.iter().map(|chunk| half::bf16::from_le_bytes(*chunk).into()).collect(),
            _ => return None,
        })
    }

    /// The only element, if it is a boolean.
    pub(super) fn bool_scalar(&self) -> Option<bool> {
        match (self.dtype, self.bytes.as_slice()) {
            (DType::Bool, [byte]) => Some(*byte != 0),
            _ => None,
        }
    }

    pub(super) fn r#type(&self) -> Type {
        let shape = self.shape.iter().map(|size| Some(Dim::Fixed(*size))).collect();
        let elements = if self.len() <= ELEMENTS { self.ints() } else { None };
        let elements = elements.map(|ints| ints.into_iter().map(Element::Known).collect());
        Type { dtype: Some(self.dtype), shape: Some(shape), elements }
    }
}

/// Reading attributes of a node.
pub(super) trait Attributes {
    fn int(&self, name: &str) -> Option<i64>;
    fn int_or(&self, name: &str, default: i64) -> i64 {
        self.int(name).unwrap_or(default)
    }
    fn ints(&self, name: &str) -> Option<&[i64]>;
    fn float(&self, name: &str) -> Option<f32>;
    fn string(&self, name: &str) -> Option<&str>;
    /// Takes an attribute away.
    fn take(&mut self, name: &str) -> Option<Attribute>;
    /// Sets an attribute, in its place in the order.
    fn set(&mut self, name: &str, value: Attribute);
}

impl Attributes for Node {
    fn int(&self, name: &str) -> Option<i64> {
        if let Some(Attribute::Int(value)) = self.attribute(name) { Some(*value) } else { None }
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        if let Some(Attribute::Ints(values)) = self.attribute(name) { Some(values) } else { None }
    }

    fn float(&self, name: &str) -> Option<f32> {
        if let Some(Attribute::Float(value)) = self.attribute(name) { Some(*value) } else { None }
    }

    fn string(&self, name: &str) -> Option<&str> {
        if let Some(Attribute::String(value)) = self.attribute(name) { std::str::from_utf8(value).ok() } else { None }
    }

    fn take(&mut self, name: &str) -> Option<Attribute> {
        let index = self.attributes.iter().position(|(key, _)| key == name)?;
        Some(self.attributes.remove(index).1)
    }

    fn set(&mut self, name: &str, value: Attribute) {
        self.take(name);
        let index = self.attributes.partition_point(|(key, _)| key.as_str() < name);
        self.attributes.insert(index, (name.to_owned(), value));
    }
}

/// The input at an index; `None` if it is absent.
pub(super) fn input(node: &Node, index: usize) -> Option<ValueId> {
    node.inputs.get(index).copied().flatten()
}

/// The output at an index; `None` if nobody wants it.
pub(super) fn output(node: &Node, index: usize) -> Option<ValueId> {
    node.outputs.get(index).copied().flatten()
}

/// Calls `visit` on a body and all bodies nested in it, inner ones first.
pub(super) fn for_each_body(body: &mut Body, visit: &mut impl FnMut(&mut Body)) {
    for node in &mut body.nodes {
        for (_, attribute) in &mut node.attributes {
            if let Attribute::Body(nested) = attribute {
                for_each_body(nested, visit);
            }
        }
    }
    visit(body);
}
