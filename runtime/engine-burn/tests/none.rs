//! A machine without a GPU. In a process of its own, whose loaders of drivers, Vulkan's and OpenGL's, find none.

#![cfg(target_os = "linux")]

use pannier_engine::Code;
use pannier_engine_burn::{Burn, GpuError, GpuOptions};
use std::process::Command;

/// Set in the process that has none.
const INSIDE: &str = "PANNIER_TEST_WITHOUT_GPU";

#[test]
fn is_an_error_that_says_so_and_no_panic() {
    if std::env::var_os(INSIDE).is_none() {
        let mut again = Command::new(std::env::current_exe().expect("the path of this program"));
        again.args(["--exact", "is_an_error_that_says_so_and_no_panic", "--nocapture"]).env(INSIDE, "1");
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_DIRS"] {
            again.env(variable, "/nonexistent");
        }
        let found = again.output().expect("it starts");
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        return;
    }
    // Twice: a search that failed is not the last.
    for _ in 0..2 {
        let found = Burn::wgpu(&GpuOptions::default().with_software()).map(drop);
        let error = found.expect_err("there is none");
        assert!(matches!(error, GpuError::None { .. }), "{error:?}");
        assert_eq!(error.code(), Code::Failed);
        assert!(error.to_string().starts_with("no GPU: "), "{error}");
    }
}
