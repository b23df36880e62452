//! `pannier-monitor simulate`

use super::time;
use crate::Error;
use crate::simulate::{self, Plan};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct SimulateArguments {
    /// How many devices
    #[arg(long, default_value_t = 30)]
    devices: u32,
    /// How often each reports
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    interval: Duration,
    /// The receiver
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "http://127.0.0.1:4318")]
    url: String,
    /// Token of the fleet
    #[arg(long, env = "PANNIER_MONITOR_TOKEN")]
    token: Option<String>,
    /// End after this time; without it, go on until Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// Report this much of the past first, one report per minute and device
    #[arg(long, value_name = "TIME", value_parser = time)]
    history: Option<Duration>,
    /// Connections that the devices share
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Send JSON instead of protobuf
    #[arg(long)]
    json: bool,
    /// Do not compress
    #[arg(long)]
    no_gzip: bool,
    /// All devices behave; without it, one site drifts and one goes offline and comes back
    #[arg(long)]
    steady: bool,
}

pub fn run(arguments: SimulateArguments) -> Result<(), Error> {
    let report = simulate::run(&Plan {
        devices: arguments.devices,
        interval: arguments.interval,
        url: arguments.url,
        token: arguments.token,
        duration: arguments.duration,
        history: arguments.history,
        connections: arguments.connections.max(1),
        json: arguments.json,
        gzip: !arguments.no_gzip,
        steady: arguments.steady,
    })?;
    println!("{report}");
    Ok(())
}
