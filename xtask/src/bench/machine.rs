//! What was measured on, and with which versions.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::setting::{Bench, Web};
use crate::environment::root;
use crate::shell;

/// Processor, memory and system.
pub fn describe() -> Result<Value> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let meminfo = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let kibibytes = field(&meminfo, "MemTotal").and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok());
    let flags = field(&cpuinfo, "flags").unwrap_or_default();
    let simd: Vec<&str> =
        ["avx2", "avx512f", "avx512_vnni", "amx_tile"].into_iter().filter(|flag| has_word(flags, flag)).collect();
    Ok(json!({
        "processor": field(&cpuinfo, "model name").unwrap_or("unknown"),
        "architecture": std::env::consts::ARCH,
        "logical_cores": std::thread::available_parallelism()?.get(),
        "memory_bytes": kibibytes.map(|kibibytes| kibibytes * 1024),
        "simd": simd,
        "system": shell::output(Command::new("uname").args(["-s", "-r"]))?.trim(),
    }))
}

/// Versions of all sides.
pub fn versions(bench: &Bench) -> Result<Value> {
    let mut versions: Value = serde_json::from_str(&shell::output(bench.peer().arg("versions"))?)?;
    versions["rustc"] = shell::output(Command::new("rustc").arg("--version"))?.trim().into();
    versions["pannier"] = env!("CARGO_PKG_VERSION").into();
    versions["wasmtime"] = locked_version("wasmtime")?.into();
    Ok(versions)
}

/// Versions of Node, V8 and what runs there.
pub fn web_versions(web: &Web) -> Result<Value> {
    let script = "console.log(JSON.stringify({ node: process.versions.node, v8: process.versions.v8 }))";
    let mut versions: Value = serde_json::from_str(&shell::output(Command::new(&web.node).args(["-e", script]))?)?;
    let package = web.packages.join("node_modules/onnxruntime-web/package.json");
    let package: Value =
        serde_json::from_str(&fs::read_to_string(&package).with_context(|| package.display().to_string())?)?;
    versions["onnxruntime_web"] = package["version"].clone();
    Ok(versions)
}

/// The version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("Cargo.lock")?;
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&name).with_context(|| format!("Cargo.lock has no {package}"))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// The value of the first line `NAME : VALUE`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then_some(value.trim())
    })
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|found| found == word)
}
