//! What every payload says of the device and the service.

use crate::config::{self, ConfigError};
use crate::spool::known_instance;
use pannier_telemetry::Recorder;
use pannier_telemetry::otlp::{Export, Session};
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// A payload that is shown instead of sent.
#[derive(Debug)]
pub struct Payload {
    device: Device,
    start_unix_ns: u64,
}

impl Payload {
    /// The payload of a session that begins now, on this device.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn from_env() -> Result<Payload, ConfigError> {
        let (resource, spool) = config::identity_from_env()?;
        let instance = spool.as_deref().and_then(known_instance).unwrap_or_else(new_instance);
        Ok(Payload { device: Device::new(&resource, instance), start_unix_ns: now_unix_ns() })
    }

    /// What would be sent of this recorder if its window ended now, as `http/json` sends it, with line breaks.
    pub fn of(&self, recorder: &Recorder) -> String {
        let session = Session { start_unix_ns: self.start_unix_ns, snapshot: recorder.close_window() };
        let export = Export {
            resource: self.device.attributes.clone(),
            time_unix_ns: now_unix_ns(),
            sessions: vec![session],
            delivery: None,
        };
        // Texts, numbers and lists: it always serialises.
        serde_json::to_string_pretty(&export.request()).unwrap_or_default()
    }
}

/// The device and the service that runs on it, as attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Names and values, those of the operator before those that are known.
    pub(crate) attributes: Vec<(String, String)>,
}

impl Device {
    /// What is known of this machine, with the operator's attributes.
    pub(crate) fn new(resource: &[(String, String)], instance: String) -> Device {
        let mut attributes = resource.to_vec();
        let known = [
            ("service.name", "pannier".to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", instance),
            ("host.arch", arch(std::env::consts::ARCH).to_owned()),
            ("os.type", os(std::env::consts::OS).to_owned()),
            ("telemetry.sdk.name", "pannier".to_owned()),
            ("telemetry.sdk.language", "rust".to_owned()),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        for (key, value) in known {
            if !attributes.iter().any(|(given, _)| given == key) {
                attributes.push((key.to_owned(), value));
            }
        }
        Device { attributes }
    }
}

/// OpenTelemetry's word for an architecture.
fn arch(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// OpenTelemetry's word for an operating system.
fn os(rust: &str) -> &str {
    match rust {
        "macos" | "ios" => "darwin",
        other => other,
    }
}

/// A random name for this device (a UUID of version 4).
pub(crate) fn new_instance() -> String {
    let (one, two) = (random(), random());
    let (two, version) = ((two & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000, (one & 0xfff) | 0x4000);
    format!(
        "{:08x}-{:04x}-{version:04x}-{:04x}-{:012x}",
        one >> 32,
        (one >> 16) & 0xffff,
        two >> 48,
        two & 0xffff_ffff_ffff
    )
}

/// A number that another process does not have: the keys of hash maps are random.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

pub(crate) fn now_unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
