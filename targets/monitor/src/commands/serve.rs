//! `pannier-monitor serve`

use super::{Data, size, time};
use crate::store::Keep;
use crate::{Config, Error, Monitor};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct ServeArguments {
    #[command(flatten)]
    data: Data,
    /// Address to listen on. Any but this machine's own needs tokens
    #[arg(long, env = "PANNIER_MONITOR_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:4318")]
    listen: SocketAddr,
    /// How long reports are kept as they came
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = time)]
    keep_raw: Duration,
    /// How long one report per 5 minutes is kept
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    keep_5min: Duration,
    /// How long one report per hour is kept
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
    keep_hour: Duration,
    /// How long the sums over all devices of a model are kept, per hour
    #[arg(long, value_name = "TIME", default_value = "400d", value_parser = time)]
    keep_summary: Duration,
    /// Largest body of a request, as it comes
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = size)]
    max_body: u64,
    /// Largest body of a request, decompressed
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size)]
    max_decompressed: u64,
    /// Largest size of the store; beyond it, devices are told to come again
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_store: Option<u64>,
    /// A device that has said nothing for so long is shown as silent
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    silent_after: Duration,
    /// Do not read the whole store at the start to see whether it is intact
    #[arg(long)]
    no_check: bool,
}

pub fn run(arguments: ServeArguments) -> Result<(), Error> {
    let monitor = Monitor::start(arguments.config())?;
    let url = format!("http://{}", monitor.address());
    let text =
        format!("pannier-monitor listens on {url}\n  devices: OTEL_EXPORTER_OTLP_ENDPOINT={url}\n  people:  {url}/\n");
    // Whoever started this may have read the first line and closed the pipe: no reason to end.
    let _ = std::io::stdout().write_all(text.as_bytes());
    wait()?;
    eprintln!("ending: requests in progress are finished");
    monitor.stop();
    Ok(())
}

impl ServeArguments {
    fn config(self) -> Config {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        Config {
            listen: self.listen,
            keep: Keep {
                raw_ms: ms(self.keep_raw),
                fine_ms: ms(self.keep_5min),
                coarse_ms: ms(self.keep_hour),
                summary_ms: ms(self.keep_summary),
            },
            max_body_bytes: bytes(self.max_body),
            max_decompressed_bytes: bytes(self.max_decompressed),
            max_store_bytes: self.max_store,
            silent_after_ms: ms(self.silent_after),
            check_store: !self.no_check,
            ..Config::new(self.data.data)
        }
    }
}

/// Waits for Ctrl-C or the signal that service managers send.
fn wait() -> Result<(), Error> {
    let failed = |source| Error::System { what: "cannot wait for signals".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        #[cfg(unix)]
        {
            let mut terminate =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted.map_err(failed),
                _ = terminate.recv() => Ok(()),
            }
        }
        #[cfg(not(unix))]
        tokio::signal::ctrl_c().await.map_err(failed)
    })
}
