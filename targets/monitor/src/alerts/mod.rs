//! Alerts: rules, what they say now, and webhooks.

mod evaluate;
pub mod rules;
mod webhook;

pub use evaluate::watch;
pub use webhook::{agent, deliver};

use crate::Error;
use crate::store::{Alert, exclusive, shared};
use rules::Rules;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

/// Rules, and what they say now.
#[derive(Debug, Default)]
pub struct Alerts {
    rules: RwLock<Arc<Rules>>,
    states: Mutex<HashMap<(String, String), State>>,
}

/// What a rule says about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// Since when the condition holds.
    since_ms: i64,
    /// Number of the alert, once it held for long enough.
    alert: Option<i64>,
}

impl Alerts {
    /// Rules of a file, and the alerts that were on when the monitor last ran.
    ///
    /// # Errors
    /// See [`rules::load`].
    pub fn load(path: &Path, open: Vec<Alert>) -> Result<Alerts, Error> {
        let alerts = Alerts { rules: RwLock::new(Arc::new(rules::load(path)?)), states: Mutex::default() };
        let mut states = HashMap::new();
        for alert in open {
            let state = State { since_ms: alert.started_ms, alert: Some(alert.id) };
            states.insert((alert.rule, alert.subject.to_string()), state);
        }
        *alerts.lock() = states;
        Ok(alerts)
    }

    /// The rules that are in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&shared(&self.rules))
    }

    /// Reads the file again. When it is wrong, the old rules stay.
    ///
    /// # Errors
    /// See [`rules::load`].
    pub fn reload(&self, path: &Path) -> Result<usize, Error> {
        let rules = rules::load(path)?;
        let count = rules.rules.len();
        *exclusive(&self.rules) = Arc::new(rules);
        Ok(count)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), State>> {
        self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
