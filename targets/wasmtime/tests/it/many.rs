//! Many instances, and many threads.

use crate::support::*;
use pannier_wasmtime::{Code, Config, Error, Sandbox, inputs};
use std::time::Duration;

/// Resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs the test `name` in a process of its own, and says whether this is it: memory of a process that other tests
/// share tells nothing.
#[cfg(target_os = "linux")]
fn is_alone(name: &str) -> bool {
    const ALONE: &str = "PANNIER_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let test = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&test.stdout);
    assert!(test.status.success(), "{printed}{}", String::from_utf8_lossy(&test.stderr));
    assert!(printed.contains("1 passed"), "no test of the name {name}: {printed}");
    false
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_instances_leave_nothing_behind() {
    if !is_alone("many::ten_thousand_instances_leave_nothing_behind") {
        return;
    }
    // Each writes to a megabyte of its memory.
    let body =
        "(drop (memory.grow (i32.const 16))) (memory.fill (i32.const 0x20000) (i32.const 1) (i32.const 0x100000))
        i32.const 0";
    let model = model(guest_with(&[("run", body)]));
    let run = |count| {
        for _ in 0..count {
            model.run(given([1.0, 2.0], 0.0)).unwrap();
        }
    };
    run(500);
    let before = resident_bytes();
    run(10_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more after 10,000 instances");
}

#[test]
fn threads_share_a_model_without_seeing_each_other() {
    let model = model(guest());
    std::thread::scope(|scope| {
        for thread in 0..2_u8 {
            let model = &model;
            scope.spawn(move || {
                let mut session = model.session().unwrap();
                for call in 0..1000_u16 {
                    let x = [f32::from(thread), f32::from(call)];
                    assert_eq!(y(&model.run(given(x, 0.5)).unwrap()), x.map(|value| value + 0.5));
                    let outputs = session.step(inputs! { "x" => vector(&x) }).unwrap();
                    assert_eq!(y(&outputs), x.map(|value| value + f32::from(call)));
                }
            });
        }
    });
}

#[test]
fn one_thread_that_loops_does_not_hold_up_the_others() {
    let body = "(loop (br_if 0 (f32.eq (f32.load (i32.const 0x130)) (f32.const 1)))) i32.const 0";
    let limits = pannier_wasmtime::Limits { deadline: Some(Duration::from_millis(200)), ..Default::default() };
    let model = load(&Sandbox::new(&Config { limits, ..config(guest_with(&[("run", body)])) }).unwrap());
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| model.run(given([1.0, 0.0], 0.0)));
        let mut answers = 0;
        while !looping.is_finished() {
            model.run(given([0.0, 0.0], 0.0)).unwrap();
            answers += 1;
        }
        assert!(answers > 10, "{answers} answers beside one that took its time");
        assert_eq!(looping.join().unwrap().unwrap_err().code(), Code::Deadline);
    });
}

#[test]
fn there_are_as_many_instances_as_allowed_and_no_more() {
    let sandbox = Sandbox::new(&Config { max_instances: 2, ..config(guest()) }).unwrap();
    let model = load(&sandbox);
    for _ in 0..3 {
        let sessions = [model.session().unwrap(), model.session().unwrap()];
        let error = model.run(given([1.0, 2.0], 0.0)).unwrap_err();
        assert_eq!(error, Error::Busy { max_instances: 2 });
        assert_eq!(error.code(), Code::Limit);
        drop(sessions);
        assert!(model.run(given([1.0, 2.0], 0.0)).is_ok());
    }
}
