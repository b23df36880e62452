//! `answer`, the program that runs bundles on burn.

use super::packager::build;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program in `folder`: `PANNIER_BURN`, else it is built once, in the profile of these tests and for the CPU alone. It takes the
/// Vulkan driver that `PANNIER_VULKAN_DRIVER` names, and no browser beside it does.
pub fn answer_command(folder: &Path) -> Command {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let binary = BINARY.get_or_init(|| match std::env::var_os("PANNIER_BURN") {
        Some(path) => PathBuf::from(path),
        None => build(&["-p", "pannier-engine-burn", "--example", "answer"]),
    });
    let mut command = Command::new(binary);
    command.current_dir(folder);
    if let Some(driver) = std::env::var_os("PANNIER_VULKAN_DRIVER") {
        command.env("VK_DRIVER_FILES", driver);
    }
    command
}
