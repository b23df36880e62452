//! Packages of Debian: the machine's own suite's, installed, and single files of others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::environment::apt_get;
use crate::shell;

/// Installs packages of the machine's own suite.
pub fn install(packages: &[&str]) -> Result<()> {
    let (Some(mut update), Some(mut install)) = (apt_get(), apt_get()) else {
        bail!("apt-get cannot be used here: install the packages {}", packages.join(", "));
    };
    shell::run(update.arg("update"))?;
    shell::run(install.args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Downloads a package, as `name` or `name=version`, from the first of these suites that holds it, on the mirror that apt
/// already uses. The system's own lists stay as they are, and nothing is installed.
pub fn fetch(package: &str, suites: &[&str], work: &Path) -> Result<PathBuf> {
    let format = ["indextargets", "--format", "$(SITE)", "Created-By: Packages"];
    let sites = shell::output(Command::new("apt-get").args(format)).context("this needs a Debian-like machine")?;
    let mut sites: Vec<&str> = sites.lines().filter(|site| !site.contains("security")).collect();
    sites.sort_unstable();
    sites.dedup();
    for site in sites {
        for suite in suites {
            match fetch_from(site, suite, package, work) {
                Ok(file) => return Ok(file),
                Err(error) => eprintln!("  not in {suite}: {}", first_line(&error)),
            }
        }
    }
    bail!("no suite of apt's mirror holds {package}")
}

fn fetch_from(site: &str, suite: &str, package: &str, work: &Path) -> Result<PathBuf> {
    let folder = work.join(suite);
    fs::create_dir_all(folder.join("lists/partial"))?;
    let list = folder.join("one.sources");
    let entry = format!(
        "Types: deb\nURIs: {site}\nSuites: {suite}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    );
    fs::write(&list, entry)?;
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.arg("-o").arg(format!("Dir::Etc::sourcelist={}", list.display()));
        command.args(["-o", "Dir::Etc::sourceparts=-", "-o"]);
        command.arg(format!("Dir::State::Lists={}", folder.join("lists").display())).current_dir(&folder);
        command
    };
    shell::output(apt_get().arg("update"))?;
    shell::output(apt_get().arg("download").arg(package))?;
    let files = fs::read_dir(&folder)?.flatten().map(|file| file.path());
    files.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb")).context("apt-get left no package")
}

fn first_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let interesting = text.lines().find(|line| line.starts_with("E:")).or(text.lines().next());
    interesting.unwrap_or_default().to_owned()
}
