//! Drives the `packager` binary.

use super::{project_root, sandbox};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// What a finished command left behind.
#[derive(Debug)]
pub struct Ran {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the exit status is this one.
    #[track_caller]
    pub fn expect(self, status: i32) -> Ran {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in stdout:\n{}", self.stdout))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `packager` with these arguments in `folder` and waits for it.
pub fn packager<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Ran {
    packager_command(folder).args(arguments).output().expect("packager starts").into()
}

/// A `packager` command in `folder`, for tests that need more than arguments. Its environment holds no setting of the
/// person who runs the tests: no colour, no terminal width, no `PACKAGER_*`, no cache of theirs.
pub fn packager_command(folder: &Path) -> Command {
    let mut command = Command::new(packager_binary());
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("PACKAGER_") || name_text.starts_with("OTEL_") {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1").env("COLUMNS", "120").env("LC_ALL", "C.UTF-8");
    command.env("XDG_CACHE_HOME", sandbox::cache_home());
    command
}

/// The binary: `PANNIER_PACKAGER`, else it is built once, in the profile of these tests.
pub fn packager_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("PANNIER_PACKAGER") {
        Some(path) => PathBuf::from(path),
        None => build(&["-p", "pannier-packager", "--bin", "packager"]),
    })
}

/// Builds a program of this project, which these options of Cargo name.
pub(super) fn build(options: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(project_root()).stderr(Stdio::inherit());
    command.arg("build").args(options).arg("--message-format=json");
    // Into the folder that these tests lie in (TARGET/PROFILE/deps/it-...), or everything would be compiled again.
    let executable = std::env::current_exe().expect("the path of this program");
    command.env("CARGO_TARGET_DIR", executable.ancestors().nth(3).expect("tests lie in the target folder"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().expect("cargo starts");
    assert!(output.status.success(), "{command:?} fails");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executable.expect("cargo names the executable")
}
