//! The executor and burn, natively and in a browser, on models whose inputs come in batches.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::document;
use crate::bench::MODELS;
use crate::bench::setting::Bench;
use crate::environment::{cargo, root};
use crate::setup::browser::{self, Browser};
use crate::site::{copy, copy_file};
use crate::{shell, web};

/// How many inputs are given at once.
const BATCHES: [u32; 3] = [1, 8, 32];

/// On an adapter that takes longer than this until its first answer, larger batches of the model are left out.
const LONGEST_FIRST_MS: f64 = 60_000.0;

/// What `packager build` is told of a model's inputs, for a batch.
fn build_options(model: &str, batch: u32) -> Vec<String> {
    let shape = |text: String| vec!["--shape".to_owned(), text];
    match model {
        "magika" => shape(format!("bytes={batch}x2048")),
        "ocr-cls" => shape(format!("x={batch}x3x48x192")),
        "ocr-det" => shape(format!("x={batch}x3x320x320")),
        "ocr-rec" => shape(format!("x={batch}x3x48x320")),
        _ => {
            let constant = vec!["--constant".to_owned(), "sr=16000".to_owned()];
            [shape(format!("input={batch}x576")), shape(format!("state=2x{batch}x128")), constant].concat()
        }
    }
}

/// Times of every model with every batch.
pub fn models(bench: &Bench, rounds: u32) -> Result<Vec<Value>> {
    let pages = Pages::set_up(bench)?;
    let mut found = Vec::new();
    for model in MODELS {
        let (mut native_goes_on, mut browser_goes_on) = (true, true);
        for batch in BATCHES {
            let name = format!("{model}-{batch}.pannier");
            let bundle = bench.in_batches(model, &build_options(model, batch), &name)?;
            let native = if native_goes_on { unless_refused(native(&bundle, rounds)) } else { Value::Null };
            let browser = || unless_refused(pages.drive(bench, &bundle, &name, rounds));
            let browser = if browser_goes_on { browser() } else { Value::Null };
            let is_quick = |side: &Value| side["first_ms"].as_f64().is_none_or(|ms| ms < LONGEST_FIRST_MS);
            native_goes_on &= is_quick(&native["burn-wgpu"]);
            browser_goes_on &= is_quick(&browser["webgpu"]);
            let flops = bench.flops(&bundle)?;
            found.push(json!({ "name": model, "batch": batch, "flops": flops, "native": native, "browser": browser }));
        }
    }
    Ok(found)
}

/// A GPU may refuse a model that the others run: what the publisher says that it may take was measured on the CPU.
fn unless_refused(times: Result<Value>) -> Value {
    times.unwrap_or_else(|why| {
        eprintln!("    {why:#}");
        Value::Null
    })
}

/// In this profile burn is compiled for tests anyway; what computes is optimised in it.
fn native(bundle: &Path, rounds: u32) -> Result<Value> {
    eprintln!("  {} natively", bundle.display());
    let mut compare = cargo();
    compare.args(["run", "--quiet", "--package", "pannier-engine-burn", "--features", "wgpu", "--example", "compare"]);
    document(compare.arg("--").arg(rounds.to_string()).arg(bundle))
}

/// A site with the npm package and the bundles, and a browser.
struct Pages {
    site: PathBuf,
    browser: Browser,
}

impl Pages {
    fn set_up(bench: &Bench) -> Result<Pages> {
        let (site, browser) = (bench.site(), browser::ensure()?);
        copy(&web::ensure(&[])?, &site.join("runtime"))?;
        copy_file(&root().join("benches/web/page/gpu.html"), &site.join("web/gpu.html"))?;
        Ok(Pages { site, browser })
    }

    fn drive(&self, bench: &Bench, bundle: &Path, name: &str, rounds: u32) -> Result<Value> {
        copy_file(bundle, &self.site.join("bundles").join(name))?;
        let mut driver = Command::new(&self.browser.node);
        driver.arg(root().join("benches/web/gpu.mjs")).arg(&self.site).arg(&self.browser.packages);
        driver.arg(&self.browser.chromium).arg(&bench.key).arg(rounds.to_string()).arg(name);
        let found: Value = serde_json::from_str(&shell::output(&mut driver)?)?;
        let mut times = found["bundles"][name].clone();
        times.as_object_mut().context("no times")?.insert("browser".into(), found["browser"].clone());
        Ok(times)
    }
}
