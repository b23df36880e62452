//! Memory of this process, as Linux counts it.

use anyhow::{Context as _, Result};
use std::fs;

/// Bytes resident now.
///
/// # Errors
/// `/proc/self/status` cannot be read.
pub fn resident_bytes() -> Result<u64> {
    status("VmRSS:")
}

/// Most bytes that were resident since [`reset_peak`], or since the start.
///
/// # Errors
/// `/proc/self/status` cannot be read.
pub fn peak_bytes() -> Result<u64> {
    status("VmHWM:")
}

/// Starts the peak anew from what is resident now.
///
/// # Errors
/// `/proc/self/clear_refs` cannot be written.
pub fn reset_peak() -> Result<()> {
    // 5: "reset the peak resident set size to the current value", proc(5).
    fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")
}

fn status(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a field is missing")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("not a number of kB")?;
    Ok(kibibytes * 1024)
}
