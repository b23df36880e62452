//! `docs`: the documents that are made from the code or from measurements, and the check that they are up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bench::{DOCUMENTS, table};
use crate::setup::python;
use crate::{environment, shell};

/// A file of the project and what it should hold.
struct Generated {
    path: PathBuf,
    content: String,
}

/// Rewrites the generated documents, or with `check_only` fails if one is out of date.
pub fn run(check_only: bool) -> Result<()> {
    let packager = environment::build_packager("dev")?;
    if check_only {
        return check(&packager);
    }
    for Generated { path, content } in generate(&packager)? {
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    rewrite_operators(&packager)
}

/// docs/operators.md comes out of the conformance suite, which checks it on every other run.
fn rewrite_operators(packager: &Path) -> Result<()> {
    let mut test = environment::cargo();
    test.env("PANNIER_BLESS", "1").env("PANNIER_PACKAGER", packager).env("PANNIER_PYTHON", python::ensure()?);
    test.args(["test", "--package", "pannier-tests", "--test", "it", "onnx_node_tests_come_out_as_documented"]);
    shell::run(&mut test)
}

/// Fails if a generated document is out of date, and names every one that is.
pub fn check(packager: &Path) -> Result<()> {
    let stale: Vec<String> = generate(packager)?
        .into_iter()
        .filter(|document| fs::read_to_string(&document.path).ok().as_deref() != Some(&document.content))
        .map(|document| document.path.display().to_string())
        .collect();
    if !stale.is_empty() {
        bail!("out of date: {}. `cargo xtask docs` rewrites them", stale.join(", "));
    }
    Ok(())
}

fn generate(packager: &Path) -> Result<Vec<Generated>> {
    let root = environment::root();
    let errors = shell::output(Command::new(packager).args(["explain", "--markdown"]))?;
    let mut generated = vec![Generated { path: root.join("docs/errors.md"), content: errors }];
    for document in DOCUMENTS {
        let path = root.join(document);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        generated.push(Generated { content: table::insert(document, &text)?, path });
    }
    Ok(generated)
}
