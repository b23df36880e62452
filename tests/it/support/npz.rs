//! Cases of the real models: `.npz` files with arrays `NNN/in/<input>`, `NNN/out/<output>` and `NNN/label`.

use pannier::Tensor;
use pannier_packager::content::{Array, Npz};
use std::collections::BTreeMap;
use std::path::Path;

/// One run: what goes in, and what must come out.
#[derive(Debug, Clone, Default)]
pub struct Case {
    /// Its name, for example `007`.
    pub name: String,
    /// Inputs by name.
    pub inputs: Vec<(String, Tensor)>,
    /// Answers by name.
    pub outputs: Vec<(String, Tensor)>,
}

/// The first `most` cases of a file.
///
/// # Panics
/// When the file cannot be read or holds none.
pub fn cases(path: &Path, most: usize) -> Vec<Case> {
    let what = path.display().to_string();
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut npz = Npz::open(&what, Box::new(std::io::BufReader::new(file))).unwrap_or_else(|error| panic!("{error}"));
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for array in npz.names() {
        let (number, rest) = array.split_once('/').unwrap_or(("", &array));
        let full = cases.len() == most && !cases.contains_key(number);
        let Some((kind @ ("in" | "out"), name)) = rest.split_once('/').filter(|_| !full) else { continue };
        let tensor = match npz.read(&array) {
            Ok(Array::Tensor(tensor)) => tensor,
            other => panic!("{what}: array `{array}`: {other:?}"),
        };
        let case = cases.entry(number.to_owned()).or_default();
        case.name = number.to_owned();
        let list = if kind == "in" { &mut case.inputs } else { &mut case.outputs };
        list.push((name.to_owned(), tensor));
    }
    assert!(!cases.is_empty(), "{what} holds no cases");
    cases.into_values().collect()
}
