use super::*;
use crate::alerts::rules::Severity;
use crate::store::Filter;

fn rule(for_ms: i64) -> Rules {
    let limit = Limit { above: true, at: 10.0, clear: 8.0 };
    let rule = Rule {
        name: "slow".to_owned(),
        severity: Severity::Warning,
        filter: Filter::default(),
        for_ms,
        webhooks: vec!["ops".to_owned()],
        condition: Condition::Threshold { metric: Metric::LatencyP99Ms, limit, window_ms: 60_000 },
    };
    Rules { rules: vec![rule], webhooks: Vec::new() }
}

/// Plays values, one a second, and writes down when alerts begin (`+`) and end (`-`).
fn play(for_ms: i64, values: &[f64]) -> String {
    let (rules, mut states, mut said) = (rule(for_ms), HashMap::new(), String::new());
    let Condition::Threshold { limit, .. } = rules.rules[0].condition.clone() else { unreachable!() };
    for (at, value) in values.iter().enumerate() {
        let finding = compare(json!({ "model": "m" }), &limit, *value, &named(Metric::LatencyP99Ms));
        let findings = BTreeMap::from([(("slow".to_owned(), finding.subject.to_string()), finding)]);
        let mut mark = '.';
        for (key, step) in changes(&rules, &states, findings, 1000 * at as i64) {
            match step {
                Step::Forget => drop(states.remove(&key)),
                Step::Keep(state) => drop(states.insert(key, state)),
                Step::Change(Change::Begin(alert, webhooks)) => {
                    assert_eq!(webhooks, ["ops"]);
                    mark = '+';
                    states.insert(key, State { since_ms: alert.started_ms, alert: Some(7) });
                }
                Step::Change(Change::End(id, ..)) => {
                    assert_eq!(id, 7);
                    mark = '-';
                    states.remove(&key);
                }
            }
        }
        said.push(mark);
    }
    said
}

#[test]
fn an_alert_begins_after_a_while_and_ends_below_where_it_began() {
    for (for_ms, values, expected) in [
        (0, &[9.0, 11.0, 9.0, 11.0, 8.0, 9.0][..], ".+..-."),
        (2000, &[11.0, 11.0, 11.0, 11.0, 7.0], "..+.-"),
        // A dip on the way starts the wait anew.
        (2000, &[11.0, 11.0, 9.0, 11.0, 11.0, 11.0], ".....+"),
    ] {
        assert_eq!(play(for_ms, values), expected, "{for_ms} ms, {values:?}");
    }
}

#[test]
fn an_alert_of_a_rule_that_is_gone_ends() {
    let states = HashMap::from([(("old".to_owned(), "{}".to_owned()), State { since_ms: 0, alert: Some(3) })]);
    let steps = changes(&rule(0), &states, BTreeMap::new(), 5);
    assert!(matches!(&steps[..], [(_, Step::Change(Change::End(3, ..)))]), "{steps:?}");
}

#[test]
fn numbers_are_told_in_units_that_people_read() {
    let told = |metric, above, value, at| {
        let limit = Limit { above, at, clear: at };
        compare(json!({}), &limit, value, &named(metric)).message
    };
    assert_eq!(told(Metric::LatencyP99Ms, true, 261.2, 250.0), "latency, p99, is 261 ms; more than 250 ms is too much");
    assert_eq!(
        told(Metric::ErrorRate, true, 0.031, 0.02),
        "share of failed runs is 3.1 %; more than 2.0 % is too much"
    );
    assert_eq!(told(Metric::MemoryPeakBytes, true, 7.1e6, 5e6), "peak memory is 7.1 MB; more than 5.0 MB is too much");
    assert_eq!(told(Metric::RunsPerS, false, 0.5, 1.0), "traffic is 0.500 runs/s; less than 1.0 runs/s is too little");
}
