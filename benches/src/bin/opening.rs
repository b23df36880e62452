//! Opens a bundle as a runtime does (signature, policy, digests, decompression into place) and prints JSON: how much
//! memory that takes beyond the content itself, and how fast it is with each zstd decoder.

use anyhow::{Context as _, Result};
use pannier_benches::memory;
use pannier_bundle::{Bundle, Decoder, FileSource, Limits, PublicKey, Trust};
use std::time::{Duration, Instant};

/// How long each decoder is measured; the fastest pass counts.
const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bundle), Some(key)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: opening BUNDLE KEY.pub");
    };
    let trust = Trust::Keys(vec![PublicKey::from_pem(&std::fs::read_to_string(&key).context(key)?)?]);
    // A peak is a matter of one pass in a fresh process: this one comes first.
    memory::reset_peak()?;
    let before = memory::resident_bytes()?;
    let contents = open(&bundle, &trust, Decoder::default(), Vec::new())?;
    let peak_growth_bytes = memory::peak_bytes()? - before;
    let content_bytes: usize = contents.iter().map(Vec::len).sum();
    drop(contents);
    let document = serde_json::json!({
        "content_bytes": content_bytes,
        "peak_growth_bytes": peak_growth_bytes,
        "zstd_mb_per_s": speed(&bundle, &trust, Decoder::native())?,
        "ruzstd_mb_per_s": speed(&bundle, &trust, Decoder::portable())?,
    });
    println!("{document}");
    Ok(())
}

/// Opens the bundle and reads every section, into `reused` buffers where there are any.
fn open(path: &str, trust: &Trust, decoder: Decoder, mut reused: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    let bundle = Bundle::open(FileSource::open(path)?, &Limits::default())?.with_decoder(decoder);
    let verified = bundle.verify(trust, None)?;
    for (index, section) in verified.header().sections.iter().enumerate() {
        if reused.len() == index {
            reused.push(vec![0; usize::try_from(section.content_bytes)?]);
        }
        verified.read_into(&section.name, &mut reused[index])?;
    }
    Ok(reused)
}

/// Content per second in units of 10^6 bytes, in the fastest pass.
fn speed(path: &str, trust: &Trust, decoder: Decoder) -> Result<f64> {
    let mut buffers = open(path, trust, decoder, Vec::new())?;
    let content_bytes: usize = buffers.iter().map(Vec::len).sum();
    let (started, mut fastest) = (Instant::now(), Duration::MAX);
    while started.elapsed() < MEASURED {
        let pass = Instant::now();
        buffers = open(path, trust, decoder, buffers)?;
        fastest = fastest.min(pass.elapsed());
    }
    Ok(content_bytes as f64 / 1e6 / fastest.as_secs_f64())
}
