//! A GPU that is lost, as a driver's reset or another session's end takes it: natively, on whatever adapter there is. In a binary of
//! its own, because a process has one GPU. Without any this test says so and passes, unless `PANNIER_GPU` says that there has to be one.

use pannier_engine::{Code, DType, Dim, Engine, Program, ProgramBuilder, RunBudget, Tensor};
use pannier_engine_burn::{Burn, GpuOptions};
use std::time::Duration;

/// So many products of matrices, one after the other, long enough to be in the middle of.
fn products(count: usize) -> Program {
    const SIZE: u64 = 128;
    let mut builder = ProgramBuilder::new();
    let x = builder.input("x", DType::F32, &[Dim::Fixed(SIZE), Dim::Fixed(SIZE)]);
    let y = (0..count).fold(x, |y, _| builder.node("MatMul", &[y, x]));
    builder.output("y", y);
    builder.build()
}

#[test]
fn ends_every_run_with_an_error_that_says_so() {
    let gpu = match Burn::wgpu(&GpuOptions::default().with_software()) {
        Ok(gpu) => gpu,
        Err(why) if std::env::var_os("PANNIER_GPU").is_none() => return println!("skipped: {why}"),
        Err(why) => panic!("{why}"),
    };
    let budget = RunBudget::default();
    let program = products(20);
    let prepared = gpu.prepare(&program, &budget).unwrap();
    let x = Tensor::from_slice([128, 128], &[1.0 / 128.0f32; 128 * 128]).unwrap();
    let run = || prepared.run(&[x.view()], &budget);
    let answer = run().unwrap();
    assert!(answer[0].as_slice::<f32>().unwrap().iter().all(|value| (value - 1.0 / 128.0).abs() < 1e-5));

    // In the middle of a run, or between two.
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| std::iter::repeat_with(run).find_map(Result::err));
        std::thread::sleep(Duration::from_millis(50));
        gpu.destroy();
        running.join().expect("no run panics").expect("the runs end")
    });
    let told = |error: pannier_engine::EngineError| {
        let text = error.to_string().to_lowercase();
        assert_eq!(error.code(), Code::Failed, "{text}");
        assert!(["lost", "destroyed", "poisoned"].iter().any(|word| text.contains(word)), "{text}");
    };
    told(error);
    told(run().expect_err("nothing runs there any more"));
    // And nothing can be prepared there that would seem to run.
    told(
        gpu.prepare(&program, &budget)
            .and_then(|prepared| prepared.run(&[x.view()], &budget))
            .expect_err("nothing does"),
    );
}
