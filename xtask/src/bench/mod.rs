//! `bench`: under construction.
pub mod table;
/// Runs.
pub fn run(_rounds: u32, _table_only: bool) -> anyhow::Result<()> {
    Ok(())
}
