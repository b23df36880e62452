//! Ctrl-C: status 130, and nothing left behind.
#![cfg(unix)]

use super::fixture::{folder, names, path};
use crate::support::Onnx;
use crate::support::packager::packager_command;
use pannier_graph::DType;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A model whose weights take a while to compress: 48 MB of numbers without a pattern.
fn large_model() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 1_000_000.0
    };
    let side = 2000;
    let weights: Vec<f32> = (0..side * side * 3).map(|_| next()).collect();
    Onnx::new(17)
        .input("x", DType::F32, &format!("1,{side}"))
        .floats("w", &format!("{side},{}", side * 3), &weights)
        .node("MatMul", &["x", "w"], &["y"])
        .output("y", DType::F32, &format!("1,{}", side * 3))
        .bytes()
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(status.success(), "the process had ended before it was interrupted");
}

/// Waits until something holds, and says whether it ever did.
fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing() {
    let folder = folder();
    std::fs::write(path(&folder, "large.onnx"), large_model()).expect("a file can be written");
    let before = names(folder.path());
    let mut interrupted = 0;
    // At several moments: while reading, measuring, compressing, writing.
    for delay_ms in [50, 300, 800, 1500] {
        let mut child = packager_command(folder.path())
            .args(["build", "large.onnx", "-o", "large.pannier"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("packager starts");
        std::thread::sleep(Duration::from_millis(delay_ms));
        if child.try_wait().expect("it can be asked").is_some() {
            // This machine is faster than the delay.
            let _ = std::fs::remove_file(path(&folder, "large.pannier"));
            continue;
        }
        let asked = Instant::now();
        interrupt(&child);
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(0) {
            // It was past its last check.
            let _ = std::fs::remove_file(path(&folder, "large.pannier"));
            continue;
        }
        assert_eq!(output.status.code(), Some(130), "after {delay_ms} ms: {:?} {stderr}", output.status);
        assert!(stderr.contains("error[E_INTERRUPTED]: interrupted; no partial output was left"), "{stderr}");
        assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?} to stop", asked.elapsed());
        assert_eq!(names(folder.path()), before, "after {delay_ms} ms");
        interrupted += 1;
    }
    assert!(interrupted > 0, "every build was over before it could be interrupted");
}

#[test]
fn a_command_that_waits_for_stdin_ends_at_the_second_ctrl_c() {
    let folder = folder();
    let mut child = packager_command(folder.path())
        .args(["inspect", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("packager starts");
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().expect("it can be asked").is_none(), "reading from a pipe cannot be stopped politely");
    interrupt(&child);
    assert!(eventually(|| child.try_wait().expect("it can be asked").is_some()), "it did not end");
    assert_eq!(child.wait().expect("it ended").code(), Some(130));
}
