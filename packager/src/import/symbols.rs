//! Readable names for symbolic dimensions.

use pannier_graph::Dim;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};

/// Gives each of an exporter's symbols one name. The same symbol keeps meaning the same size.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// Name by the exporter's symbol.
    renamed: BTreeMap<String, String>,
    /// Names in use.
    taken: BTreeSet<String>,
}

impl Symbols {
    /// Keeps the readable symbols of a shape for themselves, so that no invented name takes one.
    pub(super) fn reserve(&mut self, dims: &[Dimension]) {
        for dim in dims {
            if let Some(dimension::Value::DimParam(symbol)) = &dim.value
                && is_readable(symbol)
            {
                self.taken.insert(symbol.clone());
            }
        }
    }

    /// One dimension of the input `name`. Sizes below zero stand for unknown ones in some exporters.
    pub(super) fn dim(&mut self, dim: &Dimension, name: &str, axis: usize) -> Dim {
        match &dim.value {
            Some(dimension::Value::DimValue(size)) => match u64::try_from(*size) {
                Ok(size) => Dim::Fixed(size),
                Err(_) => Dim::Symbol(self.invent(name, axis)),
            },
            Some(dimension::Value::DimParam(symbol)) if is_readable(symbol) => Dim::Symbol(symbol.clone()),
            Some(dimension::Value::DimParam(symbol)) if is_identity(symbol) => {
                if let Some(known) = self.renamed.get(symbol) {
                    return Dim::Symbol(known.clone());
                }
                let invented = self.invent(name, axis);
                self.renamed.insert(symbol.clone(), invented.clone());
                Dim::Symbol(invented)
            }
            _ => Dim::Symbol(self.invent(name, axis)),
        }
    }

    /// A name of which nobody has heard: `name_axis`.
    pub(super) fn invent(&mut self, name: &str, axis: usize) -> String {
        let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let base = format!("{clean}_{axis}");
        let mut symbol = base.clone();
        let mut number = 1;
        while !self.taken.insert(symbol.clone()) {
            number += 1;
            symbol = format!("{base}_{number}");
        }
        symbol
    }
}

/// A dimension, unless it is an expression.
pub(super) fn plain(dim: Dim) -> Option<Dim> {
    Some(dim).filter(|dim| !matches!(dim, Dim::Symbol(symbol) if !is_readable(symbol)))
}

/// Whether a symbol can stay: a plain word that a person chose. TensorFlow's converter writes `unk__12`.
fn is_readable(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    let word = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    word && !symbol.starts_with("unk__") && symbol != "None"
}

/// Whether a symbol means the same size wherever it stands. `?`, `-1` and such mean "unknown" each time.
fn is_identity(symbol: &str) -> bool {
    symbol.chars().any(|c| c.is_ascii_alphabetic()) && symbol != "None"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_become_stable_names() {
        let symbol =
            |text: &str| Dimension { value: Some(dimension::Value::DimParam(text.to_owned())), ..Dimension::default() };
        let size = |size| Dimension { value: Some(dimension::Value::DimValue(size)), ..Dimension::default() };
        let shape = [
            (symbol("batch"), "batch"),
            (symbol("?"), "x_1"),
            (symbol("?"), "x_2_2"),
            (symbol("p2o.DynamicDimension.1"), "x_3"),
            (symbol("x_2"), "x_2"),
            (symbol("p2o.DynamicDimension.1"), "x_3"),
            (symbol("unk__214"), "x_6"),
            (size(-1), "x_7"),
            (Dimension::default(), "x_8"),
            (symbol("past + 1"), "x_9"),
        ];
        let mut symbols = Symbols::default();
        let dims: Vec<_> = shape.iter().map(|(dim, _)| dim.clone()).collect();
        symbols.reserve(&dims);
        for (axis, (dim, expected)) in shape.iter().enumerate() {
            assert_eq!(symbols.dim(dim, "x", axis), Dim::Symbol((*expected).to_owned()));
        }
        assert_eq!(symbols.dim(&size(3), "x", 1), Dim::Fixed(3));
    }
}
