//! A Vulkan driver that is a program on the CPU, Mesa's lavapipe: in place of a GPU for the tests of burn.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::debian;

/// The loader, and the drivers with what they need.
const PACKAGES: [&str; 2] = ["libvulkan1", "mesa-vulkan-drivers"];

/// Where drivers are described, each in a file that names its library.
const DRIVERS: &str = "/usr/share/vulkan/icd.d";

/// Installs it unless it is there. Returns the file that describes it, for `VK_DRIVER_FILES`: the loader takes no other driver then.
pub fn ensure() -> Result<PathBuf> {
    if let Some(driver) = driver() {
        eprintln!("  lavapipe is installed: {}", driver.display());
        return Ok(driver);
    }
    debian::install(&PACKAGES)?;
    driver().with_context(|| format!("the packages {} were installed, but there is no lavapipe", PACKAGES.join(", ")))
}

fn driver() -> Option<PathBuf> {
    let files = fs::read_dir(Path::new(DRIVERS)).ok()?.flatten().map(|file| file.path());
    let is_ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"));
    files.filter(is_ours).min()
}
