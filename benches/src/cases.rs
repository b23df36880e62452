//! Cases out of `.npz` files: arrays named `NNN/in/<input>` and `NNN/out/<output>`.

use anyhow::{Context as _, Result, bail, ensure};
use npyz::npz::NpzArchive;
use npyz::{DType, NpyFile, TypeChar};
use pannier::manifest::Port;
use pannier::{Inputs, Manifest, Outputs, Tensor};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

// As in benches/js/measure.mjs.
const ABSOLUTE: f32 = 1e-4;
const RELATIVE: f32 = 1e-3;

/// A case with its reference answer.
pub struct Case {
    /// What the model is given.
    pub inputs: Inputs<'static>,
    references: Vec<(String, Tensor)>,
}

impl Case {
    /// The first case of an evaluation set, for this model.
    ///
    /// # Errors
    /// The file cannot be read, lacks an input or an output, or holds a type that no model here has.
    pub fn first(path: &Path, manifest: &Manifest) -> Result<Case> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut archive = NpzArchive::new(BufReader::new(file)).with_context(|| path.display().to_string())?;
        let inputs = tensors(&mut archive, "000/in", &manifest.inputs).with_context(|| path.display().to_string())?;
        let references =
            tensors(&mut archive, "000/out", &manifest.outputs).with_context(|| path.display().to_string())?;
        Ok(Case { inputs: inputs.into_iter().collect(), references })
    }

    /// Compares an answer with the reference.
    ///
    /// # Errors
    /// An output is missing, is of another shape, or is not f32; a value differs by more than the tolerance.
    pub fn check(&self, outputs: &Outputs) -> Result<()> {
        for (name, reference) in &self.references {
            let found = outputs.get(name).with_context(|| format!("there is no output `{name}`"))?;
            let (Some(answers), Some(expected)) = (found.as_slice::<f32>(), reference.as_slice::<f32>()) else {
                bail!("output `{name}` is not f32");
            };
            ensure!(found.shape() == reference.shape(), "output `{name}` has shape {:?}", found.shape());
            for (at, (answer, expected)) in answers.iter().zip(expected).enumerate() {
                let close = (answer - expected).abs() <= ABSOLUTE + RELATIVE * expected.abs();
                ensure!(close, "output `{name}`, element {at}: {answer}, not {expected}");
            }
        }
        Ok(())
    }
}

fn tensors(archive: &mut NpzArchive<impl Read + Seek>, prefix: &str, ports: &[Port]) -> Result<Vec<(String, Tensor)>> {
    let named = ports.iter().map(|port| {
        let array = format!("{prefix}/{}", port.name);
        let found = archive.by_name(&array)?.with_context(|| format!("there is no array `{array}`"))?;
        Ok((port.name.clone(), tensor(found).with_context(|| array)?))
    });
    named.collect()
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
