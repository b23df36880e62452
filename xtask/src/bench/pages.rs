//! A site with both runtimes and all models, and a browser to open it in.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::MODELS;
use super::setting::{Bench, Web};
use crate::environment::{cache, root};
use crate::setup::browser::{self, Browser};
use crate::site::{copy, copy_file};
use crate::{shell, web};

/// What onnxruntime-web asks for where it runs models in WebAssembly, without what only GPUs take.
const ONNXRUNTIME_WEB: [&str; 2] = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"];

/// The assembled site and its browser.
pub struct Pages {
    /// Node with onnxruntime-web.
    pub web: Web,
    /// The npm package, as it is published.
    pub package: PathBuf,
    browser: Browser,
    site: PathBuf,
}

impl Pages {
    /// Builds the package, assembles the site, and compresses what servers compress.
    pub fn set_up(bench: &Bench) -> Result<Pages> {
        web::build()?;
        let pages = Pages {
            web: Web::set_up()?,
            package: root().join("wasm/web/npm"),
            browser: browser::ensure()?,
            site: bench.site(),
        };
        copy(&root().join("benches/web/page"), &pages.site.join("web"))?;
        copy_file(&root().join("benches/js/measure.mjs"), &pages.site.join("js/measure.mjs"))?;
        copy(&pages.package, &pages.site.join("runtime"))?;
        for file in ONNXRUNTIME_WEB {
            let from = pages.web.packages.join("node_modules/onnxruntime-web/dist").join(file);
            copy_file(&from, &pages.site.join("onnxruntime-web").join(file))?;
        }
        for model in MODELS {
            copy_file(&bench.onnx(model), &pages.site.join(format!("models/{model}.onnx")))?;
            copy_file(&bench.bundle(model), &pages.site.join(format!("models/{model}.pannier")))?;
            copy_file(&bench.smaller(model)?, &pages.site.join(format!("models/{model}-quantized.pannier")))?;
            let case = bench.case(model)?;
            for file in ["case.json", "case.bin"] {
                copy_file(&case.join(file), &pages.site.join("cases").join(model).join(file))?;
            }
        }
        eprintln!("  compressing with brotli (minutes, the first time)");
        let mut compress = pages.script("compress.mjs");
        shell::run(compress.arg(&pages.site).arg(cache()?.join("bench-web/brotli")))?;
        Ok(pages)
    }

    /// Which browser this is.
    pub fn browser_version(&self) -> Result<String> {
        Ok(shell::output(Command::new(&self.browser.chromium).arg("--version"))?.trim().to_owned())
    }

    /// Opens a page, `pannier` or `onnxruntime`, in fresh browsers, which loads a model from one of the site's files.
    pub fn drive(&self, page: &str, model: &str, file: &str, bench: &Bench, seconds: &str) -> Command {
        let mut command = self.script("drive.mjs");
        command.arg(&self.site).arg(&self.browser.packages).arg(&self.browser.chromium);
        command.args([page, model, file]).arg(&bench.key).arg(seconds);
        command
    }

    /// One of the programs in benches/web.
    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.browser.node);
        command.arg(root().join("benches/web").join(name));
        command
    }
}
