//! The page in Chromium: what people see of simulated devices, in light, in dark and on a phone.

use crate::support::{Server, now_ns};
use pannier_monitor::simulate::{Device, Mood, SITES};
use std::process::Command;

#[allow(dead_code, reason = "the integration suite uses the rest")]
#[path = "../../../../tests/it/support/paths.rs"]
mod paths;
#[allow(dead_code, reason = "the integration suite uses the rest")]
#[path = "../../../../tests/it/support/web.rs"]
mod web;

/// Devices of all sites and models.
const DEVICES: u32 = 12;
/// Between two reports.
const STEP_NS: u64 = 180_000_000_000;
/// Reports of each device.
const REPORTS: u64 = 20;

#[test]
fn people_see_what_devices_said() {
    let server = Server::start();
    let begin = now_ns() - REPORTS * STEP_NS;
    for number in 0..DEVICES {
        let mut device = Device::new(number, begin);
        // The second site drifts, and its third device fails often.
        let is_drifting = device.site() == SITES[1];
        for at in 1..=REPORTS {
            let shift = if is_drifting { at as f64 / REPORTS as f64 } else { 0.0 };
            let mood = Mood { shift, failing: if number == 7 { 0.2 } else { 0.0 }, ..Mood::default() };
            let payload = device.report(begin + at * STEP_NS, 180.0, mood, false, true);
            assert_eq!(server.client().post(&payload).status, 200);
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/page.test.mjs");
    let mut node = Command::new(web::node());
    node.args(["--test", "--test-reporter=spec", "--test-timeout=120000", script]);
    node.env("PANNIER_MONITOR", format!("http://{}", server.client().address));
    node.env("PANNIER_NODE_PACKAGES", web::node_packages()).env("PANNIER_CHROMIUM", web::chromium());
    // Of a test runner around this one, Node's would think that it is a child.
    let output = node.env_remove("NODE_TEST_CONTEXT").output().expect("Node starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
