//! The same operators on a GPU, or on a driver that is a program on the CPU.

use crate::cases;
use crate::support::{F32, difference, gpu, list};
use pannier_engine::{Code, Dim, Engine, ProgramBuilder, RunBudget, Tensor};
use pannier_engine_burn::{Burn, GpuError, GpuOptions};

#[test]
fn every_family_of_operators() {
    let Some(gpu) = gpu() else { return };
    let families = [
        cases::elementwise(),
        cases::far_from_zero(),
        cases::windows(),
        cases::products(),
        cases::reductions(),
        cases::shapes(),
        cases::resizes(),
        cases::others(),
    ];
    let cases: Vec<_> = families.into_iter().flatten().collect();
    let differences: Vec<String> = cases.iter().filter_map(|case| difference(&gpu, case)).collect();
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), cases.len(), differences.join("\n"));
}

#[test]
fn there_is_one_and_software_is_asked_for() {
    let Some(gpu) = gpu() else { return };
    let adapter = gpu.adapter().expect("a GPU has an adapter").clone();
    let again = Burn::wgpu(&GpuOptions::default());
    if adapter.software {
        assert_eq!(again.map(drop), Err(GpuError::Software { adapter }));
    } else {
        assert_eq!(again.expect("it is there").adapter(), Some(&adapter));
    }
}

#[test]
fn a_tensor_beyond_the_adapters_buffers_is_refused_before_it_is_allocated() {
    let Some(gpu) = gpu() else { return };
    let limit_bytes = gpu.adapter().expect("a GPU has an adapter").max_buffer_bytes;
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", F32, &[Dim::Fixed(1)]);
    let shape = builder.weight("shape", &list(&[2, i64::try_from(limit_bytes / 4).unwrap()]));
    let y = builder.node("Expand", &[x, shape]);
    builder.output("y", y);
    let prepared = gpu.prepare(&builder.build(), &RunBudget::default()).unwrap();
    let x = Tensor::from_slice([1], &[1.0f32]).unwrap();
    let error = prepared.run(&[x.view()], &RunBudget::default()).unwrap_err();
    assert_eq!(error.code(), Code::MemoryBudget, "{error}");
}
