//! Cases out of `.npz` files: arrays named `NNN/in/<input>`.

use anyhow::{Context as _, Result, bail};
use npyz::npz::NpzArchive;
use npyz::{DType, NpyFile, TypeChar};
use pannier::Tensor;
use std::fs::File;
use std::io::{BufReader, Read};
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

fn tensor(array: NpyFile<impl Read>) -> Result<Tensor> {
    let shape = array.shape().iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>()?;
    let (kind, size_bytes) = match array.dtype() {
        DType::Plain(plain) => (plain.type_char(), plain.size_field()),
        other => bail!("elements are {}", other.descr()),
    };
    Ok(match (kind, size_bytes) {
        (TypeChar::Float, 4) => Tensor::from_slice(shape, &array.into_vec::<f32>()?)?,
        (TypeChar::Int, 4) => Tensor::from_slice(shape, &array.into_vec::<i32>()?)?,
        (TypeChar::Int, 8) => Tensor::from_slice(shape, &array.into_vec::<i64>()?)?,
        (kind, size_bytes) => bail!("elements are {kind} of {size_bytes} bytes"),
    })
}
