//! Types and shapes of values, as far as they follow from the inputs, and the elements of lists that are shapes.
//!
//! What is not certain stays unknown: an operator without a rule, a size that depends on data. What is certain to be
//! wrong is reported.

mod control;
mod convolution;
mod elementwise;
mod layout;
mod product;
mod reduce;
mod shapes;

use super::error::Why;
use super::model::{Element, Model, Type, input};
use super::tensor;
use pannier_graph::{Attribute, Body, DType, Dim, Node, ValueId};

/// A dimension: `None` if nothing is known of it.
type Size = Option<Dim>;

/// What a rule says of a node's outputs, in order; fewer than there are if it does not know of the others.
type Outcome = Result<Vec<Type>, Why>;

/// Infers the types of a node's outputs from those of its inputs and notes them in the model.
///
/// # Errors
/// [`Why::Mismatch`] if the inputs' shapes contradict each other.
pub(super) fn node(model: &mut Model, node: &Node) -> Result<(), Why> {
    let types = rule(&View { model, node })?;
    for (output, found) in node.outputs.iter().zip(types) {
        if let Some(output) = output {
            let known = model.type_mut(*output);
            known.dtype = found.dtype.or(known.dtype);
            known.shape = found.shape;
            known.elements = found.elements;
        }
    }
    Ok(())
}

/// Infers the types of all values again, after nodes or constants changed.
pub(super) fn all(model: &mut Model) -> Result<(), Why> {
    let body = std::mem::take(&mut model.body);
    let result = nodes(model, &body);
    model.body = body;
    result
}

fn nodes(model: &mut Model, body: &Body) -> Result<(), Why> {
    for inner in &body.nodes {
        for (_, attribute) in &inner.attributes {
            if let Attribute::Body(nested) = attribute {
                nodes(model, nested)?;
            }
        }
        node(model, inner)?;
    }
    Ok(())
}

/// Operators whose attribute `axis` is an axis of their first input.
#[rustfmt::skip]
const ALONG_AXIS: &[&str] = &[
    "ArgMax", "ArgMin", "Compress", "Concat", "Gather", "GatherElements", "Hardmax", "LayerNormalization", "LogSoftmax",
    "LpNormalization", "RMSNormalization", "ScatterElements", "Softmax", "Split", "TopK",
];

fn rule(view: &View<'_>) -> Outcome {
    match (view.node.domain.as_str(), view.node.op.as_str()) {
        ("", _) => {}
        ("com.microsoft", "MatMulNBits") => return Ok(product::matmul_nbits(view)),
        _ => return Ok(Vec::new()),
    }
    if let (Some(Attribute::Int(value)), Some(shape)) = (view.node.attribute("axis"), view.shape(0))
        && ALONG_AXIS.contains(&view.node.op.as_str())
        && axis(*value, shape.len()).is_none()
    {
        return Err(Why::Attribute { name: "axis".to_owned(), reason: "not an axis of the input" });
    }
    let rules =
        [elementwise::rule, shapes::rule, layout::rule, reduce::rule, product::rule, convolution::rule, control::rule];
    for rule in rules {
        if let Some(outcome) = rule(view) {
            return outcome;
        }
    }
    Ok(Vec::new())
}

/// A node with what is known of its inputs.
struct View<'a> {
    model: &'a Model,
    node: &'a Node,
}

impl<'a> View<'a> {
    fn input(&self, index: usize) -> Option<ValueId> {
        input(self.node, index)
    }

    fn r#type(&self, index: usize) -> Type {
        self.input(index).map(|value| self.model.r#type(value).clone()).unwrap_or_default()
    }

    fn dtype(&self, index: usize) -> Option<DType> {
        self.model.r#type(self.input(index)?).dtype
    }

    fn shape(&self, index: usize) -> Option<&'a [Size]> {
        self.model.r#type(self.input(index)?).shape.as_deref()
    }

    fn elements(&self, index: usize) -> Option<&'a [Element]> {
        self.model.r#type(self.input(index)?).elements.as_deref()
    }

    /// All integers of an input, if they are known.
    fn ints(&self, index: usize) -> Option<Vec<i64>> {
        let known = |element: &Element| if let Element::Known(value) = element { Some(*value) } else { None };
        match self.elements(index) {
            Some(elements) => elements.iter().map(known).collect(),
            None => self.model.known_ints(self.input(index)),
        }
    }

    /// The type that the attribute `name` numbers.
    fn dtype_attribute(&self, name: &str) -> Option<DType> {
        use super::model::Attributes;
        i32::try_from(self.node.int(name)?).ok().and_then(|number| tensor::dtype(number).ok())
    }

    /// The shapes of the first inputs contradict each other.
    fn mismatch(&self, inputs: &[usize]) -> Why {
        Why::Mismatch(inputs.iter().map(|index| written(self.shape(*index))).collect())
    }
}

/// A type without a shape.
fn untyped(dtype: Option<DType>) -> Type {
    Type { dtype, ..Type::default() }
}

/// A type with a shape, perhaps.
fn typed(dtype: Option<DType>, shape: Option<Vec<Size>>) -> Type {
    Type { dtype, shape, elements: None }
}

/// A known size.
fn known(size: u64) -> Size {
    Some(Dim::Fixed(size))
}

/// The size, if it is known.
fn fixed(size: &Size) -> Option<u64> {
    super::model::fixed(size)
}

/// An axis that may count from the end; `None` if it is outside.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

/// The elements that are dimensions.
fn as_sizes(elements: &[Element]) -> Vec<Size> {
    elements
        .iter()
        .map(|element| match element {
            Element::Known(value) => u64::try_from(*value).ok().map(Dim::Fixed),
            Element::Symbol(name) => Some(Dim::Symbol(name.clone())),
            Element::Unknown => None,
        })
        .collect()
}

/// The dimensions as elements of a list.
fn as_elements(shape: &[Size]) -> Vec<Element> {
    shape
        .iter()
        .map(|size| match size {
            Some(Dim::Fixed(size)) => i64::try_from(*size).map_or(Element::Unknown, Element::Known),
            Some(Dim::Symbol(name)) => Element::Symbol(name.clone()),
            None => Element::Unknown,
        })
        .collect()
}

fn written(shape: Option<&[Size]>) -> String {
    let part = |size: &Size| match size {
        Some(Dim::Fixed(size)) => size.to_string(),
        Some(Dim::Symbol(name)) => name.clone(),
        None => "?".to_owned(),
    };
    match shape {
        Some(shape) => format!("[{}]", shape.iter().map(part).collect::<Vec<_>>().join(", ")),
        None => "[..]".to_owned(),
    }
}
