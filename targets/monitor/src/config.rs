//! How a monitor is started.

use crate::Error;
use crate::store::Keep;
use crate::tokens::Tokens;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How a monitor is started.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens. Port 0 takes one that is free.
    pub listen: SocketAddr,
    /// Its folder: `monitor.db`, `tokens.toml`, `rules.toml`.
    pub data: PathBuf,
    /// How long what is kept.
    pub keep: Keep,
    /// Largest body, as it comes.
    pub max_body_bytes: usize,
    /// Largest body, decompressed.
    pub max_decompressed_bytes: usize,
    /// Largest size of the store's file.
    pub max_store_bytes: Option<u64>,
    /// A device that says nothing for so long is silent.
    pub silent_after_ms: i64,
    /// Whether the store is checked from end to end when it is opened.
    pub check_store: bool,
}

impl Config {
    /// What is taken where nothing is said.
    #[must_use]
    pub fn new(data: PathBuf) -> Config {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 4318)),
            data,
            keep: Keep::default(),
            max_body_bytes: 4 << 20,
            max_decompressed_bytes: 16 << 20,
            max_store_bytes: None,
            silent_after_ms: 5 * 60_000,
            check_store: true,
        }
    }

    /// The store's file.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.data.join("monitor.db")
    }

    /// The file of tokens.
    #[must_use]
    pub fn tokens_path(&self) -> PathBuf {
        self.data.join("tokens.toml")
    }

    /// The file of rules.
    #[must_use]
    pub fn rules_path(&self) -> PathBuf {
        self.data.join("rules.toml")
    }

    /// Whether this may be started: without tokens only for this machine.
    ///
    /// # Errors
    /// [`Error::Usage`]: it may not.
    pub fn check(&self, tokens: &Tokens) -> Result<(), Error> {
        let missing = match (tokens.has_fleets(), tokens.has_operators()) {
            _ if self.listen.ip().is_loopback() => return Ok(()),
            (true, true) => return Ok(()),
            (false, _) => ("a fleet's", "pannier-monitor token new FLEET"),
            (true, false) => ("an operator's", "pannier-monitor token new --operator NAME"),
        };
        Err(Error::usage(
            format!("{} can be reached from other machines, and {} token was not made yet", self.listen, missing.0),
            format!("run `{}` with the same `--data`, or listen on 127.0.0.1", missing.1),
        ))
    }
}
