//! Where everything is that a measurement needs, and the programs it is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::environment::{self, cache, cargo, root};
use crate::setup::{node, python};
use crate::{guest, models, shell};

/// Models, bundles of them, and the measuring programs.
pub struct Bench {
    /// The key that the bundles are signed with.
    pub key: PathBuf,
    python: PathBuf,
    models: PathBuf,
    packager: PathBuf,
    programs: PathBuf,
    work: PathBuf,
}

impl Bench {
    /// Builds the bundles of some models, and the programs if they are wanted.
    pub fn set_up(with_programs: bool, wanted: &[&str]) -> Result<Bench> {
        let python = python::ensure_for_bench()?;
        let models = models::ensure()?;
        let packager = environment::build_packager("dev")?;
        if with_programs {
            // They carry the guest.
            guest::ensure()?;
            shell::run(cargo().args(["build", "--release", "--package", "pannier-benches", "--bins"]))?;
        }
        // Kept: the criterion groups in benches/ open the same bundles.
        let work = cache()?.join("bench");
        if work.exists() {
            fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
        }
        fs::create_dir_all(&work).with_context(|| work.display().to_string())?;
        let programs = environment::target_dir()?.join("release");
        let bench = Bench { key: work.join("bench.pub"), python, models, packager, programs, work };
        bench.build_bundles(wanted)?;
        Ok(bench)
    }

    fn build_bundles(&self, wanted: &[&str]) -> Result<()> {
        shell::run(self.packager().args(["key", "new", "--no-passphrase"]).arg(self.secret()))?;
        for model in wanted {
            fs::copy(self.models.join(model).join("evaluation.npz"), self.evaluation(model))?;
            models::lay_out(&self.models, model, &self.work.join(model))?;
            shell::run(self.build(model).arg("-o").arg(self.bundle(model)))?;
        }
        Ok(())
    }

    fn secret(&self) -> PathBuf {
        self.work.join("bench.pem")
    }

    /// The packager.
    pub fn packager(&self) -> Command {
        Command::new(&self.packager)
    }

    /// `packager build` of a model, evaluated and signed; where to is for the caller to add.
    pub fn build(&self, model: &str) -> Command {
        let mut build = self.packager();
        build.arg("build").arg("--config").arg(self.work.join(model).join("packager.toml"));
        build.arg("--evaluate").arg(self.evaluation(model)).arg("--sign").arg(self.secret());
        build
    }

    /// A signed bundle of a model that is built with these options, without an evaluation.
    pub fn in_batches(&self, model: &str, options: &[String], name: &str) -> Result<PathBuf> {
        let bundle = self.work.join(name);
        let mut build = self.packager();
        build.arg("build").arg(self.onnx(model)).args(options).arg("--sign").arg(self.secret());
        shell::output(build.args(["--name", model]).arg("-o").arg(&bundle))?;
        Ok(bundle)
    }

    /// Floating-point operations of one run of a bundle, as `xtask/python/flops.py` counts them.
    pub fn flops(&self, bundle: &Path) -> Result<u64> {
        let onnx = bundle.with_extension("onnx");
        shell::output(self.packager().arg("export").arg(bundle).arg("--onnx").arg(&onnx).arg("--key").arg(&self.key))?;
        Ok(shell::output(self.python("flops.py").arg(&onnx))?.trim().parse()?)
    }

    /// A model's folder as it was fetched.
    pub fn folder(&self, model: &str) -> PathBuf {
        self.models.join(model)
    }

    /// Where a quantized model goes.
    pub fn quantized(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join("quantized");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder.join(name))
    }

    /// A bundle as small as it gets while its evaluation loses at most one percent.
    pub fn smaller(&self, model: &str) -> Result<PathBuf> {
        let bundle = self.quantized(&format!("{model}-auto.pannier"))?;
        let calibration = self.folder(model).join("calibration.npz");
        let mut build = self.build(model);
        build.args(["--quantize", "auto", "--max-loss", "1%", "--calibrate"]).arg(calibration).arg("-o").arg(&bundle);
        shell::output(&mut build)?;
        Ok(bundle)
    }

    /// ONNX Runtime's quantizer, and the judge of answers.
    pub fn quantizer(&self) -> Command {
        self.python("quantize.py")
    }

    /// What `zstd -19` makes of a file, in bytes.
    pub fn compressed_bytes(&self, file: &Path) -> Result<u64> {
        Ok(shell::output(self.quantizer().arg("compressed").arg(file))?.trim().parse()?)
    }

    pub fn onnx(&self, model: &str) -> PathBuf {
        self.models.join(model).join("model.onnx")
    }

    pub fn evaluation(&self, model: &str) -> PathBuf {
        self.work.join(format!("{model}.npz"))
    }

    pub fn bundle(&self, model: &str) -> PathBuf {
        self.work.join(format!("{model}.pannier"))
    }

    /// The first case of the evaluation set as files that JavaScript reads.
    pub fn case(&self, model: &str) -> Result<PathBuf> {
        let folder = self.work.join("cases").join(model);
        shell::output(self.peer().arg("case").arg(self.evaluation(model)).arg(&folder))?;
        Ok(folder)
    }

    /// Where the site lies that browsers open.
    pub fn site(&self) -> PathBuf {
        self.work.join("site")
    }

    /// Where the sandbox keeps what it compiled: empty at first, which makes compiling a measurement.
    pub fn sandbox_cache(&self) -> PathBuf {
        self.work.join("sandbox")
    }

    /// The peers that are called from Python.
    pub fn peer(&self) -> Command {
        self.python("peer.py")
    }

    fn python(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(root().join("xtask/python").join(script));
        command
    }

    /// One of the programs in benches/src/bin.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// One of the programs that are given a model, with the arguments common to all.
    pub fn program_on(&self, name: &str, model: &str) -> Command {
        let mut command = self.program(name);
        command.arg(self.bundle(model)).arg(&self.key).arg(self.evaluation(model));
        command
    }
}

/// V8, and what runs in it.
pub struct Web {
    /// Node.
    pub node: PathBuf,
    /// The folder with `node_modules`.
    pub packages: PathBuf,
}

impl Web {
    /// Installs what is missing.
    pub fn set_up() -> Result<Web> {
        let node = node::ensure()?;
        let packages = node.packages(&root().join("benches/js/package.json"), "bench-web")?;
        Ok(Web { node: node.program, packages })
    }

    /// One of the programs in benches/js.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(root().join("benches/js").join(name));
        command
    }
}
