//! Real models for tests and examples: bundles that `packager build` made, and cases with the answers of ONNX Runtime.
//!
//! Bundles are looked for in `PANNIER_BUNDLES` (`<model>.pannier`), cases in `PANNIER_MODELS` (`<model>/evaluation.npz`).

#![allow(dead_code, reason = "each test and example takes a part of this")]

use npyz::npz::NpzArchive;
use npyz::{DType as NpyType, TypeChar};
use pannier_bundle::{Bundle, Limits, Source, Trust};
use pannier_engine::{Program, Tensor};
use pannier_graph::{AlignedBytes, Graph, GraphLimits};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The real models by the name of their folder.
pub const MODELS: [&str; 5] = ["magika", "ocr-cls", "ocr-det", "ocr-rec", "silero-vad"];

/// The bundle and the cases of a model, or what to do to have them.
pub fn model(name: &str) -> Result<(PathBuf, PathBuf), String> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let (Some(bundles), Some(models)) = (folder("PANNIER_BUNDLES"), folder("PANNIER_MODELS")) else {
        return Err("set PANNIER_BUNDLES to a folder of bundles and PANNIER_MODELS to that of the models".into());
    };
    let (bundle, cases) = (bundles.join(format!("{name}.pannier")), models.join(name).join("evaluation.npz"));
    let missing = [&bundle, &cases].into_iter().find(|path| !path.is_file()).cloned();
    match missing {
        Some(missing) => Err(format!("{} is not there", missing.display())),
        None => Ok((bundle, cases)),
    }
}

/// The program in a bundle.
pub fn program(path: &Path) -> Program {
    program_of(std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The program in a bundle that is read from a source.
pub fn program_of<S: Source>(source: S) -> Program {
    let bundle = Bundle::open(source, &Limits::default()).expect("it is a bundle");
    let verified = bundle.verify(&Trust::AllowUnsigned, None).expect("it is whole");
    let graph = verified.read("graph").expect("it has a graph");
    let graph = Graph::decode(&graph, &GraphLimits::default()).expect("the graph is valid");
    let sections = (0..).map_while(|index| {
        let name = format!("weights/{index}");
        let size = usize::try_from(verified.section(&name)?.content_bytes).expect("it fits");
        let mut bytes = AlignedBytes::zeroed(size);
        verified.read_into(&name, bytes.as_bytes_mut()).expect("the section is whole");
        Some(Arc::new(bytes))
    });
    Program { sections: sections.collect(), graph: Arc::new(graph) }
}

/// Inputs and expected outputs by name.
#[derive(Default)]
pub struct Case {
    pub inputs: BTreeMap<String, Tensor>,
    pub outputs: BTreeMap<String, Tensor>,
}

/// The first cases of a file, in order.
pub fn cases(path: &Path, most: usize) -> Vec<Case> {
    let mut archive = NpzArchive::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    for name in names {
        let mut parts = name.splitn(3, '/');
        let (Some(case), Some(kind), Some(value)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if case.parse::<usize>().is_ok_and(|index| index >= most) {
            continue;
        }
        let case = cases.entry(case.to_string()).or_default();
        let tensor = read(&mut archive, &name);
        match kind {
            "in" => case.inputs.insert(value.to_string(), tensor),
            _ => case.outputs.insert(value.to_string(), tensor),
        };
    }
    cases.into_values().collect()
}

fn read(archive: &mut NpzArchive<std::io::BufReader<std::fs::File>>, name: &str) -> Tensor {
    let array = archive.by_name(name).expect("the array is readable").expect("the array is there");
    let shape: Vec<usize> = array.shape().iter().map(|size| usize::try_from(*size).expect("it fits")).collect();
    let NpyType::Plain(kind) = array.dtype() else { panic!("{name} is no plain array") };
    macro_rules! tensor {
        ($type:ty) => {{
            let values: Vec<$type> = array.into_vec().expect("the elements are readable");
            Tensor::from_slice(shape, &values).expect("it is a tensor")
        }};
    }
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => tensor!(f32),
        (TypeChar::Float, 8) => tensor!(f64),
        (TypeChar::Int, 1) => tensor!(i8),
        (TypeChar::Int, 2) => tensor!(i16),
        (TypeChar::Int, 4) => tensor!(i32),
        (TypeChar::Int, 8) => tensor!(i64),
        (TypeChar::Uint, 1) => tensor!(u8),
        (TypeChar::Uint, 2) => tensor!(u16),
        (TypeChar::Uint, 4) => tensor!(u32),
        (TypeChar::Uint, 8) => tensor!(u64),
        (TypeChar::Bool, _) => {
            let values: Vec<bool> = array.into_vec().expect("the elements are readable");
            Tensor::from_bools(shape, &values).expect("it is a tensor")
        }
        other => panic!("{name} has elements of {other:?}"),
    }
}

/// The largest amount by which an answer is beyond `|answer - reference| <= 1e-4 + 1e-3 * |reference|`, and the largest
/// difference.
pub fn excess(found: &Tensor, expected: &Tensor) -> (f32, f32) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (found.as_slice::<f32>().expect("binary32"), expected.as_slice::<f32>().expect("binary32"));
    found.iter().zip(expected).fold((f32::NEG_INFINITY, 0.0), |(excess, worst), (a, r)| {
        let difference = (a - r).abs();
        // A NaN is never close.
        let difference = if difference.is_nan() { f32::INFINITY } else { difference };
        (excess.max(difference - (1e-4 + 1e-3 * r.abs())), worst.max(difference))
    })
}

/// The largest difference between two tensors, and the energy of the second over that of the differences, in decibels.
pub fn distance(found: &Tensor, expected: &Tensor) -> (f32, f64) {
    assert_eq!(found.shape(), expected.shape());
    let (found, expected) = (found.as_slice::<f32>().expect("binary32"), expected.as_slice::<f32>().expect("binary32"));
    let (mut largest, mut signal, mut noise) = (0.0_f32, 0.0, 0.0);
    for (a, r) in found.iter().zip(expected) {
        largest = largest.max((a - r).abs());
        signal += f64::from(*r).powi(2);
        noise += f64::from(a - r).powi(2);
    }
    (largest, 10.0 * (signal / noise).log10())
}
