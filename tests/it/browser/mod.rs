//! The npm package in Chromium and in Node: starts the scripts of `tests/browser`, each with Node's own test runner.

pub mod fixtures;
mod sizes;

use crate::support::web::{chromium, node, node_packages, oldest_node, package};
use crate::support::{project_root, temp_dir};
use std::path::Path;
use std::process::Command;

#[test]
fn pages_and_workers() {
    passes("page");
}

#[test]
fn servers_that_are_slow_broken_wrong_or_hostile() {
    passes("network");
}

#[test]
fn which_module_and_which_engine() {
    passes("engines");
}

#[test]
fn on_the_gpu_or_else_on_the_cpu() {
    passes("webgpu");
}

#[test]
fn what_the_cache_keeps() {
    passes("cache");
}

#[test]
fn what_is_sent_of_a_session_and_what_waits() {
    passes("telemetry");
}

#[test]
fn memory_and_the_pages_thread() {
    passes("memory");
}

#[test]
fn a_production_build_of_vite() {
    passes("vite");
}

#[test]
fn the_newest_and_the_oldest_node() {
    passes("node");
}

#[test]
fn types_and_the_example_of_the_readme() {
    passes("package");
}

/// Runs one file of `tests/browser`.
#[track_caller]
fn passes(name: &str) {
    let scratch = temp_dir();
    let mut command = script(&format!("{name}.test.mjs"), fixtures::folder(), scratch.path());
    let output = command.output().expect("Node starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
}

/// Makes the files that the harness wants to be there, for scripts that need none of them.
pub fn no_fixtures(folder: &Path) {
    for (name, text) in [("publisher.pub", ""), ("stranger.pub", ""), ("cases.json", "{}")] {
        std::fs::write(folder.join(name), text).expect("a file is written");
    }
}

/// Node with a script of `tests/browser`, told where everything is.
pub fn script(name: &str, fixtures: &Path, scratch: &Path) -> Command {
    let mut command = Command::new(node());
    if name.ends_with(".test.mjs") {
        command.args(["--test", "--test-reporter=spec", "--test-timeout=120000"]);
    }
    command.arg(project_root().join("tests/browser").join(name));
    command.env("PANNIER_FIXTURES", fixtures).env("PANNIER_SCRATCH", scratch).env("PANNIER_WEB_PACKAGE", package());
    command.env("PANNIER_CHROMIUM", chromium()).env("PANNIER_OLDEST_NODE", oldest_node());
    command.env("PANNIER_NODE_PACKAGES", node_packages());
    // Of a test runner around this one, Node's would think that it is a child.
    command.env_remove("NODE_TEST_CONTEXT");
    command
}
