//! `test`: the fast tier, and with `--all` everything else that a machine can check.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::environment::{self, cargo};
use crate::setup::browser::{self, Browser};
use crate::setup::{arm, browsers, fuzz, python, tool, victoria, vulkan, wasm};
use crate::steps::Steps;
use crate::{docs, guest, models, shell, site, tour, web};

/// A target that has no standard library: whatever compiles for it needs none.
const NO_STD_TARGET: &str = "x86_64-unknown-none";

/// Parts of the runtime that must do without an operating system.
const NO_STD: [&str; 1] = ["pannier-bundle"];

/// Parts of the runtime that must compile for wasm32.
const PORTABLE: [&str; 5] = ["pannier-bundle", "pannier-graph", "pannier-engine", "pannier-kernels", "pannier"];

/// Runs the fast tier. With `all`, also the slow tests and the fuzz targets, each of those for so many seconds.
pub fn run(all: Option<u32>) -> Result<()> {
    let mut steps = Steps::new();
    let tools = prepare(&mut steps);
    fast(&mut steps, tools.as_ref(), false);
    if let Some(seconds) = all {
        let vulkan = vulkan(&mut steps);
        slow(&mut steps, tools.as_ref(), vulkan.as_ref());
        on_vulkan(&mut steps, tools.as_ref(), vulkan.as_ref());
        fuzz_targets(&mut steps, seconds);
        sanitized(&mut steps);
        emulated(&mut steps);
        portability(&mut steps);
    }
    steps.finish()
}

/// What the tests need from outside.
pub struct Tools {
    python: PathBuf,
    models: PathBuf,
    browser: Browser,
}

impl Tools {
    fn apply(&self, command: &mut Command) {
        command.env("PANNIER_PYTHON", &self.python).env("PANNIER_MODELS", &self.models);
        let Browser { node, oldest_node, packages, chromium } = &self.browser;
        command
            .env("PANNIER_NODE", node)
            .env("PANNIER_OLDEST_NODE", oldest_node)
            .env("PANNIER_NODE_PACKAGES", packages)
            .env("PANNIER_CHROMIUM", chromium);
    }
}

/// Python packages, models and a browser. Tests that need them fail with a hint when this did.
pub fn prepare(steps: &mut Steps) -> Option<Tools> {
    let mut tools = None;
    steps.step("what the tests need: Python packages, models, a browser", || {
        tools = Some(Tools { python: python::ensure()?, models: models::ensure()?, browser: browser::ensure()? });
        Ok(())
    });
    tools
}

/// Format, lints, docs, generated documents, tests. `frozen` forbids a change of Cargo.lock.
pub fn fast(steps: &mut Steps, tools: Option<&Tools>, frozen: bool) {
    let locked: &[&str] = if frozen { &["--locked"] } else { &[] };
    steps.step("format", || shell::run(cargo().args(["fmt", "--all", "--check"])));
    // Before anything that takes the guest in: without it, `pannier-wasmtime` is compiled a second time once it is there.
    steps.step("the guest module", || guest::build(locked).map(drop));
    steps.step("the modules of the npm package", || web::ensure(locked).map(drop));
    steps.step("lints", || {
        shell::run(cargo().arg("clippy").args(locked).args([
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]))
    });
    steps.step("documentation", || {
        shell::run(
            cargo().env("RUSTDOCFLAGS", "--deny warnings").args(["doc", "--workspace", "--no-deps"]).args(locked),
        )
    });
    let (mut packager, mut burn) = (None, None);
    steps.step("build the packager and the tests", || {
        packager = Some(environment::build_packager_and_tests(locked)?);
        burn = Some(environment::build_burn(locked)?);
        Ok(())
    });
    match &packager {
        Some(packager) => {
            steps.step("generated documents", || docs::check(packager));
            steps.step("the tour in README.md", || tour::run(packager));
        }
        None => steps.skip("generated documents, tour", "the packager was not built"),
    }
    steps.step("tests", || {
        let mut command = cargo();
        command.arg("test").args(locked).arg("--no-fail-fast");
        // Snapshots are looked for in this checkout, whichever one compiled the tests.
        command.env("INSTA_WORKSPACE_ROOT", environment::root());
        if let Some(packager) = &packager {
            command.env("PANNIER_PACKAGER", packager);
        }
        if let Some(burn) = &burn {
            command.env("PANNIER_BURN", burn);
        }
        if let Some(tools) = tools {
            tools.apply(&mut command);
        }
        shell::run(&mut command)
    });
    steps.step("the monitor's tests", || {
        shell::run(cargo().args(["test", "--no-fail-fast", "--package", "pannier-monitor"]).args(locked))
    });
    steps.step("the tests of burn on the CPU", || {
        let mut command = cargo();
        command.args(["test", "--no-fail-fast", "--package", "pannier-engine-burn"]).args(locked);
        if let Some(packager) = &packager {
            command.env("PANNIER_PACKAGER", packager);
        }
        if let Some(tools) = tools {
            command.env("PANNIER_MODELS", &tools.models);
        }
        shell::run(&mut command)
    });
    match (&packager, tools) {
        (Some(packager), Some(tools)) => {
            steps.step("the demo site in a browser", || site::check(packager, &tools.browser, locked));
        }
        _ => steps.skip("the demo site in a browser", "the packager or the browser is not there"),
    }
}

/// The tests that are ignored otherwise, because they take long or need what takes long to install.
fn slow(steps: &mut Steps, tools: Option<&Tools>, vulkan: Option<&Vulkan>) {
    let (mut wasmtime, mut victoria) = (None, None);
    steps.step("what the slow tests need: wasmtime, VictoriaMetrics, Firefox, WebKit", || {
        wasmtime = Some(tool::WASMTIME.ensure()?);
        victoria = Some(victoria::ensure()?);
        browsers::ensure()
    });
    steps.step("slow tests", || {
        let mut command = cargo();
        command.args(["test", "--no-fail-fast", "--tests", "--", "--ignored"]);
        if let Some(tools) = tools {
            tools.apply(&mut command);
        }
        if let Some(wasmtime) = &wasmtime {
            command.env("PANNIER_WASMTIME", wasmtime);
        }
        if let Some(victoria) = &victoria {
            command.env("PANNIER_VICTORIA", victoria);
        }
        if let Some(Vulkan { driver, burn, .. }) = vulkan {
            command.env("PANNIER_VULKAN_DRIVER", driver).env("PANNIER_BURN", burn);
        }
        shell::run(&mut command)
    });
}

/// What tests on Vulkan need.
struct Vulkan {
    /// What describes lavapipe, a GPU's driver that is a program on the CPU.
    driver: PathBuf,
    packager: PathBuf,
    /// The program that runs bundles on burn, of a build with graphics.
    burn: PathBuf,
}

fn vulkan(steps: &mut Steps) -> Option<Vulkan> {
    let mut ready = None;
    steps.step("what the tests on Vulkan need: lavapipe, the packager, burn with graphics", || {
        let (driver, packager) = (vulkan::ensure()?, environment::build_packager_and_tests(&[])?);
        ready = Some(Vulkan { driver, packager, burn: environment::build_burn(&["--features", "wgpu"])? });
        Ok(())
    });
    ready
}

/// The tests of burn on lavapipe: operators, the real models, a device that is lost.
fn on_vulkan(steps: &mut Steps, tools: Option<&Tools>, vulkan: Option<&Vulkan>) {
    let Some(Vulkan { driver, packager, .. }) = vulkan else {
        return steps.skip("the tests of burn on Vulkan", "it is not there");
    };
    for (name, features) in [("the tests of burn on Vulkan", "wgpu"), ("the same with fused operators", "fusion")] {
        steps.step(name, || {
            let mut command = cargo();
            command.args(["test", "--no-fail-fast", "--package", "pannier-engine-burn", "--features", features]);
            // Without these they would take any other GPU, and none as a reason to pass.
            command.env("VK_DRIVER_FILES", driver).env("PANNIER_GPU", "1").env("PANNIER_PACKAGER", packager);
            if let Some(tools) = tools {
                command.env("PANNIER_MODELS", &tools.models);
            }
            shell::run(&mut command)
        });
    }
}

/// Every fuzz target for a while. The same oracles run in the fast tier as property tests.
fn fuzz_targets(steps: &mut Steps, seconds: u32) {
    let mut ready = None;
    steps.step("build the fuzz targets", || {
        let fuzz = fuzz::ensure()?;
        fuzz.build()?;
        ready = Some((fuzz.targets()?, fuzz));
        Ok(())
    });
    let Some((targets, fuzz)) = ready else {
        return steps.skip("fuzz targets", "they were not built");
    };
    for target in targets {
        steps.step(&format!("fuzz {target}"), || fuzz.run(&target, seconds));
    }
}

/// The tests of the kernels, which is where the `unsafe` of the executor is, with checks of every access to memory.
fn sanitized(steps: &mut Steps) {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return steps.skip("kernels with AddressSanitizer", "it is run on x86-64 Linux");
    }
    steps.step("kernels with AddressSanitizer", || {
        let mut command = cargo();
        command.args(["test", "--tests", "-p", "pannier-kernels", "--target", TARGET]);
        // Compiled for speed with such checks, they take many minutes to compile.
        command.args(["--config", "profile.dev.package.pannier-kernels.opt-level=1"]);
        // Sanitizers are behind -Z options, which a stable compiler accepts only so. With a target named, build scripts are
        // compiled without them.
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
        command.env("CARGO_TARGET_DIR", environment::root().join("target/sanitized"));
        shell::run(&mut command)
    });
}

/// The tests of the kernels and of the executor on 64-bit Arm, emulated: NEON, with dot products and without.
fn emulated(steps: &mut Steps) {
    if !arm::is_installed() {
        return steps.skip("kernels on emulated Arm", "no emulator or library: `cargo xtask setup --only arm`");
    }
    steps.step("kernels on emulated Arm", || {
        let mut command = cargo();
        command.args(["test", "--release", "--tests", "--target", arm::TARGET]);
        command.args(["-p", "pannier-kernels", "-p", "pannier-executor"]).envs(arm::ENVIRONMENT);
        // Every number that there is, which takes the emulator many minutes.
        command.args(["--", "--skip", "functions_are_as_accurate_as_stated"]);
        shell::run(&mut command)
    });
}

/// The container without an operating system, and the runtime's portable crates for wasm32.
pub fn portability(steps: &mut Steps) {
    if has_library(NO_STD_TARGET) {
        steps.step("no_std", || check_for(NO_STD_TARGET, &NO_STD));
    } else {
        steps.skip("no_std", &format!("no core library: `rustup target add {NO_STD_TARGET}`"));
    }
    if wasm::is_installed() {
        steps.step("wasm32", || check_for(wasm::TARGET, &PORTABLE));
    } else {
        steps.skip("wasm32", "no standard library: `cargo xtask setup --only wasm`");
    }
}

fn check_for(target: &str, packages: &[&str]) -> Result<()> {
    for package in packages {
        let options = ["--target", target, "--no-default-features"];
        shell::run(cargo().args(["check", "--package", package]).args(options))?;
    }
    Ok(())
}

fn has_library(target: &str) -> bool {
    let folder = shell::output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    folder.is_ok_and(|folder| Path::new(folder.trim()).exists())
}
