//! The demo site: `wasm/web/demo` with the npm package, signed bundles of the five models and a list of its files.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};

use crate::bench::MODELS;
use crate::environment::{self, root};
use crate::setup::browser::Browser;
use crate::setup::node;
use crate::{models, shell, web};

/// What opens an address in the user's browser.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// What the site shows beside its own samples: a file of this project.
const SAMPLE: &str = "runtime/bundle/src/bundle.rs";

/// Endings of files that belong on a server.
const SERVED: [&str; 10] = [".css", ".html", ".js", ".json", ".mjs", ".png", ".svg", ".wasm", ".wav", ".webmanifest"];

/// Assembles the site, serves it on this machine until it is interrupted, and shows it in a browser if that is wanted.
pub fn run(port: u32, open: bool) -> Result<()> {
    eprintln!("The npm package, the packager and five signed bundles (the first build takes some minutes):");
    let site = assemble(&environment::build_packager("dev")?, &web::ensure(&[])?)?;
    let mut server = Command::new(node::ensure()?.program);
    server.arg(root().join("xtask/web/serve.mjs")).arg(&site).arg(port.to_string());
    let mut server = server.stdout(Stdio::piped()).spawn().context("the server could not be started")?;
    let mut url = String::new();
    BufReader::new(server.stdout.take().context("the server says nothing")?).read_line(&mut url)?;
    println!(
        "\nThe demo is at {} until you press Ctrl-C. Any server can serve its files: {}",
        url.trim(),
        site.display()
    );
    open_browser(url.trim(), open);
    ensure!(server.wait()?.success(), "the server has ended; is port {port} free?");
    Ok(())
}

/// Shows an address in the user's browser, if that is wanted.
pub fn open_browser(url: &str, wanted: bool) {
    if wanted && !shell::succeeds(Command::new(OPENER).arg(url)) {
        eprintln!("No browser could be opened: open that address yourself.");
    }
}

/// Assembles the site and tries it in a browser.
pub fn check(packager: &Path, browser: &Browser, options: &[&str]) -> Result<()> {
    let site = assemble(packager, &web::ensure(options)?)?;
    let mut tests = Command::new(&browser.node);
    tests.args(["--test", "--test-reporter=spec", "--test-timeout=300000"]);
    for name in ["parts", "server", "site"] {
        tests.arg(root().join("tests/browser/demo").join(format!("{name}.test.mjs")));
    }
    tests.env("PANNIER_DEMO_SITE", site).env("PANNIER_NODE_PACKAGES", &browser.packages);
    shell::run(tests.env("PANNIER_CHROMIUM", &browser.chromium))
}

/// Assembles the site of the npm package in a folder under the target folder, and returns where.
fn assemble(packager: &Path, package: &Path) -> Result<PathBuf> {
    let folder = environment::target_dir()?.join("demo-site");
    let (work, site) = (folder.join("work"), folder.join("site"));
    if site.exists() {
        fs::remove_dir_all(&site).with_context(|| site.display().to_string())?;
    }
    copy(&root().join("wasm/web/demo"), &site)?;
    copy(package, &site.join("runtime"))?;
    copy_file(&root().join(SAMPLE), &site.join("samples/bundle.rs"))?;
    build_bundles(packager, &work, &site.join("bundles"))?;
    list_files(&site)?;
    Ok(site)
}

/// Signs every model with a key that is made here, the first time, and leaves a policy that trusts it in the site's index.
fn build_bundles(packager: &Path, work: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(work)?;
    fs::create_dir_all(folder)?;
    let (secret, public) = (work.join("publisher.pem"), work.join("publisher.pub"));
    // Kept, because the same key gives the same bundles, and a browser that has them need not fetch them again.
    if !secret.exists() || !public.exists() {
        shell::run(Command::new(packager).args(["key", "new", "--no-passphrase"]).arg(&secret))?;
    }
    let models = models::ensure()?;
    let mut bundles = Map::new();
    for model in MODELS {
        let config = models::lay_out(&models, model, &work.join(model))?;
        let built = work.join(format!("{model}.pannier"));
        let mut build = Command::new(packager);
        build.arg("build").arg("--config").arg(config).arg("--sign").arg(&secret);
        build.arg("--evaluate").arg(models.join(model).join("evaluation.npz"));
        shell::run(build.arg("-o").arg(&built))?;
        let content = fs::read(&built).with_context(|| built.display().to_string())?;
        let size_bytes = content.len();
        // An address that names its content may be kept for ever.
        let url = format!("{model}-{}.pannier", digest(&[content]));
        copy_file(&built, &folder.join(&url))?;
        bundles.insert(model.to_owned(), json!({ "url": url, "sizeBytes": size_bytes }));
    }
    let policy = policy(&fs::read_to_string(&public)?);
    let index = json!({ "policy": policy, "bundles": Value::Object(bundles) });
    fs::write(folder.join("index.json"), index.to_string())?;
    Ok(())
}

/// A trust policy with one publisher: see docs/trust-policy.md.
fn policy(pem: &str) -> String {
    format!(
        "[roles]\npublisher = 1\n\n[[keys]]\nname = \"this demo\"\nroles = [\"publisher\"]\npem = \"\"\"\n{pem}\"\"\"\n"
    )
}

/// Writes `site.js`: what the service worker keeps, and a version that changes with any of it.
fn list_files(site: &Path) -> Result<()> {
    let files = files_in(site)?;
    let contents = files.iter().map(|file| fs::read(site.join(file))).collect::<Result<Vec<_>, _>>()?;
    // The worker itself is the browser's business, bundles are the runtime's, and of its modules only one is asked for.
    let is_kept =
        |file: &String| file != "service-worker.js" && !file.ends_with(".pannier") && !file.ends_with(".wasm");
    let kept: Vec<String> = files.into_iter().filter(is_kept).collect();
    let list = json!({ "version": digest(&contents), "files": kept });
    fs::write(site.join("site.js"), format!("self.SITE = {list};\n"))?;
    Ok(())
}

/// Names contents. Nothing depends on it but whether a browser looks again.
fn digest(contents: &[Vec<u8>]) -> String {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Copies a folder, as far as it belongs on a server.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    for file in files_in(from)? {
        if SERVED.iter().any(|ending| file.ends_with(ending)) && !file.ends_with(".d.ts") {
            copy_file(&from.join(&file), &to.join(&file))?;
        }
    }
    Ok(())
}

/// Copies a file to a place in a folder that may not be there yet.
pub fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

/// All files in a folder and those below it, as addresses relative to it, sorted.
fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            files.extend(files_in(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        } else {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}
