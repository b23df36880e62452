//! Types and shapes of all values, as far as tract's analysis knows them.

use crate::analyse::analyse;
use crate::stop::{self, Limits};
use crate::{compile, dtype};
use pannier_engine::{Program, RunBudget};
use pannier_graph::{DType, Dim};
use std::collections::HashMap;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::TDim;

/// Type and shape of every value of the main body, by value; `None` where the analysis does not know both.
///
/// A dimension that is an expression of symbols is named by that expression, for example `2*batch`.
pub(crate) fn infer(program: &Program) -> Vec<Option<(DType, Vec<Dim>)>> {
    let mut known = vec![None; program.graph.values.len()];
    let limits = Limits::new(&RunBudget::default());
    let Ok(parsed) = compile::parse(program, &limits) else { return known };
    let names = symbol_names(&parsed);
    let Some(mut model) = parsed.model else { return known };
    // Obstinate: what can be known is known although some node cannot be analysed.
    let _ = stop::catch(|| analyse(&mut model, &limits, true));
    for (value, outlet) in &parsed.outlets {
        let Some(slot) = usize::try_from(*value).ok().and_then(|index| known.get_mut(index)) else { continue };
        let Ok(fact) = model.outlet_fact(*outlet) else { continue };
        let dtype = fact.datum_type.concretize().and_then(dtype::from_tract);
        let dims = fact.shape.concretize();
        let dims = dims.and_then(|dims| dims.iter().map(|dim| dimension(dim, &names)).collect::<Option<Vec<_>>>());
        *slot = dtype.zip(dims);
    }
    known
}

fn symbol_names(parsed: &compile::Parsed) -> HashMap<String, String> {
    parsed.symbols.iter().enumerate().map(|(index, name)| (format!("s{index}"), name.clone())).collect()
}

fn dimension(dim: &TDim, names: &HashMap<String, String>) -> Option<Dim> {
    if let Some(size) = dim.as_i64() {
        return Some(Dim::Fixed(u64::try_from(size).ok()?));
    }
    let text = dim.to_string();
    if let Some(name) = names.get(&text) {
        return Some(Dim::Symbol(name.clone()));
    }
    // An expression: our names for tract's symbols, word by word.
    let mut expression = String::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        expression.push_str(names.get(&word).unwrap_or(&word));
        word.clear();
        expression.push(c);
    }
    Some(Dim::Symbol(expression.trim_end().to_string()))
}
