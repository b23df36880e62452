//! Cases in `.npy` and `.npz` files: the tensors of a run, with the reference answers and the label where known.

use super::ContentError;
use super::array::{Array, read_array};
use super::npz::{Npz, Stream};
use super::numbers;
use pannier_bundle::manifest::{Content, Manifest, Port, Source as Origin};
use pannier_engine::Tensor;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

/// What a model takes and gives, as far as reading cases needs it.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// The inputs.
    pub inputs: &'a [Port],
    /// The outputs.
    pub outputs: &'a [Port],
    /// Where the model came from: a file made for it before an input became a constant still fits.
    pub source: &'a Origin,
}

impl<'a> From<&'a Manifest> for Interface<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        Interface { inputs: &manifest.inputs, outputs: &manifest.outputs, source: &manifest.source }
    }
}

impl Interface<'_> {
    fn is_input(&self, name: &str) -> bool {
        self.inputs.iter().any(|port| port.name == name)
    }

    fn is_output(&self, name: &str) -> bool {
        self.outputs.iter().any(|port| port.name == name)
    }

    /// The value of an input that became a constant.
    fn constant(&self, name: &str) -> Option<&str> {
        let constants = self.source.options.iter().filter(|(option, _)| option == CONSTANT_OPTION);
        constants
            .filter_map(|(_, value)| value.split_once('='))
            .find(|(input, _)| *input == name)
            .map(|(_, value)| value)
    }

    fn input_names(&self) -> String {
        self.inputs.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ")
    }
}

/// Key of [`Origin::options`] under which a constant is recorded, as `NAME=VALUE`.
pub const CONSTANT_OPTION: &str = "constant";

/// The inputs of one run and what is known about the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Case {
    /// Name within the file, for example `007`; empty if the file is one case.
    pub name: String,
    /// Inputs by name.
    pub inputs: Vec<(String, Tensor)>,
    /// Reference answers by output name, as far as the file has them.
    pub outputs: Vec<(String, Tensor)>,
    /// The true answer, if the file has it.
    pub label: Option<Label>,
}

/// The true answer of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// A class by its name, or the text that is in the picture.
    Text(String),
    /// A class by its index.
    Index(i64),
}

/// A file of cases, read one at a time.
pub struct CaseFile {
    source: Source,
    entries: Vec<Entry>,
    numbered: bool,
}

enum Source {
    Npz(Npz),
    Single(Option<Tensor>),
}

/// Array names of one case.
#[derive(Default)]
struct Entry {
    name: String,
    inputs: Vec<(String, String)>,
    outputs: Vec<(String, String)>,
    /// Arrays of inputs that became constants, with the value they must have.
    constants: Vec<Constant>,
    label: Option<String>,
}

struct Constant {
    input: String,
    array: String,
    value: String,
}

impl CaseFile {
    /// Opens a `.npz` or `.npy` file.
    ///
    /// # Errors
    /// See [`CaseFile::from_bytes`]; [`ContentError::Read`] if the file cannot be opened.
    pub fn open(path: &Path, interface: Interface<'_>) -> Result<CaseFile, ContentError> {
        let what = path.display().to_string();
        let file = File::open(path).map_err(|source| ContentError::Read { what: what.clone(), source })?;
        Self::from_stream(&what, Box::new(BufReader::new(file)), interface)
    }

    /// Opens a file that is in memory. `what` names it in errors.
    ///
    /// # Errors
    /// [`ContentError::Malformed`]: neither an archive nor an array. [`ContentError::ArrayName`]: an array that belongs
    /// to no input or output. [`ContentError::MissingInput`]: a case without one of the inputs.
    /// [`ContentError::NoSuchContent`]: a single array, but several inputs.
    pub fn from_bytes(what: &str, bytes: Vec<u8>, interface: Interface<'_>) -> Result<CaseFile, ContentError> {
        Self::from_stream(what, Box::new(Cursor::new(bytes)), interface)
    }

    fn from_stream(what: &str, mut from: Box<dyn Stream>, interface: Interface<'_>) -> Result<CaseFile, ContentError> {
        let read = |source| ContentError::Read { what: what.to_owned(), source };
        let mut magic = [0; 6];
        let filled = read_up_to(&mut from, &mut magic).map_err(read)?;
        from.rewind().map_err(read)?;
        if magic[..filled].starts_with(b"\x93NUMPY") {
            return Self::single(what, from, interface);
        }
        let npz = Npz::open(what, from)?;
        let (entries, numbered) = group(npz.names(), interface)?;
        Ok(CaseFile { source: Source::Npz(npz), entries, numbered })
    }

    fn single(what: &str, from: Box<dyn Stream>, interface: Interface<'_>) -> Result<CaseFile, ContentError> {
        let mut wanted = interface.inputs.iter().filter(|port| !matches!(port.content, Content::State { .. }));
        let (Some(port), None) = (wanted.next(), wanted.next()) else {
            let reason = format!("it has several: {}", interface.input_names());
            return Err(ContentError::NoSuchContent { what: "a single array".to_owned(), reason });
        };
        let Array::Tensor(tensor) = read_array(what, from)? else {
            return Err(ContentError::ElementType { what: what.to_owned(), found: "text".to_owned() });
        };
        let entry = Entry { inputs: vec![(port.name.clone(), String::new())], ..Entry::default() };
        Ok(CaseFile { source: Source::Single(Some(tensor)), entries: vec![entry], numbered: false })
    }

    /// Number of cases; at least one.
    #[expect(clippy::len_without_is_empty, reason = "a case file is never empty")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether arrays carry a case prefix (`000/in/x`), so that answers should carry it too.
    pub fn is_numbered(&self) -> bool {
        self.numbered
    }

    /// Name of a case; empty when there is no such case or it has no name.
    pub fn name(&self, index: usize) -> &str {
        self.entries.get(index).map_or("", |entry| entry.name.as_str())
    }

    /// Whether the file has reference answers for this case.
    pub fn has_outputs(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(|entry| !entry.outputs.is_empty())
    }

    /// Reads one case.
    ///
    /// # Errors
    /// Those of reading its arrays; [`ContentError::ArrayName`] if there is no case with this index.
    pub fn read(&mut self, index: usize) -> Result<Case, ContentError> {
        let Some(entry) = self.entries.get(index) else {
            return Err(ContentError::ArrayName { name: index.to_string(), reason: "no such case".to_owned() });
        };
        let npz = match &mut self.source {
            Source::Npz(npz) => npz,
            Source::Single(tensor) => {
                let inputs =
                    entry.inputs.iter().filter_map(|(name, _)| Some((name.clone(), tensor.clone()?))).collect();
                return Ok(Case { inputs, ..Case::default() });
            }
        };
        let mut tensors = |names: &[(String, String)]| -> Result<Vec<(String, Tensor)>, ContentError> {
            names.iter().map(|(port, array)| Ok((port.clone(), tensor(array, npz.read(array)?)?))).collect()
        };
        let inputs = tensors(&entry.inputs)?;
        let outputs = tensors(&entry.outputs)?;
        for Constant { input, array, value } in &entry.constants {
            same_constant(input, value, &tensor(array, npz.read(array)?)?)?;
        }
        let label = entry.label.as_ref().map(|array| label(array, npz.read(array)?)).transpose()?;
        Ok(Case { name: entry.name.clone(), inputs, outputs, label })
    }
}

fn read_up_to(from: &mut dyn Stream, into: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn tensor(name: &str, array: Array) -> Result<Tensor, ContentError> {
    match array {
        Array::Tensor(tensor) => Ok(tensor),
        Array::Text(_) => Err(ContentError::ElementType { what: format!("array `{name}`"), found: "text".to_owned() }),
    }
}

fn label(name: &str, array: Array) -> Result<Label, ContentError> {
    let found = match array {
        Array::Text(texts) => match <[String; 1]>::try_from(texts) {
            Ok([text]) => return Ok(Label::Text(text)),
            Err(texts) => format!("{} texts", texts.len()),
        },
        Array::Tensor(tensor) => {
            let index = match (tensor.len(), tensor.dtype()) {
                (1, pannier_engine::DType::I64) => tensor.as_slice::<i64>().and_then(|v| v.first().copied()),
                (1, pannier_engine::DType::I32) => {
                    tensor.as_slice::<i32>().and_then(|v| v.first().map(|v| i64::from(*v)))
                }
                _ => None,
            };
            match index {
                Some(index) => return Ok(Label::Index(index)),
                None => format!("{} of shape {:?}", tensor.dtype().name(), tensor.shape()),
            }
        }
    };
    let reason = format!("a label is one text or one integer, found {found}");
    Err(ContentError::ArrayName { name: name.to_owned(), reason })
}

/// A case for another constant than the one that was built in would get a wrong answer, silently.
fn same_constant(input: &str, value: &str, tensor: &Tensor) -> Result<(), ContentError> {
    let found = numbers::wide(tensor);
    let built: Vec<Option<f64>> = value.split(',').map(|number| parse_constant(number.trim())).collect();
    if found.iter().copied().map(Some).eq(built) {
        return Ok(());
    }
    let reason = format!("it was built in as {value}, the case has {found:?}");
    Err(ContentError::Description { port: input.to_owned(), reason })
}

fn parse_constant(number: &str) -> Option<f64> {
    match number {
        "true" => Some(1.0),
        "false" => Some(0.0),
        number => number.parse().ok(),
    }
}

/// Sorts arrays into cases. Also says whether their names carry case prefixes.
fn group(names: Vec<String>, interface: Interface<'_>) -> Result<(Vec<Entry>, bool), ContentError> {
    let is_port = |name: &str| interface.is_input(name) || interface.is_output(name);
    if names.iter().all(|name| is_port(name) || interface.constant(name).is_some()) {
        let mut entry = Entry::default();
        for name in names {
            match !interface.is_input(&name) && interface.is_output(&name) {
                true => entry.outputs.push((name.clone(), name)),
                false => entry.add_input(&name, name.clone(), interface)?,
            }
        }
        complete(&entry, interface)?;
        return Ok((vec![entry], false));
    }
    let unknown = |name: &str, reason: String| ContentError::ArrayName { name: name.to_owned(), reason };
    let mut entries: BTreeMap<(u64, String), Entry> = BTreeMap::new();
    for name in names {
        let Some((case, rest)) = name.split_once('/') else {
            return Err(unknown(&name, format!("not an input of this model (it has {})", interface.input_names())));
        };
        // Numbers in their own order, everything else after them.
        let key = (case.parse().unwrap_or(u64::MAX), case.to_owned());
        let entry = entries.entry(key).or_insert_with(|| Entry { name: case.to_owned(), ..Entry::default() });
        match rest.split_once('/') {
            Some(("in", port)) => entry.add_input(port, name.clone(), interface)?,
            Some(("out", port)) if interface.is_output(port) => entry.outputs.push((port.to_owned(), name)),
            Some(("out", port)) => return Err(unknown(&name, format!("`{port}` is not an output of this model"))),
            None if rest == "label" => entry.label = Some(name),
            _ => return Err(unknown(&name, "expected `NNN/in/...`, `NNN/out/...` or `NNN/label`".to_owned())),
        }
    }
    let entries: Vec<Entry> = entries.into_values().collect();
    entries.iter().try_for_each(|entry| complete(entry, interface))?;
    Ok((entries, true))
}

impl Entry {
    fn add_input(&mut self, input: &str, array: String, interface: Interface<'_>) -> Result<(), ContentError> {
        if interface.is_input(input) {
            self.inputs.push((input.to_owned(), array));
        } else if let Some(value) = interface.constant(input) {
            self.constants.push(Constant { input: input.to_owned(), array, value: value.to_owned() });
        } else {
            let reason = format!("`{input}` is not an input of this model (it has {})", interface.input_names());
            return Err(ContentError::ArrayName { name: array, reason });
        }
        Ok(())
    }
}

/// State may be left out: it starts at zero or is carried.
fn complete(entry: &Entry, interface: Interface<'_>) -> Result<(), ContentError> {
    let missing = interface.inputs.iter().find(|port| {
        !matches!(port.content, Content::State { .. }) && !entry.inputs.iter().any(|(name, _)| *name == port.name)
    });
    missing
        .map_or(Ok(()), |port| Err(ContentError::MissingInput { case: entry.name.clone(), input: port.name.clone() }))
}

#[cfg(test)]
mod tests {
    use super::super::npz::write_npz;
    use super::*;
    use pannier_bundle::manifest::DType;

    fn port(name: &str, content: Content) -> Port {
        Port { name: name.into(), dtype: DType::F32, shape: vec![], description: String::new(), content }
    }

    fn source() -> Origin {
        let options = vec![("constant".into(), "sr=1".into()), ("shape".into(), "y=1".into())];
        Origin { format: "onnx".into(), sha256: [0; 32], opset: 25, options }
    }

    fn open_with(names: &[&str], inputs: &[Port]) -> Result<CaseFile, ContentError> {
        let tensor = Tensor::scalar(1.0f32);
        let mut file = Cursor::new(Vec::new());
        write_npz(&mut file, names.iter().map(|name| (*name, &tensor))).unwrap();
        let outputs = [port("a/b.c", Content::Tensor), port("hn", Content::NextState)];
        let interface = Interface { inputs, outputs: &outputs, source: &source() };
        CaseFile::from_bytes("t.npz", file.into_inner(), interface)
    }

    fn open(names: &[&str]) -> Result<CaseFile, ContentError> {
        open_with(names, &[port("x", Content::Tensor), port("h", Content::State { output: "hn".into() })])
    }

    #[test]
    fn arrays_are_sorted_into_cases() {
        let mut one = open(&["x", "h"]).unwrap();
        assert_eq!((one.len(), one.is_numbered(), one.name(0)), (1, false, ""));
        assert_eq!(one.read(0).unwrap().inputs.len(), 2);

        let mut many = open(&["10/in/x", "2/in/x", "2/in/h", "2/out/a/b.c"]).unwrap();
        assert_eq!((many.len(), many.is_numbered()), (2, true));
        assert_eq!((many.name(0), many.name(1)), ("2", "10"), "numbers come in their own order");
        assert_eq!((many.has_outputs(0), many.has_outputs(1)), (true, false));
        let case = many.read(0).unwrap();
        assert_eq!(case.outputs.first().map(|(name, _)| name.as_str()), Some("a/b.c"));
        assert_eq!(case.label, None);
    }

    #[test]
    fn names_that_fit_nothing_are_refused() {
        for names in [&["y"][..], &["h"], &["0/in/y"], &["0/out/y", "0/in/x"], &["0/x"], &["0/in/x", "1/in/h"], &[]] {
            let error = open(names).err().unwrap_or_else(|| panic!("{names:?} was accepted"));
            assert!(error.hint().is_some(), "{names:?}: {error}");
        }
    }

    #[test]
    fn an_input_that_became_a_constant_must_have_its_value() {
        assert_eq!(open(&["x", "sr"]).unwrap().read(0).unwrap().inputs.len(), 1);
        assert_eq!(open(&["0/in/x", "0/in/sr"]).unwrap().read(0).unwrap().inputs.len(), 1);
        let cases =
            [("1", &[1.0][..], true), ("1,2.5", &[1.0, 2.5], true), ("2", &[1.0], false), ("1", &[1.0, 1.0], false)];
        for (value, found, same) in cases {
            let tensor = Tensor::from_slice([found.len()], found).unwrap();
            assert_eq!(same_constant("sr", value, &tensor).is_ok(), same, "{value} {found:?}");
        }
    }

    #[test]
    fn a_single_array_is_the_only_input_that_is_no_state() {
        let mut file = Vec::new();
        super::super::array::write_array(&Tensor::scalar(2.0f32), &mut file).unwrap();
        let open = |inputs: &[Port]| {
            CaseFile::from_bytes("t.npy", file.clone(), Interface { inputs, outputs: &[], source: &source() })
        };
        let mut cases = open(&[port("x", Content::Tensor), port("h", Content::State { output: "hn".into() })]).unwrap();
        assert_eq!(cases.read(0).unwrap().inputs, [("x".to_owned(), Tensor::scalar(2.0f32))]);
        let two = open(&[port("x", Content::Tensor), port("y", Content::Tensor)]);
        assert!(matches!(two, Err(ContentError::NoSuchContent { .. })));
    }
}
