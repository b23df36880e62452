//! Makes a sandbox with an empty cache and then with a full one, and prints JSON: what compiling the guest costs, once per machine,
//! and what a process pays that finds it compiled.

use anyhow::{Result, bail};
use pannier_benches::measure::{milliseconds, percentile};
use pannier_benches::model::sandbox;
use serde_json::json;
use std::time::Instant;

/// How often the sandbox is made with a full cache.
const CACHED: usize = 5;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cache, flavour] = arguments.as_slice() else {
        bail!("usage: sandbox_compile EMPTY_CACHE simd128|relaxed-simd");
    };
    let make = || -> Result<f64> {
        let started = Instant::now();
        let _sandbox = sandbox(cache, flavour)?;
        Ok(milliseconds(started.elapsed()))
    };
    let compiled_ms = make()?;
    let cached = (0..CACHED).map(|_| make()).collect::<Result<Vec<_>>>()?;
    println!("{}", json!({ "compiled_ms": compiled_ms, "cached_ms": percentile(&cached, 50)? }));
    Ok(())
}
