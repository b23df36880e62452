//! Memory of this process, as Linux counts it.

use anyhow::{Context as _, Result};
use std::fs;

/// Bytes resident now.
///
/// # Errors
/// `/proc/self/status` cannot be read.
pub fn resident_bytes() -> Result<u64> {
    field("/proc/self/status", "VmRSS:")
}

/// Most bytes that were resident since [`reset_peak`], or since the start.
///
/// # Errors
/// `/proc/self/status` cannot be read.
pub fn peak_bytes() -> Result<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Starts the peak anew from what is resident now.
///
/// # Errors
/// `/proc/self/clear_refs` cannot be written.
pub fn reset_peak() -> Result<()> {
    // 5: "reset the peak resident set size to the current value", proc(5).
    fs::write("/proc/self/clear_refs", "5").context("/proc/self/clear_refs")
}

/// Bytes in pages that belong to no file: the heap, and every page of a copy-on-write mapping that was written to.
///
/// This and not `Private_Dirty`, which also counts a page of the shared image itself while only one mapping shows it.
///
/// # Errors
/// `/proc/self/smaps_rollup` cannot be read.
pub fn private_bytes() -> Result<u64> {
    field("/proc/self/smaps_rollup", "Anonymous:")
}

/// Bytes of the page tables, which each mapping of a shared image has for itself.
///
/// # Errors
/// `/proc/self/status` cannot be read.
pub fn page_table_bytes() -> Result<u64> {
    field("/proc/self/status", "VmPTE:")
}

/// Page faults of this thread so far that needed no reading from a disk.
///
/// # Errors
/// `/proc/thread-self/stat` cannot be read.
pub fn page_faults() -> Result<u64> {
    let stat = fs::read_to_string("/proc/thread-self/stat").context("/proc/thread-self/stat")?;
    // The second field, a name in brackets, may hold spaces; `minflt` is the tenth, proc_pid_stat(5).
    let behind_name = stat.rsplit_once(')').context("/proc/thread-self/stat: no name")?.1;
    let minflt = behind_name.split_whitespace().nth(7).context("/proc/thread-self/stat: no minflt")?;
    minflt.parse().context("/proc/thread-self/stat: minflt")
}

fn field(path: &str, name: &str) -> Result<u64> {
    let content = fs::read_to_string(path).context(path.to_owned())?;
    let line =
        content.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("{path}: no {name}"))?;
    let kibibytes: u64 =
        line.trim().trim_end_matches("kB").trim().parse().with_context(|| format!("{path}: {name}"))?;
    Ok(kibibytes * 1024)
}
