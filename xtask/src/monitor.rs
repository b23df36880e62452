//! `demo --monitor`: the monitor with devices that are not there: three sites, one that drifts, one that was offline.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::environment::{cargo, root, target_dir};
use crate::{shell, site};

/// Devices, three sites and four models among them.
const DEVICES: &str = "24";

/// Starts the monitor with a day of history, and goes on until it is interrupted.
pub fn run(port: u32, open: bool) -> Result<()> {
    eprintln!("The monitor (the first build takes some minutes):");
    shell::run(cargo().args(["build", "--package", "pannier-monitor"]))?;
    let program = target_dir()?.join("debug").join("pannier-monitor");
    // In the target folder: Ctrl-C ends this program too, and leaves no time to tidy up.
    let data = target_dir()?.join("monitor-demo");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
    }
    fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
    show(&program, &data, port, open)
}

fn show(program: &Path, data: &Path, port: u32, open: bool) -> Result<()> {
    // Without the webhook, which leads nowhere, and without the patience of somebody who looks once a day.
    let rules = fs::read_to_string(root().join("targets/monitor/examples/rules.toml"))?;
    let rules = rules.replace("webhooks = [\"operations\"]", "").replace("for = \"5m\"", "for = \"30s\"");
    fs::write(data.join("rules.toml"), rules)?;
    let (server, url) = serve(program, data, port)?;
    eprintln!("\nA day of reports from {DEVICES} devices, then one from each every ten seconds:");
    let mut devices = Command::new(program);
    devices.args(["simulate", "--devices", DEVICES, "--url", &url, "--history", "24h", "--interval", "10s"]);
    let mut devices = Ended(devices.stdout(Stdio::null()).spawn().context("the simulated devices")?);
    println!(
        "\nThe monitor is at {url}/ until you press Ctrl-C; the day is filled in within a minute or two. Choose 24 h: Bilbao drifts, and an\n\
         alert says so soon after. Chiba was slow for a while, then offline, and sent later what it had kept. It goes offline for three\n\
         minutes in every ten, and then sends everything that waited."
    );
    site::open_browser(&url, open);
    ensure!(devices.0.wait()?.success(), "the simulated devices have ended");
    drop(server);
    Ok(())
}

/// Starts the monitor and waits until it says where it listens.
fn serve(program: &Path, data: &Path, port: u32) -> Result<(Ended, String)> {
    let mut command = Command::new(program);
    command.arg("serve").arg("--data").arg(data).args(["--listen", &format!("127.0.0.1:{port}")]);
    let mut server = Ended(command.stdout(Stdio::piped()).spawn().context("the monitor could not be started")?);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().context("the monitor says nothing")?).read_line(&mut line)?;
    let url =
        line.split_whitespace().last().filter(|word| word.starts_with("http")).context("the monitor has ended")?;
    Ok((server, url.to_owned()))
}

/// A program that ends with this one.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
