//! Named tensors: what goes into a run and what comes out.

use pannier_engine::{Tensor, TensorView};
use std::borrow::Cow;

/// The named inputs of a run, owned or borrowed, in any order. [`inputs!`](crate::inputs) writes one.
#[derive(Debug, Clone, Default)]
pub struct Inputs<'a> {
    entries: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Inputs<'a> {
    /// No inputs.
    pub fn new() -> Inputs<'a> {
        Inputs::default()
    }

    /// Adds an input. A name that is there twice is refused by the run.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, tensor: impl Into<Value<'a>>) {
        self.entries.push((name.into(), tensor.into()));
    }

    /// The inputs in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TensorView<'_>)> {
        self.entries.iter().map(|(name, value)| (name.as_ref(), value.view()))
    }
}

impl<'a, N: Into<Cow<'a, str>>, V: Into<Value<'a>>> FromIterator<(N, V)> for Inputs<'a> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Inputs<'a> {
        Inputs { entries: entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl<'a> AsRef<Inputs<'a>> for Inputs<'a> {
    fn as_ref(&self) -> &Inputs<'a> {
        self
    }
}

/// A tensor, owned or borrowed.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Owned.
    Owned(Tensor),
    /// Borrowed.
    Borrowed(TensorView<'a>),
}

impl Value<'_> {
    fn view(&self) -> TensorView<'_> {
        match self {
            Value::Owned(tensor) => tensor.view(),
            Value::Borrowed(view) => *view,
        }
    }
}

impl From<Tensor> for Value<'_> {
    fn from(tensor: Tensor) -> Self {
        Value::Owned(tensor)
    }
}

impl<'a> From<&'a Tensor> for Value<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Value::Borrowed(tensor.view())
    }
}

impl<'a> From<TensorView<'a>> for Value<'a> {
    fn from(view: TensorView<'a>) -> Self {
        Value::Borrowed(view)
    }
}

/// Writes [`Inputs`]: names and tensors, owned or borrowed.
///
/// ```
/// use pannier::{Tensor, inputs};
/// let state = Tensor::scalar(0.0f32);
/// let inputs = inputs! { "input" => Tensor::scalar(1.0f32), "state" => &state };
/// assert_eq!(inputs.iter().count(), 2);
/// ```
#[macro_export]
macro_rules! inputs {
    ($($name:expr => $tensor:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "there may be no inputs")]
        let mut inputs = $crate::Inputs::new();
        $(inputs.push($name, $tensor);)*
        inputs
    }};
}

/// The named outputs of a run, in the model's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs {
    entries: Vec<(String, Tensor)>,
}

impl Outputs {
    /// The output with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.iter().find(|(key, _)| *key == name).map(|(_, tensor)| tensor)
    }

    /// Takes out the output with this name.
    pub fn take(&mut self, name: &str) -> Option<Tensor> {
        let index = self.entries.iter().position(|(key, _)| key == name)?;
        Some(self.entries.remove(index).1)
    }

    /// The outputs in the model's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> + Clone {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The outputs in this order: for those who run models elsewhere and answer as a session does.
impl<N: Into<String>> FromIterator<(N, Tensor)> for Outputs {
    fn from_iter<I: IntoIterator<Item = (N, Tensor)>>(entries: I) -> Outputs {
        Outputs { entries: entries.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect() }
    }
}

impl IntoIterator for Outputs {
    type Item = (String, Tensor);
    type IntoIter = std::vec::IntoIter<(String, Tensor)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
