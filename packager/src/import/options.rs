//! `--shape` and `--constant`: what the caller states about inputs.

use super::error::{ImportError, OptionWhy};
use super::model::Constant;
use super::tensor::size_bytes;
use pannier_graph::{DType, Dim};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the caller states about the model.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Shapes of inputs. A symbol of the model that is given a size here has it everywhere.
    pub shapes: Vec<(String, Vec<Dim>)>,
    /// Inputs that become constants, with their values as text: `16000`, `0.5`, `true`, `1,2,3`. The input's type
    /// decides how the text is read.
    pub constants: Vec<(String, String)>,
}

/// Reads a shape such as `1x3x48xwidth` or `1,3,48,width`. Sizes are fixed, other words are symbols; the empty text is
/// the shape of a scalar.
///
/// # Errors
/// [`ImportError::Option`] if a part is neither.
pub fn parse_shape(text: &str) -> Result<Vec<Dim>, ImportError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    // A symbol may hold an x; then commas keep the parts apart.
    let separator = if text.contains(',') { ',' } else { 'x' };
    text.split(separator).map(|part| parse_dim(part.trim()).ok_or(part)).collect::<Result<_, _>>().map_err(|part| {
        ImportError::Option { option: format!("--shape {text}"), why: OptionWhy::Dim { dim: part.trim().to_owned() } }
    })
}

fn parse_dim(part: &str) -> Option<Dim> {
    if let Ok(size) = part.parse() {
        return Some(Dim::Fixed(size));
    }
    let word = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (word && part.starts_with(|c: char| !c.is_ascii_digit())).then(|| Dim::Symbol(part.to_owned()))
}

/// An input of the model as declared: name, type, and shape if there is one.
pub(super) struct Declared {
    pub name: String,
    pub dtype: DType,
    pub shape: Option<Vec<Dim>>,
}

impl ImportOptions {
    /// Applies the shapes to all inputs.
    ///
    /// # Errors
    /// [`ImportError::Option`] for an input that does not exist or a shape that does not fit.
    pub(super) fn pin(&self, inputs: &mut [Declared]) -> Result<(), ImportError> {
        self.check_names(inputs)?;
        let mut bound: BTreeMap<String, Dim> = BTreeMap::new();
        for (name, wanted) in &self.shapes {
            let failed = |why| ImportError::Option { option: format!("--shape {name}={}", written(wanted)), why };
            let Some(input) = inputs.iter_mut().find(|input| input.name == *name) else { continue };
            let Some(shape) = &input.shape else {
                input.shape = Some(wanted.clone());
                continue;
            };
            if shape.len() != wanted.len() {
                return Err(failed(OptionWhy::Rank { expected: shape.len(), found: wanted.len() }));
            }
            for (axis, (declared, wanted)) in shape.iter().zip(wanted).enumerate() {
                let before = match declared {
                    Dim::Symbol(symbol) => bound.insert(symbol.clone(), wanted.clone()),
                    fixed => Some(fixed.clone()),
                };
                match (before, wanted) {
                    (Some(Dim::Fixed(expected)), Dim::Fixed(found)) if expected != *found => {
                        return Err(failed(OptionWhy::Size { axis, expected, found: *found }));
                    }
                    (Some(Dim::Fixed(size)), Dim::Symbol(_)) => {
                        // A name cannot take a known size back.
                        if let Dim::Symbol(symbol) = declared {
                            bound.insert(symbol.clone(), Dim::Fixed(size));
                        }
                    }
                    _ => {}
                }
            }
        }
        for dim in inputs.iter_mut().filter_map(|input| input.shape.as_mut()).flatten() {
            if let Dim::Symbol(symbol) = dim
                && let Some(value) = bound.get(symbol)
            {
                *dim = value.clone();
            }
        }
        Ok(())
    }

    /// The constant that an input is to be, if one was given.
    ///
    /// # Errors
    /// [`ImportError::Option`] for a text that is not of the input's type, or a wrong number of values.
    pub(super) fn constant(&self, input: &Declared) -> Result<Option<Constant>, ImportError> {
        let Some((name, text)) = self.constants.iter().find(|(name, _)| *name == input.name) else { return Ok(None) };
        let failed = |why| ImportError::Option { option: format!("--constant {name}={text}"), why };
        let parts: Vec<&str> = text.trim_matches(['[', ']']).split(',').map(str::trim).collect();
        let mut bytes = Vec::new();
        for part in &parts {
            let element = element(input.dtype, part);
            bytes.extend(
                element
                    .ok_or_else(|| failed(OptionWhy::Value { text: (*part).to_owned(), dtype: input.dtype.name() }))?,
            );
        }
        let count = parts.len() as u64;
        let fixed: Option<Vec<u64>> = input.shape.as_ref().and_then(|shape| {
            shape.iter().map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None }).collect()
        });
        let shape = match (fixed, &input.shape) {
            (Some(shape), _) => shape,
            (None, Some(shape)) if shape.len() == 1 => vec![count],
            (None, None) if count == 1 => Vec::new(),
            _ => return Err(failed(OptionWhy::Count { found: parts.len() })),
        };
        if size_bytes(input.dtype, &shape) != Some(bytes.len() as u64) {
            return Err(failed(OptionWhy::Count { found: parts.len() }));
        }
        Ok(Some(Constant { dtype: input.dtype, shape, bytes: Arc::new(bytes) }))
    }

    /// The options in their canonical text, sorted, as a bundle records them.
    pub(super) fn recorded(&self) -> Vec<(String, String)> {
        let shapes = self.shapes.iter().map(|(name, shape)| ("shape", format!("{name}={}", written(shape))));
        let constants = self.constants.iter().map(|(name, value)| ("constant", format!("{name}={value}")));
        let mut all: Vec<_> = shapes.chain(constants).map(|(option, value)| (option.to_owned(), value)).collect();
        all.sort();
        all
    }

    fn check_names(&self, inputs: &[Declared]) -> Result<(), ImportError> {
        let shapes = self.shapes.iter().map(|(name, _)| ("--shape", name));
        let constants = self.constants.iter().map(|(name, _)| ("--constant", name));
        let mut seen = Vec::new();
        for (option, name) in shapes.chain(constants) {
            let failed = |why| Err(ImportError::Option { option: format!("{option} {name}"), why });
            if !inputs.iter().any(|input| input.name == *name) {
                let inputs = inputs.iter().map(|input| input.name.clone()).collect();
                return failed(OptionWhy::NoSuchInput { inputs });
            }
            if seen.contains(&(option, name)) {
                return failed(OptionWhy::Twice);
            }
            seen.push((option, name));
        }
        Ok(())
    }
}

fn written(shape: &[Dim]) -> String {
    let part = |dim: &Dim| match dim {
        Dim::Fixed(size) => size.to_string(),
        Dim::Symbol(name) => name.clone(),
    };
    let parts: Vec<String> = shape.iter().map(part).collect();
    let ambiguous = parts.iter().any(|part| part.contains('x'));
    parts.join(if ambiguous { "," } else { "x" })
}

/// One element of a type, little-endian.
fn element(dtype: DType, text: &str) -> Option<Vec<u8>> {
    Some(match dtype {
        DType::F32 => text.parse::<f32>().ok()?.to_le_bytes().to_vec(),
        DType::F64 => text.parse::<f64>().ok()?.to_le_bytes().to_vec(),
        DType::F16 => half::f16::from_f64(text.parse().ok()?).to_le_bytes().to_vec(),
        DType::BF16 => half::bf16::from_f64(text.parse().ok()?).to_le_bytes().to_vec(),
        DType::I8 => text.parse::<i8>().ok()?.to_le_bytes().to_vec(),
        DType::I16 => text.parse::<i16>().ok()?.to_le_bytes().to_vec(),
        DType::I32 => text.parse::<i32>().ok()?.to_le_bytes().to_vec(),
        DType::I64 => text.parse::<i64>().ok()?.to_le_bytes().to_vec(),
        DType::U8 => text.parse::<u8>().ok()?.to_le_bytes().to_vec(),
        DType::U16 => text.parse::<u16>().ok()?.to_le_bytes().to_vec(),
        DType::U32 => text.parse::<u32>().ok()?.to_le_bytes().to_vec(),
        DType::U64 => text.parse::<u64>().ok()?.to_le_bytes().to_vec(),
        DType::Bool => vec![match text {
            "true" | "1" => 1,
            "false" | "0" => 0,
            _ => return None,
        }],
    })
}
