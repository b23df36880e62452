//! What a model remembers from one run to the next.

use pannier_bundle::Dim;
use pannier_bundle::manifest::{Content, Port};
use pannier_engine::{Symbols, Tensor, TensorError, TensorView};

/// The state of one stream: the tensors that a stateful model's next run takes from its last one.
///
/// Which those are is in the manifest. A new state is empty; at the first [`Session::step`](crate::Session::step) it
/// becomes zeros of the right shapes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    entries: Vec<(String, Tensor)>,
}

impl State {
    /// The state before the first run.
    pub fn new() -> State {
        State::default()
    }

    /// The tensor that the next run takes for the input with this name.
    pub fn get(&self, input: &str) -> Option<&Tensor> {
        self.entries.iter().find(|(name, _)| name == input).map(|(_, tensor)| tensor)
    }

    /// Sets the tensor that the next run takes for the input with this name.
    pub fn set(&mut self, input: &str, tensor: Tensor) {
        match self.entries.iter_mut().find(|(name, _)| name == input) {
            Some((_, slot)) => *slot = tensor,
            None => self.entries.push((input.to_string(), tensor)),
        }
    }

    /// Forgets everything, as for a new stream.
    pub fn reset(&mut self) {
        self.entries.clear();
    }
}

/// The name of the output that feeds this input, if it is a state input.
pub(crate) fn fed_by(input: &Port) -> Option<&str> {
    match &input.content {
        Content::State { output } => Some(output),
        _ => None,
    }
}

/// Zeros for a state input. A symbol that the other inputs of the run do not bind is 1.
pub(crate) fn zeros(input: &Port, symbols: &Symbols) -> Result<Tensor, TensorError> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).unwrap_or(usize::MAX),
        Dim::Symbol(name) => symbols.get(name).copied().unwrap_or(1),
    };
    Tensor::zeros(input.dtype, input.shape.iter().map(size).collect::<Vec<_>>())
}

/// The sizes that given tensors bind the symbols of their ports to. What does not fit is left to the engine's check.
pub(crate) fn bound<'a>(given: impl Iterator<Item = (&'a Port, TensorView<'a>)>) -> Symbols {
    let mut symbols = Symbols::new();
    for (port, tensor) in given {
        for (dim, size) in port.shape.iter().zip(tensor.shape()) {
            if let Dim::Symbol(name) = dim {
                symbols.entry(name.clone()).or_insert(*size);
            }
        }
    }
    symbols
}
