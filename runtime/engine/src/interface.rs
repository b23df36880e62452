//! Whether input tensors fit a graph: one check for every engine, with one set of messages.

use crate::engine::EngineError;
use crate::tensor::TensorView;
use pannier_graph::{Dim, Graph};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Sizes of the symbols in one run.
pub type Symbols = BTreeMap<String, usize>;

/// Checks number, types and shapes of the inputs of one run, and binds the graph's symbols.
///
/// # Errors
/// [`EngineError::InvalidInput`]: the first input that does not fit, also where a symbol already has another size.
pub fn check_inputs(graph: &Graph, inputs: &[TensorView<'_>]) -> Result<Symbols, EngineError> {
    let declared = &graph.body.inputs;
    if declared.len() != inputs.len() {
        let name = declared.get(inputs.len()).map_or("", |input| graph.value_name(input.value));
        return Err(EngineError::InvalidInput {
            name: name.to_string(),
            expected: format!("{} inputs", declared.len()),
            found: format!("{}", inputs.len()),
        });
    }
    let mut symbols = Symbols::new();
    for (input, tensor) in declared.iter().zip(inputs) {
        let name = graph.value_name(input.value);
        let invalid =
            |expected: String, found: String| EngineError::InvalidInput { name: name.into(), expected, found };
        if let Some(dtype) = input.dtype.filter(|dtype| *dtype != tensor.dtype()) {
            return Err(invalid(dtype.name().to_string(), tensor.dtype().name().to_string()));
        }
        let Some(shape) = &input.shape else { continue };
        let fits = shape.len() == tensor.shape().len()
            && shape.iter().zip(tensor.shape()).all(|(dim, size)| fits(dim, *size, &mut symbols));
        if !fits {
            return Err(invalid(describe(shape, &symbols), format!("{:?}", tensor.shape())));
        }
    }
    Ok(symbols)
}

fn fits(dim: &Dim, size: usize, symbols: &mut Symbols) -> bool {
    match dim {
        Dim::Fixed(fixed) => u64::try_from(size) == Ok(*fixed),
        Dim::Symbol(name) => *symbols.entry(name.clone()).or_insert(size) == size,
    }
}

/// `[1, batch, height = 48]`: a symbol is followed by the size that it has already.
fn describe(shape: &[Dim], symbols: &Symbols) -> String {
    let mut text = String::from("[");
    for (index, dim) in shape.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let _ = match dim {
            Dim::Fixed(size) => write!(text, "{size}"),
            Dim::Symbol(name) => match symbols.get(name) {
                Some(size) => write!(text, "{name} = {size}"),
                None => write!(text, "{name}"),
            },
        };
    }
    text.push(']');
    text
}
