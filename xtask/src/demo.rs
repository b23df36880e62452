//! `demo`: under construction.
/// Runs.
pub fn run() -> anyhow::Result<()> {
    Ok(())
}
