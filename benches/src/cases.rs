//! Cases out of `.npz` files: arrays named `NNN/in/<input>`.

use anyhow::{Context as _, Result, bail};
use npyz::npz::NpzArchive;
use npyz::{DType as NpyType, NpyFile, TypeChar};
use pannier::{DType, Tensor};
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

/// The first case's values of these inputs.
///
/// # Errors
/// The file cannot be read, lacks one of the inputs, or holds a type that no model here has.
pub fn first_case<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a str>) -> Result<Vec<(&'a str, Tensor)>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut archive = NpzArchive::new(BufReader::new(file)).with_context(|| path.display().to_string())?;
    let mut case = Vec::new();
    for name in inputs {
        let array = format!("000/in/{name}");
        let found = archive.by_name(&array)?.with_context(|| format!("{} has no array `{array}`", path.display()))?;
        case.push((name, tensor(found).with_context(|| array)?));
    }
    Ok(case)
}

fn tensor(mut array: NpyFile<impl std::io::Read>) -> Result<Tensor> {
    let dtype = match array.dtype() {
        NpyType::Plain(plain) => match (plain.type_char(), plain.size_field()) {
            (TypeChar::Float, 4) => DType::F32,
            (TypeChar::Int, 4) => DType::I32,
            (TypeChar::Int, 8) => DType::I64,
            _ => bail!("type {}", plain),
        },
        other => bail!("type {}", other.descr()),
    };
    let shape = array.shape().iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>()?;
    let size_bytes = shape.iter().product::<usize>() * dtype.size_bytes();
    let mut bytes = vec![0; size_bytes];
    array.read_exact(&mut bytes)?;
    Ok(Tensor::new(dtype, shape, bytes)?)
}
