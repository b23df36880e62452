//! The only automation of this project: `cargo xtask VERB`.
//!
//! One file per verb. A verb first makes sure of what it needs (and of nothing more), so that each works on a machine
//! with only Rust, Python and git. Nothing here is part of what is shipped.

mod bench;
mod ci;
mod demo;
mod docs;
mod environment;
mod guest;
mod models;
mod monitor;
mod setup;
mod shell;
mod site;
mod steps;
mod test;
mod tour;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask VERB

  demo                 build, verify and run a signed bundle of a real model
       --web              five of them in a page: names files, reads pictures, hears speech
       --monitor          the monitor's page, with simulated devices
       --port N           where the page is served (default: a port that is free)
       --open             open it in a browser
  test                 the fast tier: format, lints, docs, tests, generated documents
  test --all           the same, then slow tests, fuzz targets, emulated Arm, no_std and wasm32 checks
       --fuzz-seconds N   how long each fuzz target runs (default 30)
  ci                   what a build server runs: `test` with the lock file frozen, then the no_std and wasm32 checks
  bench                compare with others on this machine; rewrites the tables in documents
       --only PART        peers (ONNX Runtime), quantize (its quantizer), sandbox (V8, processes and others) or web
                          (onnxruntime-web in a browser); or gpu (the CPU's engine and the GPU's on this machine, for
                          docs/engines.md), which is measured only when it is named
       --rounds N         how often the sides take turns (default 3; peers 5); of quantize, 0 for no times
       --model NAME       of quantize: only this model; the others keep their results
       --table-only       rewrite the tables from benches/results without measuring
  docs                 rewrite the generated documents
       --check            fail if one of them is out of date
  guest                the runtime as WebAssembly, in both flavours, into wasm/guest/dist
  web                  the npm package @pannier/runtime, into wasm/web/npm, and its tarball
       --quick            modules as they are linked, and no tarball
  models               fetch the five models, their inputs and ONNX Runtime's answers
       --download         even where a shared copy is at hand
  setup                everything a fresh Debian-like machine lacks
       --only PART        python, wasm, browser, browsers, fuzz, wasmtime, victoria, arm or vulkan
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((verb, rest)) = arguments.split_first() else {
        eprint!("{USAGE}");
        bail!("a verb is missing");
    };
    let mut options = Options { rest: rest.to_vec() };
    match verb.as_str() {
        "demo" => {
            let (web, monitor) = (options.flag("--web"), options.flag("--monitor"));
            let port = options.number("--port")?;
            let open = options.flag("--open");
            options.finish()?;
            match (web, monitor) {
                (true, true) => bail!("`--web` and `--monitor` are two demos"),
                (true, false) => site::run(port.unwrap_or(0), open),
                (false, true) => monitor::run(port.unwrap_or(0), open),
                (false, false) if port.is_some() || open => {
                    bail!("`--port` and `--open` are for `--web` and `--monitor`")
                }
                (false, false) => demo::run(),
            }
        }
        "test" => {
            let all = options.flag("--all");
            let fuzz_seconds = options.number("--fuzz-seconds")?.unwrap_or(30);
            options.finish()?;
            test::run(all.then_some(fuzz_seconds))
        }
        "ci" => {
            options.finish()?;
            ci::run()
        }
        "bench" => {
            let only = options.value("--only")?;
            let wanted = bench::Wanted {
                part: only.as_deref().map(bench::Part::named).transpose()?,
                rounds: options.number("--rounds")?,
                model: options.value("--model")?,
                table_only: options.flag("--table-only"),
            };
            options.finish()?;
            bench::run(&wanted)
        }
        "docs" => {
            let check = options.flag("--check");
            options.finish()?;
            docs::run(check)
        }
        "guest" => {
            options.finish()?;
            guest::ensure().map(drop)
        }
        "models" => {
            let download = options.flag("--download");
            options.finish()?;
            models::run(download)
        }
        "setup" => {
            let only = options.value("--only")?;
            options.finish()?;
            setup::run(only.as_deref())
        }
        "web" => {
            let quick = options.flag("--quick");
            options.finish()?;
            if quick { web::ensure(&[]).map(drop) } else { web::build() }
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => {
            eprint!("{USAGE}");
            bail!("`{unknown}` is not a verb of xtask")
        }
    }
}

/// What follows the verb. Each option is taken out once; whatever is left over is an error.
struct Options {
    rest: Vec<String>,
}

impl Options {
    fn flag(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() != before
    }

    fn value(&mut self, name: &str) -> Result<Option<String>> {
        let Some(at) = self.rest.iter().position(|argument| argument == name) else { return Ok(None) };
        if at + 1 == self.rest.len() {
            bail!("`{name}` wants a value");
        }
        let value = self.rest.remove(at + 1);
        self.rest.remove(at);
        Ok(Some(value))
    }

    fn number(&mut self, name: &str) -> Result<Option<u32>> {
        match self.value(name)? {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => bail!("`{name}` wants a whole number, not `{text}`"),
            },
        }
    }

    fn finish(self) -> Result<()> {
        match self.rest.first() {
            None => Ok(()),
            Some(first) => bail!("`{first}` is not an option here; `cargo xtask help` lists what is"),
        }
    }
}
