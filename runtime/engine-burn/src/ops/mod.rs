//! The operators of the standard, over tensors on the device.
//!
//! To add one: write a function in the file of its family, and add a line to that file's table. `check` refuses what is not
//! implemented, from attributes alone; `run` computes on the device; `host` computes on the CPU where all operands are known
//! there, which is how shapes are never read back.

mod activation;
mod attention;
mod cast;
mod choose;
mod conv;
mod curves;
mod elementwise;
mod fill;
mod gather;
mod matmul;
mod normalise;
mod pad;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod scatter;
mod shapes;
mod slice;
mod window;

use crate::array::Array;
use crate::attributes::Attributes;
use crate::failure::{Failure, Outcome};
use crate::host::Host;
use crate::scope::{Scope, floating};
use crate::value::Value;
use pannier_graph::Node;

/// Computes on the device.
type Run = fn(&Call<'_>) -> Outcome<Vec<Value>>;

/// Computes on the CPU, or says that it does not for these operands.
type HostRun = fn(&Call<'_>) -> Outcome<Option<Vec<Host>>>;

/// One operator.
pub(crate) struct Operator {
    name: &'static str,
    /// Refuses attributes that are not implemented.
    pub(crate) check: fn(&Attributes<'_>) -> Outcome<()>,
    /// Computes on the device. Results in the node's order.
    pub(crate) run: Run,
    /// Computes on the CPU, or says that it does not for these operands.
    pub(crate) host: Option<HostRun>,
    /// Whether `host` needs the shapes of its operands only.
    pub(crate) of_shapes: bool,
    /// Operands that must be known on the CPU.
    pub(crate) needs: &'static [usize],
}

impl Operator {
    /// An operator with every attribute of the standard.
    const fn new(name: &'static str, run: Run) -> Operator {
        Operator { name, check: |_| Ok(()), run, host: None, of_shapes: false, needs: &[] }
    }

    const fn check(self, check: fn(&Attributes<'_>) -> Outcome<()>) -> Operator {
        Operator { check, ..self }
    }

    const fn host(self, host: HostRun) -> Operator {
        Operator { host: Some(host), ..self }
    }

    const fn needs(self, needs: &'static [usize]) -> Operator {
        Operator { needs, ..self }
    }
}

/// Every operator, by family.
const FAMILIES: [&[Operator]; 20] = [
    activation::OPERATORS,
    attention::OPERATORS,
    cast::OPERATORS,
    choose::OPERATORS,
    conv::OPERATORS,
    conv::TRANSPOSED,
    elementwise::OPERATORS,
    fill::OPERATORS,
    gather::OPERATORS,
    matmul::OPERATORS,
    normalise::OPERATORS,
    pad::OPERATORS,
    pool::OPERATORS,
    quantize::OPERATORS,
    recurrent::OPERATORS,
    reduce::OPERATORS,
    resize::OPERATORS,
    scatter::OPERATORS,
    shapes::OPERATORS,
    slice::OPERATORS,
];

/// The operator of a node, if it is here.
pub(crate) fn find(node: &Node) -> Option<&'static Operator> {
    let standard = node.domain.is_empty() || node.domain == "ai.onnx";
    let mut all = FAMILIES.iter().flat_map(|family| family.iter());
    all.find(|operator| standard && operator.name == node.op)
}

/// The names of all operators, sorted.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = FAMILIES.iter().flat_map(|family| family.iter().map(|operator| operator.name)).collect();
    names.sort_unstable();
    names
}

/// One run of a node.
pub(crate) struct Call<'a> {
    pub(crate) attributes: Attributes<'a>,
    /// In the node's order, `None` where an optional one is absent.
    pub(crate) operands: &'a [Option<Value>],
    pub(crate) scope: Scope<'a>,
}

impl Call<'_> {
    /// The operator's name.
    fn op(&self) -> &str {
        &self.attributes.0.op
    }

    fn get(&self, index: usize) -> Option<&Value> {
        self.operands.get(index).and_then(Option::as_ref)
    }

    fn value(&self, index: usize) -> Outcome<&Value> {
        self.get(index).ok_or_else(|| Failure::Invalid(format!("operand {index} is missing")))
    }

    /// An operand on the device.
    fn array(&self, index: usize) -> Outcome<Array> {
        self.value(index)?.on_device(&self.scope)
    }

    /// An operand on the device, if it is there.
    fn array_if_any(&self, index: usize) -> Outcome<Option<Array>> {
        self.get(index).map(|value| value.on_device(&self.scope)).transpose()
    }

    /// An operand that the CPU must know.
    fn known(&self, index: usize) -> Outcome<&Host> {
        let known = self.value(index)?.known();
        known.ok_or_else(|| Failure::Unsupported(format!("operand {index} depends on data")))
    }

    /// An operand on the device, which has floating-point numbers.
    fn float(&self, index: usize) -> Outcome<Array> {
        let array = self.array(index)?;
        floating(&array)?;
        Ok(array)
    }

    /// The same, if it is there.
    fn float_if_any(&self, index: usize) -> Outcome<Option<Array>> {
        if self.get(index).is_some() { self.float(index).map(Some) } else { Ok(None) }
    }

    /// The integers of an operand that the CPU must know.
    fn ints(&self, index: usize) -> Outcome<Vec<i64>> {
        let ints = self.known(index)?.as_ints();
        ints.map(<[i64]>::to_vec).ok_or_else(|| Failure::Invalid(format!("operand {index} has no integers")))
    }

    fn ints_if_any(&self, index: usize) -> Outcome<Option<Vec<i64>>> {
        if self.get(index).is_some() { self.ints(index).map(Some) } else { Ok(None) }
    }

    /// The numbers of an operand that the CPU must know.
    fn floats(&self, index: usize) -> Outcome<Vec<f64>> {
        Ok(self.known(index)?.to_floats())
    }

    /// The one number of an operand that the CPU must know, if it is there.
    fn number_if_any(&self, index: usize) -> Outcome<Option<f64>> {
        match self.get(index) {
            None => Ok(None),
            Some(_) => Ok(self.floats(index)?.first().copied()),
        }
    }
}

/// The one result.
fn one(array: Array) -> Outcome<Vec<Value>> {
    Ok(vec![Value::array(array)])
}

/// Nothing is computed on the device: the CPU knows all that is needed, or it is too much for it.
fn on_cpu_only(call: &Call<'_>) -> Outcome<Vec<Value>> {
    Err(Failure::Unsupported(format!("{} of operands of this size or type", call.op())))
}
