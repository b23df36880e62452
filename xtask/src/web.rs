//! `web`: the npm package `@pannier/runtime`, in `wasm/web/npm`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::environment::{self, cargo, root};
use crate::guest::{self, FLAVOURS, Linked, link};
use crate::setup::node::Node;
use crate::setup::{browser, node, wasm};
use crate::shell;

/// What wasm-opt has to know of the modules, and what it does: away with names, and with functions that are not needed or
/// there twice, and locals numbered by how often they are used, which compresses better. Its optimising levels are of no use
/// here: they add to what is sent of the small module, and make the large one slower (measured:
/// docs/adr/013-modules-and-bindings-for-javascript.md).
const WASM_OPT: [&str; 15] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
    "--duplicate-function-elimination",
    "--remove-unused-module-elements",
    "--dae",
    "--vacuum",
    "--reorder-locals",
];

/// Makes the package complete, for tests: modules that wasm-opt has not seen will do.
pub fn ensure(options: &[&str]) -> Result<PathBuf> {
    wasm::ensure()?;
    let node = node::ensure()?;
    let packages = browser::packages(&node)?;
    let generator = generator(options)?;
    let modules = Module::all()?;
    for module in &modules {
        module.link(&generator, options)?;
        module.place()?;
    }
    bundle_scripts(&node, &packages, &modules)?;
    Ok(package())
}

/// Makes the package as it is published, and the tarball that `npm publish` takes.
pub fn build() -> Result<()> {
    wasm::ensure()?;
    let node = node::ensure()?;
    let packages = browser::packages(&node)?;
    let generator = generator(&[])?;
    let modules = Module::all()?;
    let mut sizes = Vec::new();
    for module in &modules {
        module.link(&generator, &[])?;
        module.shrink(&node, &packages)?;
        sizes.push((fs::metadata(module.bound())?.len(), module.place()?));
    }
    bundle_scripts(&node, &packages, &modules)?;
    record(&node, &sizes)?;
    pack(&node)
}

/// The package's folder.
fn package() -> PathBuf {
    root().join("wasm/web/npm")
}

/// What a module has inside.
struct Engines {
    /// Begin of the module's name.
    name: &'static str,
    profile: &'static str,
    /// Begin of the target folder's name.
    folder: &'static str,
    /// Options of Cargo.
    options: &'static [&'static str],
    /// Those of [`FLAVOURS`] that it is built in.
    flavours: &'static [(&'static str, &'static str)],
    /// The file with its bindings: those of modules with the same calls are the same.
    bindings: &'static str,
}

/// The small module that is fetched always, its twin that records runs for telemetry, the large one for operators that the small
/// ones lack, and the one for GPUs. The large one is built beside the guest, so that tract is compiled once. The twins would
/// overwrite each other in one folder: Cargo gives modules names without a hash. What a GPU computes is the same whatever
/// instructions the module has, so of that there is one flavour.
const ENGINES: [Engines; 4] = [
    Engines {
        name: "pannier",
        profile: "web",
        folder: "web",
        options: &[],
        flavours: &FLAVOURS,
        bindings: "bindings.js",
    },
    Engines {
        name: "pannier-telemetry",
        profile: "web",
        folder: "web-telemetry",
        options: &["--features", "telemetry"],
        flavours: &FLAVOURS,
        bindings: "bindings.js",
    },
    Engines {
        name: "pannier-tract",
        profile: guest::PROFILE,
        folder: "guest",
        options: &["--features", "tract,telemetry"],
        flavours: &FLAVOURS,
        bindings: "bindings.js",
    },
    Engines {
        name: "pannier-webgpu",
        profile: guest::PROFILE,
        folder: "webgpu",
        options: &["--no-default-features", "--features", "webgpu,telemetry"],
        flavours: &[FLAVOURS[0]],
        bindings: "bindings-webgpu.js",
    },
];

/// One of the modules, on its way from the linker to the package.
struct Module {
    engines: &'static Engines,
    flavour: &'static str,
    features: &'static str,
    /// Where it is kept between two calls.
    folder: PathBuf,
}

impl Module {
    fn all() -> Result<Vec<Module>> {
        let folder = environment::target_dir()?.join("web");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let pairs = ENGINES.iter().flat_map(|engines| engines.flavours.iter().map(move |flavour| (engines, *flavour)));
        let module = |(engines, (flavour, features))| Module { engines, flavour, features, folder: folder.clone() };
        Ok(pairs.map(module).collect())
    }

    /// Its name in the package.
    fn name(&self) -> String {
        format!("{}-{}.wasm", self.engines.name, self.flavour)
    }

    fn linked(&self) -> PathBuf {
        self.folder.join(format!("linked-{}", self.name()))
    }

    /// The same without what its bindings were made of.
    fn bound(&self) -> PathBuf {
        self.folder.join(format!("bound-{}", self.name()))
    }

    fn bindings(&self) -> PathBuf {
        self.bound().with_extension("js")
    }

    fn shrunk(&self) -> PathBuf {
        self.folder.join(format!("shrunk-{}", self.name()))
    }

    /// Links the module and makes its bindings. If it is another one than the last time, what was made of that is gone.
    fn link(&self, generator: &Path, options: &[&str]) -> Result<()> {
        let Engines { profile, folder, options: ours, .. } = *self.engines;
        let linked = Linked { package: "pannier-web", profile, folder, flavour: self.flavour, features: self.features };
        let module = link(&linked, &[ours, options].concat())?;
        if update(&self.linked(), &module)? || !is_newer(&self.bound(), generator) {
            shell::run(Command::new(generator).arg(self.linked()).arg(self.bindings()).arg(self.bound()))?;
            if self.shrunk().exists() {
                fs::remove_file(self.shrunk())?;
            }
        }
        Ok(())
    }

    fn shrink(&self, node: &Node, packages: &Path) -> Result<()> {
        if self.shrunk().exists() {
            return Ok(());
        }
        let unfinished = self.shrunk().with_extension("tmp");
        let mut wasm_opt = Command::new(&node.program);
        wasm_opt.arg(packages.join("node_modules/binaryen/bin/wasm-opt")).arg(self.bound()).args(WASM_OPT);
        if self.features.contains("relaxed-simd") {
            wasm_opt.arg("--enable-relaxed-simd");
        }
        shell::run(wasm_opt.arg("-o").arg(&unfinished))?;
        fs::rename(&unfinished, self.shrunk())?;
        Ok(())
    }

    /// Puts the best that there is into the package, and returns its path there.
    fn place(&self) -> Result<PathBuf> {
        let best = Some(self.shrunk()).filter(|path| path.exists()).unwrap_or_else(|| self.bound());
        let folder = package().join("wasm");
        fs::create_dir_all(&folder)?;
        let place = folder.join(self.name());
        let module = fs::read(best)?;
        update(&place, &module)?;
        eprintln!("  {}: {:.2} MB", place.display(), module.len() as f64 / 1e6);
        Ok(place)
    }
}

/// Builds the generator of the bindings, and returns its path.
fn generator(options: &[&str]) -> Result<PathBuf> {
    let target_dir = environment::target_dir()?.join("bindgen");
    let mut build = cargo();
    build.args(["build", "--manifest-path"]).arg(root().join("xtask/bindgen/Cargo.toml"));
    shell::run(build.arg("--target-dir").arg(&target_dir).args(options))?;
    Ok(target_dir.join("debug").join(format!("pannier-bindgen{}", std::env::consts::EXE_SUFFIX)))
}

/// Makes the package's entry points of our scripts and the bindings. Those of modules that name the same file are the same, because
/// they are made of the same source.
fn bundle_scripts(node: &Node, packages: &Path, modules: &[Module]) -> Result<()> {
    let scripts = root().join("wasm/web/js");
    fs::create_dir_all(scripts.join("generated"))?;
    let mut placed: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for module in modules {
        let (name, bindings) = (module.engines.bindings, fs::read(module.bindings())?);
        let one = placed.entry(name).or_insert_with(|| bindings.clone());
        ensure!(*one == bindings, "the modules of {name} differ in their bindings");
    }
    for (name, bindings) in placed {
        update(&scripts.join("generated").join(name), &bindings)?;
    }
    let mut bundle = Command::new(&node.program);
    bundle.arg(root().join("xtask/web/bundle.mjs")).arg(packages).arg(scripts).arg(package());
    shell::run(&mut bundle)
}

/// Whether the file is there, and was written after the other one.
fn is_newer(path: &Path, than: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    modified(path) > modified(than)
}

/// Writes the sizes of the modules, as they were linked, as they are and as a server sends them, into `benches/sizes.toml`.
fn record(node: &Node, modules: &[(u64, PathBuf)]) -> Result<()> {
    let mut text = String::from(
        "# Sizes of what is shipped, in bytes: as it was linked, as a file, and as a server sends it (brotli, quality 11).\n\
         # Written by `cargo xtask web`, checked by tests/it/browser/sizes.rs.\n",
    );
    for (linked_bytes, module) in modules {
        let script = "const { brotliCompressSync } = require('node:zlib'); \
                      console.log(brotliCompressSync(require('node:fs').readFileSync(process.argv[1])).length)";
        let sent = shell::output(Command::new(&node.program).args(["-e", script]).arg(module))?;
        let (name, bytes) = (module.file_name().unwrap_or_default().to_string_lossy(), fs::metadata(module)?.len());
        let sent: u64 = sent.trim().parse().context("a number of bytes")?;
        eprintln!("  {name}: {:.2} MB, {:.2} MB as brotli", bytes as f64 / 1e6, sent as f64 / 1e6);
        text += &format!("\n[\"@pannier/runtime/{name}\"]\n");
        text += &format!("linked_bytes = {linked_bytes}\nbytes = {bytes}\nbrotli_bytes = {sent}\n");
    }
    update(&root().join("benches/sizes.toml"), text.as_bytes())?;
    Ok(())
}

/// `npm pack`, with the licences that the package names.
fn pack(node: &Node) -> Result<()> {
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(root().join(licence), package().join(licence))?;
    }
    let folder = environment::target_dir()?.join("npm");
    fs::create_dir_all(&folder)?;
    shell::run(node.npm().args(["pack", "--silent", "--pack-destination"]).arg(&folder).current_dir(package()))
}

/// Writes the file if it is not what it should be, and tells whether it was not.
fn update(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|current| current == content) {
        return Ok(false);
    }
    fs::write(path, content).with_context(|| path.display().to_string())?;
    Ok(true)
}
