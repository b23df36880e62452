//! The rules file: read, checked as a whole, and refused with the line and what was probably meant.

use crate::Error;
use crate::store::Filter;
use crate::suggest;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// All rules, and where to send what they say.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rules {
    /// Rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// Webhooks. Their addresses may hold secrets, so they are not shown.
    pub webhooks: Vec<Webhook>,
}

/// Where to send alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What rules call it.
    pub name: String,
    /// Its address.
    #[serde(skip_serializing)]
    pub url: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rule {
    /// Its name, which no other has.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whom it is about.
    #[serde(flatten)]
    pub filter: Filter,
    /// How long the condition has to hold.
    pub for_ms: i64,
    /// Names of webhooks.
    pub webhooks: Vec<String>,
    /// The condition.
    pub condition: Condition,
}

/// How bad an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// To be looked at.
    #[default]
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// When a rule speaks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Condition {
    /// A number of a cohort is beyond a limit.
    Threshold {
        /// Which number.
        metric: Metric,
        /// Where that is.
        limit: Limit,
        /// Over what time it is taken.
        window_ms: i64,
    },
    /// The drift of a cohort's tensor is above a limit.
    Drift {
        /// Which tensor, or any.
        tensor: Option<String>,
        /// Which score, or any.
        method: Option<String>,
        /// The limit.
        limit: Limit,
        /// Over what time scores are averaged.
        window_ms: i64,
    },
    /// A cohort still runs a bundle that is older than this.
    Staleness {
        /// Age in seconds.
        older_than_s: f64,
    },
    /// A device says nothing for so long.
    Silence {
        /// How long.
        after_ms: i64,
    },
}

/// A number that rules compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    LatencyP50Ms,
    LatencyP95Ms,
    LatencyP99Ms,
    QueueP99Ms,
    ErrorRate,
    RunsPerS,
    MemoryPeakBytes,
    DroppedExports,
}

/// A limit, and where the alert ends: with some distance between them it does not flicker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// Whether more than this is bad, or less.
    pub above: bool,
    /// The limit.
    pub at: f64,
    /// Where it is good again.
    pub clear: f64,
}

impl Limit {
    /// Whether a value is bad.
    #[must_use]
    pub fn is_breached(&self, value: f64) -> bool {
        if self.above { value > self.at } else { value < self.at }
    }

    /// Whether it is good again.
    #[must_use]
    pub fn is_clear(&self, value: f64) -> bool {
        if self.above { value <= self.clear } else { value >= self.clear }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Written>,
    #[serde(default)]
    webhook: Vec<Webhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    kind: Kind,
    #[serde(default)]
    severity: Severity,
    metric: Option<Metric>,
    above: Option<f64>,
    below: Option<f64>,
    clear: Option<f64>,
    #[serde(rename = "for")]
    hold: Option<String>,
    window: Option<String>,
    tensor: Option<String>,
    method: Option<String>,
    older_than: Option<String>,
    after: Option<String>,
    fleet: Option<String>,
    site: Option<String>,
    model: Option<String>,
    version: Option<String>,
    target: Option<String>,
    #[serde(default)]
    webhooks: Vec<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Threshold,
    Drift,
    Staleness,
    Silence,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Threshold => "threshold",
            Kind::Drift => "drift",
            Kind::Staleness => "staleness",
            Kind::Silence => "silence",
        }
    }

    fn takes(self) -> &'static [&'static str] {
        match self {
            Kind::Threshold => &["metric", "above", "below", "clear", "window"],
            Kind::Drift => &["tensor", "method", "above", "clear", "window"],
            Kind::Staleness => &["older_than"],
            Kind::Silence => &["after"],
        }
    }
}

/// What is wrong with a rule, and what to do.
type Wrong = (String, String);

/// Reads the file. None is a file without rules.
///
/// # Errors
/// [`Error::Rules`]: what is wrong, where, and what was probably meant.
pub fn load(path: &Path) -> Result<Rules, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Rules::default()),
        Err(source) => return Err(Error::File { path: path.to_owned(), source }),
    };
    parse(&text).map_err(|(message, hint)| Error::Rules { path: path.to_owned(), message, hint })
}

fn parse(text: &str) -> Result<Rules, Wrong> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
        let hint = suggest::in_message(error.message())
            .unwrap_or_else(|| "`README.md` of the monitor shows a rule of each kind".to_owned());
        (format!("line {line}: {}", error.message()), hint)
    })?;
    let names: Vec<&str> = file.webhook.iter().map(|webhook| webhook.name.as_str()).collect();
    for webhook in &file.webhook {
        let ok = webhook.url.starts_with("https://") || webhook.url.starts_with("http://");
        if !ok || webhook.url.parse::<axum::http::Uri>().map_or(true, |uri| uri.host().is_none()) {
            return Err((
                format!("webhook `{}` has no address", webhook.name),
                "write `url = \"https://...\"`".to_owned(),
            ));
        }
    }
    let mut rules: Vec<Rule> = Vec::new();
    for written in file.rule {
        let name = written.name.clone();
        if rules.iter().any(|rule| rule.name == name) {
            return Err((format!("two rules are called `{name}`"), "give each a name of its own".to_owned()));
        }
        if let Some(unknown) = written.webhooks.iter().find(|webhook| !names.contains(&webhook.as_str())) {
            let hint = suggest::closest(unknown, names.iter().copied())
                .map_or("add a `[[webhook]]` with this name".to_owned(), |close| format!("did you mean `{close}`?"));
            return Err((format!("rule `{name}` names the webhook `{unknown}`, which there is not"), hint));
        }
        rules.push(written.check().map_err(|(message, hint)| (format!("rule `{name}`: {message}"), hint))?);
    }
    Ok(Rules { rules, webhooks: file.webhook })
}

impl Written {
    fn check(self) -> Result<Rule, Wrong> {
        self.check_keys()?;
        let window_ms = self.window.as_deref().map_or(Ok(300_000), |text| duration_ms("window", text))?;
        let condition = match self.kind {
            Kind::Threshold => Condition::Threshold {
                metric: self.metric.ok_or_else(|| missing("metric", "error_rate\" or \"latency_p99_ms"))?,
                limit: self.limit()?,
                window_ms,
            },
            Kind::Drift => Condition::Drift {
                tensor: self.tensor.clone(),
                method: self.method.clone(),
                limit: self.limit()?,
                window_ms,
            },
            Kind::Staleness => {
                let text = self.older_than.as_deref().ok_or_else(|| missing("older_than", "30d"))?;
                Condition::Staleness { older_than_s: duration_ms("older_than", text)? as f64 / 1e3 }
            }
            Kind::Silence => {
                let text = self.after.as_deref().ok_or_else(|| missing("after", "10m"))?;
                Condition::Silence { after_ms: duration_ms("after", text)? }
            }
        };
        Ok(Rule {
            for_ms: self.hold.as_deref().map_or(Ok(0), |text| duration_ms("for", text))?,
            name: self.name,
            severity: self.severity,
            filter: Filter {
                fleet: self.fleet,
                site: self.site,
                model: self.model,
                version: self.version,
                target: self.target,
            },
            webhooks: self.webhooks,
            condition,
        })
    }

    /// A key that says nothing for this kind is a mistake.
    fn check_keys(&self) -> Result<(), Wrong> {
        let written = [
            ("metric", self.metric.is_some()),
            ("above", self.above.is_some()),
            ("below", self.below.is_some()),
            ("clear", self.clear.is_some()),
            ("window", self.window.is_some()),
            ("tensor", self.tensor.is_some()),
            ("method", self.method.is_some()),
            ("older_than", self.older_than.is_some()),
            ("after", self.after.is_some()),
        ];
        let takes = self.kind.takes();
        match written.iter().find(|(key, is_written)| *is_written && !takes.contains(key)) {
            None => Ok(()),
            Some((key, _)) => Err((
                format!("`{key}` says nothing in a rule of kind `{}`", self.kind.name()),
                format!("that kind takes `{}`", takes.join("`, `")),
            )),
        }
    }

    fn limit(&self) -> Result<Limit, Wrong> {
        let (above, at) = match (self.above, self.below) {
            (Some(at), None) => (true, at),
            (None, Some(at)) => (false, at),
            _ => {
                return Err(("it needs `above` or `below`, and not both".to_owned(), "write `above = 0.2`".to_owned()));
            }
        };
        let clear = self.clear.unwrap_or(at);
        if !at.is_finite() || !clear.is_finite() || (if above { clear > at } else { clear < at }) {
            return Err((
                format!("`clear = {clear}` lies beyond the limit {at}, so the alert could never end"),
                format!("write a value {} the limit", if above { "below" } else { "above" }),
            ));
        }
        Ok(Limit { above, at, clear })
    }
}

fn missing(key: &str, example: &str) -> Wrong {
    (format!("`{key}` is missing"), format!("write `{key} = \"{example}\"`"))
}

/// `90s`, `5m`, `12h`, `30d` in milliseconds.
fn duration_ms(key: &str, text: &str) -> Result<i64, Wrong> {
    let wrong = || (format!("`{key} = \"{text}\"` is not a time"), "write `90s`, `5m`, `12h` or `30d`".to_owned());
    duration(text).and_then(|duration| i64::try_from(duration.as_millis()).ok()).ok_or_else(wrong)
}

/// `90s`, `5m`, `12h`, `30d`: a whole number and a unit, ten years at most.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit_s)?;
    (seconds > 0 && seconds <= 3660 * 86_400).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_each_kind() {
        let rules = parse(include_str!("../../examples/rules.toml")).expect("the example");
        let kinds: Vec<&str> = rules
            .rules
            .iter()
            .map(|rule| match rule.condition {
                Condition::Threshold { .. } => "threshold",
                Condition::Drift { .. } => "drift",
                Condition::Staleness { .. } => "staleness",
                Condition::Silence { .. } => "silence",
            })
            .collect();
        assert_eq!(kinds, ["threshold", "threshold", "drift", "staleness", "silence"]);
        assert!(!serde_json::to_string(&rules).expect("JSON").contains("https://"), "addresses are not shown");
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("[[rule]]\nname = \"a\"\nkind = \"treshold\"", "line 3", "did you mean `threshold`?"),
            ("[[rule]]\nname = \"a\"\nkind = \"silence\"\nafterr = \"5m\"", "line 4", "did you mean `after`?"),
            ("[[rule]]\nname = \"a\"\nkind = \"silence\"\nafter = \"5 m\"", "not a time", "90s"),
            ("[[rule]]\nname = \"a\"\nkind = \"silence\"\nabove = 1.0", "`above` says nothing", "`after`"),
            ("[[rule]]\nname = \"a\"\nkind = \"silence\"", "`after` is missing", "10m"),
            (
                "[[rule]]\nname = \"a\"\nkind = \"threshold\"\nmetric = \"eror_rate\"\nabove = 1.0",
                "line 4",
                "did you mean `error_rate`?",
            ),
            ("[[rule]]\nname = \"a\"\nkind = \"threshold\"\nmetric = \"error_rate\"", "above", "above = 0.2"),
            ("[[rule]]\nname = \"a\"\nkind = \"drift\"\nabove = 0.2\nclear = 0.3", "never end", "below the limit"),
            (
                "[[rule]]\nname = \"a\"\nkind = \"drift\"\nabove = 0.2\nwebhooks = [\"op\"]\n[[webhook]]\nname = \"ops\"\nurl = \"https://x.example\"",
                "`op`",
                "did you mean `ops`?",
            ),
            ("[[webhook]]\nname = \"ops\"\nurl = \"ftp://x\"", "no address", "https://"),
            (
                "[[rule]]\nname = \"a\"\nkind = \"drift\"\nabove = 0.2\n[[rule]]\nname = \"a\"\nkind = \"drift\"\nabove = 0.2",
                "two rules",
                "name of its own",
            ),
        ];
        for (text, message, hint) in cases {
            let (found, advice) = parse(text).expect_err(text);
            assert!(found.contains(message), "{text}\ngives: {found}");
            assert!(advice.contains(hint), "{text}\nadvises: {advice}");
        }
    }
}
