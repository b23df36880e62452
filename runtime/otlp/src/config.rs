//! Where to send, how, and how often: OpenTelemetry's environment variables
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use pannier_bundle::Code;
use std::path::PathBuf;
use std::time::Duration;

/// How an exporter works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where payloads are posted, path included.
    pub url: String,
    /// Further headers of each request, such as a bearer token.
    pub headers: Vec<(String, String)>,
    /// How payloads are written.
    pub protocol: Protocol,
    /// Whether they are compressed.
    pub compression: Compression,
    /// Longest that one attempt may take.
    pub timeout: Duration,
    /// Length of a window.
    pub interval: Duration,
    /// Attributes of the service: `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.
    pub resource: Vec<(String, String)>,
    /// The folder in which payloads wait. `None`: they wait in memory, and are lost with the process.
    pub spool: Option<PathBuf>,
    /// Most bytes that may wait.
    pub spool_bytes: u64,
}

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`
    Protobuf,
    /// `http/json`
    Json,
}

/// How a payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As gzip.
    Gzip,
}

/// A variable that says nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{value}`: expected {expected}")]
pub struct ConfigError {
    /// Its name.
    pub variable: String,
    /// What it says.
    pub value: String,
    /// What it could say.
    pub expected: &'static str,
}

impl ConfigError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code::Usage
    }
}

/// Names and values.
type Attributes = Vec<(String, String)>;

/// Reads one variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// The default of [`Config::spool_bytes`]: some days of windows of one model.
    pub const SPOOL_BYTES: u64 = 16 << 20;

    /// What the environment says. `None`: it names no endpoint, or says that nobody wants telemetry.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn from_env() -> Result<Option<Config>, ConfigError> {
        Config::from_lookup(None, &|name| std::env::var(name).ok())
    }

    /// What the environment says, but with this endpoint, to which `/v1/metrics` is added unless it ends so. `None`: the
    /// environment says that nobody wants telemetry.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn with_endpoint(endpoint: &str) -> Result<Option<Config>, ConfigError> {
        Config::from_lookup(Some(endpoint), &|name| std::env::var(name).ok())
    }

    /// Like [`Config::from_env`], from variables that are somewhere else.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn from_lookup(endpoint: Option<&str>, lookup: Lookup<'_>) -> Result<Option<Config>, ConfigError> {
        // An empty variable is one that is not set.
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let lookup: Lookup<'_> = &lookup;
        if is_unwanted(lookup) {
            return Ok(None);
        }
        let Some(url) = url(endpoint, lookup) else { return Ok(None) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            let (variable, expected) = ("the endpoint".to_owned(), "a URL that begins with http:// or https://");
            return Err(ConfigError { variable, value: url, expected });
        }
        Ok(Some(Config {
            url,
            headers: pairs(&exporter("HEADERS"), lookup)?,
            protocol: one_of(
                "PROTOCOL",
                lookup,
                &[("http/protobuf", Protocol::Protobuf), ("http/json", Protocol::Json)],
            )?,
            compression: one_of("COMPRESSION", lookup, &[("gzip", Compression::Gzip), ("none", Compression::None)])?,
            timeout: milliseconds(&exporter("TIMEOUT"), lookup)?.unwrap_or(Duration::from_secs(10)),
            interval: milliseconds(&["OTEL_METRIC_EXPORT_INTERVAL".into()], lookup)?.unwrap_or(Duration::from_secs(60)),
            resource: resource(lookup)?,
            spool: spool(lookup),
            spool_bytes: Config::SPOOL_BYTES,
        }))
    }
}

/// What the environment says of the service, and where its payloads wait, whether or not they are sent.
pub(crate) fn identity_from_env() -> Result<(Attributes, Option<PathBuf>), ConfigError> {
    let lookup: Lookup<'_> = &|name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Ok((resource(lookup)?, spool(lookup)))
}

/// The names of a variable of the exporter: the one for metrics goes before the one for everything.
fn exporter(name: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_METRICS_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")]
}

fn is_unwanted(lookup: Lookup<'_>) -> bool {
    let says = |name: &str, no: &[&str]| lookup(name).is_some_and(|value| !no.contains(&value.to_lowercase().as_str()));
    // <https://consoledonottrack.com>: any value but these; OpenTelemetry's is a boolean.
    says("DO_NOT_TRACK", &["0", "false"])
        || lookup("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || lookup("OTEL_METRICS_EXPORTER").is_some_and(|value| value == "none")
}

fn url(endpoint: Option<&str>, lookup: Lookup<'_>) -> Option<String> {
    let of_base = |base: &str| match base.trim_end_matches('/') {
        base if base.ends_with("/v1/metrics") => base.to_owned(),
        base => format!("{base}/v1/metrics"),
    };
    let [metrics, base] = exporter("ENDPOINT");
    // The variable for metrics is taken as it is.
    endpoint.map(of_base).or_else(|| lookup(&metrics)).or_else(|| Some(of_base(&lookup(&base)?)))
}

fn first(names: &[String], lookup: Lookup<'_>) -> Option<(String, String)> {
    names.iter().find_map(|name| Some((name.clone(), lookup(name)?)))
}

fn one_of<T: Copy>(name: &str, lookup: Lookup<'_>, values: &[(&'static str, T)]) -> Result<T, ConfigError> {
    let Some((variable, value)) = first(&exporter(name), lookup) else { return Ok(values[0].1) };
    let expected = if name == "PROTOCOL" { "http/protobuf or http/json" } else { "gzip or none" };
    let known = values.iter().find(|(name, _)| *name == value);
    known.map(|(_, meaning)| *meaning).ok_or(ConfigError { variable, value, expected })
}

fn milliseconds(names: &[String], lookup: Lookup<'_>) -> Result<Option<Duration>, ConfigError> {
    let Some((variable, value)) = first(names, lookup) else { return Ok(None) };
    match value.parse() {
        Ok(milliseconds @ 1..) => Ok(Some(Duration::from_millis(milliseconds))),
        _ => Err(ConfigError { variable, value, expected: "a number of milliseconds" }),
    }
}

/// `key=value,key=value`, each percent-encoded as in W3C Baggage.
fn pairs(names: &[String], lookup: Lookup<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some((variable, value)) = first(names, lookup) else { return Ok(Vec::new()) };
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (decoded(key.trim())?, decoded(value.trim())?);
        (!key.is_empty()).then_some((key, value))
    };
    let listed = value.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect::<Option<Vec<_>>>();
    // The value may be a secret: it is not repeated.
    let refused = ConfigError { variable, value: "...".to_owned(), expected: "key=value, separated by commas" };
    listed.ok_or(refused)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn resource(lookup: Lookup<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut resource = pairs(&["OTEL_RESOURCE_ATTRIBUTES".into()], lookup)?;
    if let Some(name) = lookup("OTEL_SERVICE_NAME") {
        resource.retain(|(key, _)| key != "service.name");
        resource.push(("service.name".to_owned(), name));
    }
    Ok(resource)
}

/// Where programs of a user keep what they need later.
fn spool(lookup: Lookup<'_>) -> Option<PathBuf> {
    let state = || lookup("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(lookup("HOME")?).join(".local/state"));
    let windows = || lookup("LOCALAPPDATA").map(PathBuf::from);
    let named = lookup("PANNIER_TELEMETRY_SPOOL").map(PathBuf::from);
    named.or_else(|| Some(state().or_else(home).or_else(windows)?.join("pannier/telemetry")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)], endpoint: Option<&str>) -> Result<Option<Config>, ConfigError> {
        Config::from_lookup(endpoint, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://here:4318");

    #[test]
    fn nothing_is_sent_unless_somebody_wants_it() {
        assert_eq!(config(&[], None), Ok(None));
        assert_eq!(config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None), Ok(None));
        for (variable, value, wanted) in [
            ("DO_NOT_TRACK", "1", false),
            ("DO_NOT_TRACK", "true", false),
            ("DO_NOT_TRACK", "0", true),
            ("DO_NOT_TRACK", "false", true),
            ("OTEL_SDK_DISABLED", "TRUE", false),
            ("OTEL_SDK_DISABLED", "yes", true),
            ("OTEL_METRICS_EXPORTER", "none", false),
        ] {
            for endpoint in [None, Some("http://named")] {
                let found = config(&[HERE, (variable, value)], endpoint).unwrap();
                assert_eq!(found.is_some(), wanted, "{variable}={value}");
            }
        }
    }

    #[test]
    fn endpoints_become_urls() {
        let metrics = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
        for (variables, endpoint, url) in [
            (vec![HERE], None, "http://here:4318/v1/metrics"),
            (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://here/otlp/")], None, "https://here/otlp/v1/metrics"),
            (vec![HERE, (metrics, "http://there/in")], None, "http://there/in"),
            (vec![HERE, (metrics, "http://there/in")], Some("http://named"), "http://named/v1/metrics"),
            (vec![], Some("http://named/v1/metrics"), "http://named/v1/metrics"),
        ] {
            assert_eq!(config(&variables, endpoint).unwrap().unwrap().url, url);
        }
        assert_eq!(config(&[], Some("localhost:4318")).unwrap_err().code(), Code::Usage);
    }

    #[test]
    fn every_variable_counts_and_those_for_metrics_first() {
        let config = config(
            &[
                HERE,
                ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=of%20all"),
                ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "Authorization=Bearer%20abc, x = y "),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=lost,pannier.site=Halle%204"),
                ("OTEL_SERVICE_NAME", "sorter"),
                ("XDG_STATE_HOME", "/state"),
            ],
            None,
        );
        let owned = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let expected = Config {
            url: "http://here:4318/v1/metrics".into(),
            headers: owned(&[("Authorization", "Bearer abc"), ("x", "y")]),
            protocol: Protocol::Json,
            compression: Compression::None,
            timeout: Duration::from_millis(2500),
            interval: Duration::from_secs(5),
            resource: owned(&[("pannier.site", "Halle 4"), ("service.name", "sorter")]),
            spool: Some("/state/pannier/telemetry".into()),
            spool_bytes: Config::SPOOL_BYTES,
        };
        assert_eq!(config, Ok(Some(expected)));
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_secrets_are_not_repeated() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=%zz"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
        ] {
            let error = config(&[HERE, (variable, value)], None).unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(!variable.contains("HEADERS") || !error.to_string().contains(value), "{error}");
        }
    }
}
