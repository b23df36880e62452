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
fn programs_share_the_device_and_not_their_answers() {
    let Some(gpu) = gpu() else { return };
    let scaled = |factor: f32| {
        let mut builder = ProgramBuilder::new();
        let x = builder.input("x", F32, &[Dim::Fixed(1024)]);
        let by = builder.weight("by", &Tensor::from_slice([1024], &[factor; 1024]).unwrap());
        let y = builder.node("Mul", &[x, by]);
        builder.output("y", y);
        gpu.prepare(&builder.build(), &RunBudget::default()).unwrap()
    };
    let programs: Vec<_> = [2f32, 3.0, 5.0].map(|factor| (factor, scaled(factor))).into();
    std::thread::scope(|scope| {
        for (factor, program) in &programs {
            scope.spawn(move || {
                for turn in 0..20u8 {
                    let x = Tensor::from_slice([1024], &[f32::from(turn); 1024]).unwrap();
                    let y = program.run(&[x.view()], &RunBudget::default()).unwrap();
                    assert_eq!(y[0].as_slice::<f32>(), Some(&[f32::from(turn) * factor; 1024][..]));
                }
            });
        }
    });
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
