//! Tests that run a part of themselves in a child process: to be killed, to be measured, to crash alone.

use std::process::Command;

/// Set in the environment of such a child.
const MARKER: &str = "PANNIER_TEST_CHILD";

/// Whether this process is a child made by [`this_test`].
pub fn is_child() -> bool {
    std::env::var_os(MARKER).is_some()
}

/// A command that runs this test program again with only one test, by its full name (`module::test`). That test asks
/// [`is_child`] and then does the child's part. Its address space is limited, where the system can do that.
pub fn this_test(name: &str, address_space_bytes: u64) -> Command {
    let mut command = Command::new("sh");
    let limit = address_space_bytes / 1024;
    command.args(["-c", &format!("ulimit -v {limit} 2>/dev/null; exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().expect("the path of this program"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARKER, "1");
    command
}

/// Most memory this process ever held, in bytes (Linux: `VmHWM`). `None` on other systems.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
