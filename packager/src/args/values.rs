//! Values of options that are more than a word: shapes, constants, input files, shares, sizes, times.

use pannier_bundle::manifest::Dim;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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

/// Parses a size in bytes: `512MB`, `1.5 GiB`, `65536`.
///
/// # Errors
/// A message that says what is expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 8] = [
        ("", 1.0),
        ("b", 1.0),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("kib", 1024.0),
        ("mib", 1024.0 * 1024.0),
        ("gib", 1024.0 * 1024.0 * 1024.0),
    ];
    // Beyond 2^53 bytes a rounded number is still more than any machine has.
    measured(text, &UNITS).map(|bytes| bytes as u64).ok_or_else(|| "expected a size, for example 512MB".to_owned())
}

/// Parses a time: `500ms`, `2s`, `1.5min`. A number alone is refused: it could be either.
///
/// # Errors
/// A message that says what is expected.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 3] = [("ms", 1e-3), ("s", 1.0), ("min", 60.0)];
    let seconds = measured(text, &UNITS).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "expected a time with its unit, for example 500ms or 2s".to_owned())
}

/// A number above 0, times that of its unit.
fn measured(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let number: f64 = number.trim_end().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some(number * factor)
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

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        let cases = [
            ("65536", Some(65_536)),
            ("512MB", Some(512_000_000)),
            ("512mb", Some(512_000_000)),
            ("1.5 GiB", Some(1_610_612_736)),
            ("1KiB", Some(1024)),
            ("0", None),
            ("-1MB", None),
            ("1TB", None),
            ("MB", None),
            ("", None),
            ("infMB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        let cases = [
            ("500ms", Some(500)),
            ("2s", Some(2_000)),
            ("1.5min", Some(90_000)),
            ("0.25 s", Some(250)),
            ("2", None),
            ("0s", None),
            ("-1s", None),
            ("1h", None),
            ("1e300s", None),
            ("s", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
