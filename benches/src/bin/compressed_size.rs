//! Prints the size of a file after `zstd -19`, one thread.

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("usage: compressed_size FILE")?;
    let content = std::fs::read(&path).with_context(|| path.clone())?;
    println!("{}", zstd::bulk::compress(&content, 19)?.len());
    Ok(())
}
