//! Calls of webhooks: kept in the store until they were made, tried again with growing pauses.

use super::rules::Webhook;
use crate::Error;
use crate::app::App;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The first pause. Each next one is twice as long.
const FIRST_PAUSE_MS: i64 = 5_000;
/// The longest pause.
const LONGEST_PAUSE_MS: i64 = 3_600_000;
/// After so many tries, about a day, a call is given up.
const TRIES: u32 = 32;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The receiver is sure that it does not want it.
    Refused,
    Failed,
}

/// Makes the calls that are due.
///
/// # Errors
/// What the store says.
pub fn deliver(app: &App, agent: &ureq::Agent) -> Result<(), Error> {
    let now_ms = app.clock.now_ms();
    let rules = app.alerts.rules();
    for delivery in app.ingest.call_blocking(move |writer| writer.due_deliveries(now_ms))? {
        let webhook = rules.webhooks.iter().find(|webhook| webhook.name == delivery.webhook);
        // A webhook that is no longer in the rules is not wanted any more.
        let outcome = webhook.map_or(Outcome::Refused, |webhook| call(agent, webhook, &delivery.body));
        let attempts = delivery.attempts + 1;
        let next_ms = match outcome {
            Outcome::Failed if attempts < TRIES => Some(now_ms + pause_ms(attempts)),
            Outcome::Done | Outcome::Refused | Outcome::Failed => None,
        };
        app.counters.webhooks.fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Done {
            app.counters.webhooks_failed.fetch_add(1, Ordering::Relaxed);
            if next_ms.is_none() {
                app.counters.webhooks_dropped.fetch_add(1, Ordering::Relaxed);
                eprintln!("warning: webhook `{}` did not take an alert, which is given up", delivery.webhook);
            }
        }
        app.ingest.call_blocking(move |writer| writer.delivered(delivery.id, next_ms))?;
    }
    Ok(())
}

/// What makes calls.
#[must_use]
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into()
}

fn call(agent: &ureq::Agent, webhook: &Webhook, body: &str) -> Outcome {
    match agent.post(&webhook.url).header("content-type", "application/json").send(body) {
        Ok(response) => match response.status().as_u16() {
            200..300 => Outcome::Done,
            408 | 429 | 500.. => Outcome::Failed,
            _ => Outcome::Refused,
        },
        Err(_) => Outcome::Failed,
    }
}

fn pause_ms(attempts: u32) -> i64 {
    FIRST_PAUSE_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(LONGEST_PAUSE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses: Vec<i64> = [1, 2, 3, 10, 11, 31].map(|attempts| pause_ms(attempts) / 1000).to_vec();
        assert_eq!(pauses, [5, 10, 20, 2560, 3600, 3600]);
    }
}
