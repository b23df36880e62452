//! Compares the rules with what is known, and says what begins and what ends.

use super::State;
use super::rules::{Condition, Limit, Metric, Rule, Rules};
use crate::Error;
use crate::app::App;
use crate::series::Cohort;
use crate::store::{Alert, Device, Range, shared};
use crate::view::Totals;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};

/// What a rule finds about one subject.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    subject: serde_json::Value,
    level: Level,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The condition holds.
    Breach,
    /// Neither: an alert that is on stays on, one that is not does not begin.
    Between,
    /// It does not hold.
    Clear,
}

/// Something that has to be written down and sent.
#[derive(Debug, PartialEq)]
enum Change {
    Begin(Alert, Vec<String>),
    End(i64, Alert, Vec<String>),
}

/// Evaluates all rules once, and stores what changed.
///
/// # Errors
/// What the store says. What was not stored is found again the next time.
pub fn watch(app: &App) -> Result<(), Error> {
    let now_ms = app.clock.now_ms();
    let rules = app.alerts.rules();
    let findings = findings(app, &rules, now_ms)?;
    let changes = changes(&rules, &app.alerts.lock(), findings, now_ms);
    for (key, change) in changes {
        let state = match change {
            Step::Forget => None,
            Step::Keep(state) => Some(state),
            Step::Change(Change::Begin(alert, webhooks)) => {
                let calls = calls(&webhooks, &alert, "firing");
                let since_ms = alert.started_ms;
                let id = app.ingest.call_blocking(move |writer| writer.begin_alert(&alert, &calls))?;
                Some(State { since_ms, alert: Some(id) })
            }
            Step::Change(Change::End(id, alert, webhooks)) => {
                let calls = calls(&webhooks, &alert, "resolved");
                app.ingest.call_blocking(move |writer| writer.end_alert(id, now_ms, &calls))?;
                None
            }
        };
        let mut states = app.alerts.lock();
        match state {
            Some(state) => states.insert(key, state),
            None => states.remove(&key),
        };
    }
    Ok(())
}

/// What becomes of a rule's state about a subject.
#[derive(Debug, PartialEq)]
enum Step {
    Forget,
    Keep(State),
    Change(Change),
}

type Key = (String, String);

fn changes(
    rules: &Rules,
    states: &HashMap<Key, State>,
    findings: BTreeMap<Key, Finding>,
    now_ms: i64,
) -> Vec<(Key, Step)> {
    let mut steps = Vec::new();
    let rule_of = |name: &str| rules.rules.iter().find(|rule| rule.name == name);
    for (key, finding) in &findings {
        let Some(rule) = rule_of(&key.0) else { continue };
        let alert = |started_ms| Alert {
            id: 0,
            rule: rule.name.clone(),
            subject: finding.subject.clone(),
            severity: rule.severity.name().to_owned(),
            message: finding.message.clone(),
            started_ms,
            ended_ms: None,
            acknowledged_by: None,
        };
        let step = match (states.get(key), finding.level) {
            (Some(State { alert: Some(id), since_ms }), Level::Clear) => {
                Step::Change(Change::End(*id, alert(*since_ms), rule.webhooks.clone()))
            }
            (Some(State { alert: Some(_), .. }), _) | (None, Level::Between | Level::Clear) => continue,
            (Some(State { alert: None, .. }), Level::Between | Level::Clear) => Step::Forget,
            (state, Level::Breach) => {
                let since_ms = state.map_or(now_ms, |state| state.since_ms);
                if now_ms - since_ms >= rule.for_ms {
                    Step::Change(Change::Begin(alert(since_ms), rule.webhooks.clone()))
                } else {
                    Step::Keep(State { since_ms, alert: None })
                }
            }
        };
        steps.push((key.clone(), step));
    }
    // What no rule speaks of any more is over: the rule is gone, or its subject was deleted.
    for (key, state) in states {
        let rule = rule_of(&key.0);
        let vanishes = rule.is_none_or(|rule| matches!(rule.condition, Condition::Silence { .. }));
        match (findings.contains_key(key), state.alert) {
            (false, None) => steps.push((key.clone(), Step::Forget)),
            (false, Some(id)) if vanishes => {
                let alert = Alert {
                    id,
                    rule: key.0.clone(),
                    subject: serde_json::from_str(&key.1).unwrap_or_default(),
                    severity: rule.map_or("info", |rule| rule.severity.name()).to_owned(),
                    message: "no rule speaks of this any more".to_owned(),
                    started_ms: state.since_ms,
                    ended_ms: Some(now_ms),
                    acknowledged_by: None,
                };
                let webhooks = rule.map(|rule| rule.webhooks.clone()).unwrap_or_default();
                steps.push((key.clone(), Step::Change(Change::End(id, alert, webhooks))));
            }
            _ => {}
        }
    }
    steps
}

fn calls(webhooks: &[String], alert: &Alert, status: &str) -> Vec<(String, String)> {
    let body = json!({
        "schema": "pannier.dev/alert/v1",
        "status": status,
        "rule": alert.rule,
        "severity": alert.severity,
        "message": alert.message,
        "subject": alert.subject,
        "started_ms": alert.started_ms,
    })
    .to_string();
    webhooks.iter().map(|webhook| (webhook.clone(), body.clone())).collect()
}

fn findings(app: &App, rules: &Rules, now_ms: i64) -> Result<BTreeMap<Key, Finding>, Error> {
    let devices: Vec<Device> = shared(&app.store.devices).values().cloned().collect();
    let mut findings = BTreeMap::new();
    // Rules with the same window read the same rows.
    let mut windows: BTreeMap<i64, BTreeMap<Cohort, Totals>> = BTreeMap::new();
    for rule in &rules.rules {
        let found = match &rule.condition {
            Condition::Threshold { window_ms, .. } | Condition::Drift { window_ms, .. } => {
                let cohorts = match windows.entry(*window_ms) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(cohorts(app, Range { from_ms: now_ms - window_ms, to_ms: now_ms + 600_000 })?)
                    }
                };
                of_cohorts(rule, cohorts, *window_ms)
            }
            Condition::Staleness { older_than_s } => of_ages(rule, &devices, *older_than_s),
            Condition::Silence { after_ms } => of_silence(rule, &devices, *after_ms, now_ms, app.started_ms),
        };
        findings.extend(found.into_iter().map(|finding| ((rule.name.clone(), finding.subject.to_string()), finding)));
    }
    Ok(findings)
}

fn cohorts(app: &App, range: Range) -> Result<BTreeMap<Cohort, Totals>, Error> {
    app.store.read(|reader| {
        let mut cohorts: BTreeMap<Cohort, Totals> = BTreeMap::new();
        reader.summaries(range, &crate::store::Filter::default(), |row| {
            let totals = cohorts.entry((*row.cohort).clone()).or_default();
            for (id, value) in &row.points {
                if let Some(series) = reader.series(*id) {
                    totals.add(&series, value);
                }
            }
            Ok(())
        })?;
        Ok(cohorts)
    })
}

fn of_cohorts(rule: &Rule, cohorts: &BTreeMap<Cohort, Totals>, window_ms: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (cohort, totals) in cohorts.iter().filter(|(cohort, _)| rule.filter.takes(cohort)) {
        match &rule.condition {
            Condition::Threshold { metric, limit, .. } => {
                if let Some(value) = read(*metric, totals, window_ms) {
                    findings.push(compare(json!(cohort), limit, value, &named(*metric)));
                }
            }
            Condition::Drift { tensor, method, limit, .. } => {
                for ((_, name), methods) in &totals.scores {
                    if tensor.as_ref().is_some_and(|tensor| tensor != name) {
                        continue;
                    }
                    let scores =
                        methods.iter().filter(|(each, _)| method.as_ref().is_none_or(|method| method == *each));
                    let Some(value) = scores.map(|(_, gauge)| gauge.mean()).reduce(f64::max) else { continue };
                    let mut subject = json!(cohort);
                    subject["tensor"] = json!(name);
                    let drift = Quantity { what: format!("drift of {name}"), unit: "", scale: 1.0 };
                    findings.push(compare(subject, limit, value, &drift));
                }
            }
            Condition::Staleness { .. } | Condition::Silence { .. } => {}
        }
    }
    findings
}

fn read(metric: Metric, totals: &Totals, window_ms: i64) -> Option<f64> {
    match metric {
        Metric::LatencyP50Ms => totals.latency_ms(0.5),
        Metric::LatencyP95Ms => totals.latency_ms(0.95),
        Metric::LatencyP99Ms => totals.latency_ms(0.99),
        Metric::QueueP99Ms => totals.queue_ms(0.99),
        Metric::ErrorRate => totals.error_rate(),
        Metric::RunsPerS => Some(totals.runs as f64 / (window_ms as f64 / 1e3)),
        Metric::MemoryPeakBytes => totals.memory.map(|memory| memory.max),
        Metric::DroppedExports => Some(totals.dropped),
    }
}

/// How a number is told to people.
struct Quantity {
    what: String,
    /// With the space in front of it.
    unit: &'static str,
    /// How many of the unit one of the number is.
    scale: f64,
}

fn named(metric: Metric) -> Quantity {
    let (what, unit, scale) = match metric {
        Metric::LatencyP50Ms => ("latency, p50,", " ms", 1.0),
        Metric::LatencyP95Ms => ("latency, p95,", " ms", 1.0),
        Metric::LatencyP99Ms => ("latency, p99,", " ms", 1.0),
        Metric::QueueP99Ms => ("waiting before a run, p99,", " ms", 1.0),
        Metric::ErrorRate => ("share of failed runs", " %", 100.0),
        Metric::RunsPerS => ("traffic", " runs/s", 1.0),
        Metric::MemoryPeakBytes => ("peak memory", " MB", 1e-6),
        Metric::DroppedExports => ("number of lost reports", "", 1.0),
    };
    Quantity { what: what.to_owned(), unit, scale }
}

fn compare(subject: serde_json::Value, limit: &Limit, value: f64, quantity: &Quantity) -> Finding {
    let level = match () {
        () if limit.is_breached(value) => Level::Breach,
        () if limit.is_clear(value) => Level::Clear,
        () => Level::Between,
    };
    let Quantity { what, unit, scale } = quantity;
    let [value, at] = [value, limit.at].map(|number| format!("{}{unit}", short(number * scale)));
    let limit =
        if limit.above { format!("more than {at} is too much") } else { format!("less than {at} is too little") };
    Finding { subject, level, message: format!("{what} is {value}; {limit}") }
}

/// Three digits are enough to read.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn of_ages(rule: &Rule, devices: &[Device], older_than_s: f64) -> Vec<Finding> {
    let mut oldest: BTreeMap<&Cohort, f64> = BTreeMap::new();
    for device in devices.iter().filter(|device| rule.filter.takes(&device.cohort)) {
        let age_s = device.newest.age_s.unwrap_or(0.0);
        oldest.entry(&device.cohort).and_modify(|oldest| *oldest = oldest.max(age_s)).or_insert(age_s);
    }
    let finding = |(cohort, age_s): (&Cohort, f64)| Finding {
        subject: json!(cohort),
        level: if age_s > older_than_s { Level::Breach } else { Level::Clear },
        message: format!("the bundle is {:.0} days old", age_s / 86_400.0),
    };
    oldest.into_iter().map(finding).collect()
}

/// While the monitor was off, nobody could be heard: silence is counted from its start at the earliest.
fn of_silence(rule: &Rule, devices: &[Device], after_ms: i64, now_ms: i64, started_ms: i64) -> Vec<Finding> {
    let mut heard: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for device in devices.iter().filter(|device| rule.filter.takes(&device.cohort)) {
        let last = device.newest.received_ms.max(started_ms);
        let key = (device.source.fleet.as_str(), device.source.device());
        heard.entry(key).and_modify(|heard| *heard = (*heard).max(last)).or_insert(last);
    }
    let finding = |((fleet, device), heard_ms): ((&str, &str), i64)| Finding {
        subject: json!({ "fleet": fleet, "device": device }),
        level: if now_ms - heard_ms > after_ms { Level::Breach } else { Level::Clear },
        message: format!("`{device}` has said nothing for {} min", (now_ms - heard_ms) / 60_000),
    };
    heard.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests;
