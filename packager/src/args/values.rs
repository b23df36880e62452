//! Values of options that are more than a word: shapes, constants, input files, shares.

use pannier_bundle::manifest::Dim;
use std::path::PathBuf;
use std::str::FromStr;

/// `NAME=SHAPE`: dimensions separated by `x`, or by commas where a symbol's name holds an x.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedShape {
    /// Name of the input.
    pub name: String,
    /// Row-major shape; empty for a scalar.
    pub dims: Vec<Dim>,
}

impl FromStr for NamedShape {
    type Err = String;

    fn from_str(text: &str) -> Result<NamedShape, String> {
        let (name, shape) = named(text, "x=1x3x48x320")?;
        Ok(NamedShape { name, dims: parse_shape(shape)? })
    }
}

/// Parses `1x3x48x320` or `batch,3,48,320`. Empty text is a scalar's shape.
///
/// # Errors
/// A message about the dimension that is neither a number nor a name.
pub fn parse_shape(text: &str) -> Result<Vec<Dim>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let separator = if text.contains(',') { ',' } else { 'x' };
    text.split(separator).map(|dim| parse_dim(dim.trim())).collect()
}

fn parse_dim(text: &str) -> Result<Dim, String> {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    };
    match text.parse::<u64>() {
        Ok(size) => Ok(Dim::Fixed(size)),
        Err(_) if is_name(text) => Ok(Dim::Symbol(text.to_owned())),
        Err(_) => Err(format!("`{text}` is neither a size nor a name")),
    }
}

/// `NAME=VALUE`: one number, or several separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedConstant {
    /// Name of the input.
    pub name: String,
    /// The numbers as given; the input's type decides how they are read.
    pub value: String,
}

impl FromStr for NamedConstant {
    type Err = String;

    fn from_str(text: &str) -> Result<NamedConstant, String> {
        let (name, value) = named(text, "sr=16000")?;
        if value.is_empty() {
            return Err("the value is missing".to_owned());
        }
        Ok(NamedConstant { name, value: value.to_owned() })
    }
}

fn named<'a>(text: &'a str, example: &str) -> Result<(String, &'a str), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err(format!("expected the input's name and `=`, for example {example}")),
    }
}

/// `FILE` or `INPUT=FILE`. A path that holds an `=` is written with a slash before it: `./a=b.npy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Name of the model's input; `None` where the model has one, or the file names them itself.
    pub name: Option<String>,
    /// The file.
    pub path: PathBuf,
}

impl FromStr for InputFile {
    type Err = String;

    fn from_str(text: &str) -> Result<InputFile, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains(['/', '\\']) => {
                Ok(InputFile { name: Some(name.to_owned()), path: path.into() })
            }
            _ => Ok(InputFile { name: None, path: text.into() }),
        }
    }
}

/// A share, written `1%` or `0.01`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percent {
    /// Between 0 and 1.
    pub fraction: f64,
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Percent, String> {
        let (number, scale) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        match number.trim().parse::<f64>() {
            Ok(value) if (0.0..=scale).contains(&value) => Ok(Percent { fraction: value / scale }),
            _ => Err("expected a share between 0% and 100%, for example 1%".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_hold_numbers_and_symbols() {
        let fixed = |sizes: &[u64]| sizes.iter().map(|size| Dim::Fixed(*size)).collect::<Vec<_>>();
        let cases = [
            ("x=1x3x48x320", Ok(fixed(&[1, 3, 48, 320]))),
            ("x=", Ok(vec![])),
            ("x=batch,3", Ok(vec![Dim::Symbol("batch".into()), Dim::Fixed(3)])),
            ("x=Nx3", Ok(vec![Dim::Symbol("N".into()), Dim::Fixed(3)])),
            ("x=-1x3", Err(())),
            ("x=1xx3", Err(())),
            ("1x3", Err(())),
            ("=1x3", Err(())),
        ];
        for (text, expected) in cases {
            let found = text.parse::<NamedShape>().map(|shape| shape.dims).map_err(|_| ());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_input_file_may_name_its_input() {
        let cases = [
            ("a.npy", None, "a.npy"),
            ("x=a.npy", Some("x"), "a.npy"),
            ("./x=a.npy", None, "./x=a.npy"),
            ("-", None, "-"),
        ];
        for (text, name, path) in cases {
            let expected = InputFile { name: name.map(str::to_owned), path: path.into() };
            assert_eq!(text.parse::<InputFile>(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn percent_is_a_share() {
        let cases =
            [("1%", Some(0.01)), ("0.01", Some(0.01)), ("100%", Some(1.0)), ("1.5", None), ("-1%", None), ("x", None)];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Percent>().ok().map(|p| p.fraction), expected, "{text}");
        }
    }
}
