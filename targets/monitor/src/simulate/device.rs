//! One device with one model: what it would have counted.

use super::Payload;
use crate::series::names;
use pannier_otlp_messages::{
    AnyValue, Buckets, CUMULATIVE, ExponentialHistogram, ExponentialHistogramDataPoint, ExportMetricsServiceRequest,
    Gauge, Histogram, HistogramDataPoint, KeyValue, Metric, NumberDataPoint, Resource, ResourceMetrics, ScopeMetrics,
    Sum,
};
use std::collections::BTreeMap;

/// Where devices stand. The second drifts, the third goes offline and comes back.
pub const SITES: [&str; 3] = ["Aarhus", "Bilbao", "Chiba"];

/// Models, targets and what they are like.
pub const MODELS: [Model; 4] = [
    Model {
        name: "ocr",
        version: "2.1.0",
        target: "native",
        engine: "executor",
        median_s: 0.042,
        runs: 24.0,
        age_days: 12.0,
        classes: &[],
    },
    Model {
        name: "ocr",
        version: "2.0.3",
        target: "wasmtime",
        engine: "tract",
        median_s: 0.088,
        runs: 9.0,
        age_days: 96.0,
        classes: &[],
    },
    Model {
        name: "magika",
        version: "1.4.0",
        target: "native",
        engine: "executor",
        median_s: 0.0031,
        runs: 70.0,
        age_days: 33.0,
        classes: &["python", "pdf", "png", "zip", "markdown", "elf"],
    },
    Model {
        name: "vad",
        version: "6.2.3",
        target: "browser",
        engine: "executor",
        median_s: 0.0009,
        runs: 160.0,
        age_days: 5.0,
        classes: &["speech", "silence"],
    },
];

/// A model that is pretended to run.
#[derive(Debug)]
pub struct Model {
    name: &'static str,
    version: &'static str,
    target: &'static str,
    engine: &'static str,
    median_s: f64,
    /// Runs in ten seconds.
    runs: f64,
    age_days: f64,
    classes: &'static [&'static str],
}

/// How a device feels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mood {
    /// How far its inputs have moved, in standard deviations.
    pub shift: f64,
    /// How much slower than usual it is.
    pub slowness: f64,
    /// What share of its runs fails.
    pub failing: f64,
}

/// Edges of the bins of tensors' values: standard deviations.
const EDGES: [f64; 19] =
    [-2.7, -2.4, -2.1, -1.8, -1.5, -1.2, -0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7];
/// How many values the baseline counted.
const BASELINE_VALUES: f64 = 50_000.0;
/// Values that are looked at in each report.
const SAMPLED: usize = 320;
/// Resolution of the histograms of times: 8 buckets from a time to its double.
const SCALE: i32 = 3;
/// The score from which on a device speaks of drift.
const DRIFT: f64 = 0.25;

/// One device with one model.
#[derive(Debug, Clone)]
pub struct Device {
    name: String,
    site: &'static str,
    model: &'static Model,
    random: Random,
    start_ns: u64,
    times: BTreeMap<&'static str, Times>,
    queue: Times,
    inputs: Vec<u64>,
    outputs: Vec<u64>,
    classes: Vec<u64>,
    invalid: u64,
    spool_bytes: f64,
}

/// Counts of times.
#[derive(Debug, Clone, Default)]
struct Times {
    counts: BTreeMap<i32, u64>,
    sum: f64,
}

impl Device {
    /// The device with this number, that started at this time.
    #[must_use]
    pub fn new(number: u32, start_ns: u64) -> Device {
        let at = usize::try_from(number).unwrap_or(0);
        let site = SITES[at % SITES.len()];
        let model = &MODELS[(at / SITES.len()) % MODELS.len()];
        Device {
            name: format!("{}-{number:05}", site.to_ascii_lowercase()),
            site,
            model,
            random: Random(u64::from(number).wrapping_add(0x9e37_79b9_7f4a_7c15)),
            start_ns,
            times: BTreeMap::new(),
            queue: Times::default(),
            inputs: vec![0; EDGES.len() + 1],
            outputs: vec![0; EDGES.len() + 1],
            classes: vec![0; model.classes.len()],
            invalid: 0,
            spool_bytes: 0.0,
        }
    }

    /// Its `service.instance.id`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands.
    #[must_use]
    pub fn site(&self) -> &'static str {
        self.site
    }

    /// Runs since it started.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.times.values().flat_map(|times| times.counts.values()).sum()
    }

    /// What waits on it.
    pub fn set_spool_bytes(&mut self, bytes: usize) {
        self.spool_bytes = bytes as f64;
    }

    /// Lives on until `time_ns`, for so many seconds, and reports that.
    pub fn report(&mut self, time_ns: u64, seconds: f64, mood: Mood, json: bool, gzip: bool) -> Payload {
        let window = self.live(seconds, mood);
        Payload::new(&self.request(time_ns, &window), json, gzip)
    }

    fn live(&mut self, seconds: f64, mood: Mood) -> Window {
        let runs = (self.model.runs * seconds / 10.0 * (0.8 + 0.4 * self.random.uniform())).round().max(1.0) as u64;
        for _ in 0..runs {
            let failed = self.random.uniform() < mood.failing + 0.002;
            let code = match failed {
                true if self.random.uniform() < 0.7 => "E_DEADLINE",
                true => "E_INVALID_INPUT",
                false => "",
            };
            let spread = (0.35 * self.random.normal()).exp() * if self.random.uniform() < 0.01 { 4.0 } else { 1.0 };
            self.times.entry(code).or_default().add(self.model.median_s * (1.0 + mood.slowness) * spread);
            self.queue
                .add(self.model.median_s * 0.05 * (0.8 * self.random.normal()).exp() * (1.0 + 6.0 * mood.slowness));
            if let Some(count) = self.random.pick(&mut self.classes, mood.shift) {
                *count += 1;
            }
        }
        let mut window =
            Window { input: vec![0; EDGES.len() + 1], output: vec![0; EDGES.len() + 1], values: Vec::new() };
        for _ in 0..SAMPLED {
            let value = self.random.normal() * (1.0 + 0.2 * mood.shift) + mood.shift;
            window.values.push(value);
            bump(&mut window.input, value);
            let answer = self.random.normal() + 0.4 * mood.shift;
            bump(&mut window.output, answer);
        }
        add(&mut self.inputs, &window.input);
        add(&mut self.outputs, &window.output);
        self.invalid += u64::from(self.random.uniform() < 0.02 + mood.shift / 10.0);
        window.values.sort_by(f64::total_cmp);
        window
    }

    fn request(&mut self, time_ns: u64, window: &Window) -> ExportMetricsServiceRequest {
        let age_s = self.model.age_days * 86_400.0 + time_ns.saturating_sub(self.start_ns) as f64 / 1e9;
        let point = Points { start: self.start_ns, time: time_ns };
        let input = [(names::TENSOR, "x"), (names::ROLE, "input")];
        let output = [(names::TENSOR, "y"), (names::ROLE, "output")];
        let engine = ("pannier.engine", self.model.engine);
        let mut metrics = vec![
            point.times(
                names::DURATION,
                self.times.iter().map(|(code, times)| match *code {
                    "" => (vec![engine], times),
                    code => (vec![engine, (names::ERROR, code)], times),
                }),
            ),
            point.times(names::QUEUE, [(Vec::new(), &self.queue)]),
            point.gauge(names::LOAD, "s", &[(&[engine], self.model.median_s * 9.0)]),
            point.gauge(names::MEMORY, "By", &[(&[], self.model.median_s * 1e9 + 4e6)]),
            point.gauge(names::AGE, "s", &[(&[], age_s)]),
            point.histogram(names::VALUES, &[(&input, &self.inputs), (&output, &self.outputs)]),
            point.histogram(names::BASELINE, &[(&input, &baseline()), (&output, &baseline())]),
        ];
        let mut violation = input.to_vec();
        violation.push((names::VIOLATION, "nan"));
        metrics.push(point.sum(names::INVALID, "{element}", &[(&violation, self.invalid)]));
        let mean = window.values.iter().sum::<f64>() / window.values.len().max(1) as f64;
        let at = |share: f64| {
            window.values.get((share * (window.values.len() as f64 - 1.0)) as usize).copied().unwrap_or(0.0)
        };
        metrics.push(point.gauge("pannier.tensor.min", "1", &[(&input, at(0.0))]));
        metrics.push(point.gauge("pannier.tensor.max", "1", &[(&input, at(1.0))]));
        metrics.push(point.gauge("pannier.tensor.mean", "1", &[(&input, mean)]));
        let quantiles = ["0.05", "0.5", "0.95"].map(|share| {
            let mut attributes = input.to_vec();
            attributes.push(("pannier.quantile", share));
            (attributes, at(share.parse().unwrap_or(0.5)))
        });
        let quantiles: Vec<(&[_], f64)> =
            quantiles.iter().map(|(attributes, value)| (&attributes[..], *value)).collect();
        metrics.push(point.gauge("pannier.tensor.quantile", "1", &quantiles));
        let scores = [(&input, psi(&window.input)), (&output, psi(&window.output))];
        let scored = scores.map(|(attributes, score)| {
            let mut attributes = attributes.to_vec();
            attributes.push((names::METHOD, "psi"));
            (attributes, score)
        });
        let scored: Vec<(&[_], f64)> = scored.iter().map(|(attributes, score)| (&attributes[..], *score)).collect();
        metrics.push(point.gauge(names::DRIFT_SCORE, "1", &scored));
        let detected = scores.map(|(attributes, score)| (&attributes[..], f64::from(u8::from(score > DRIFT))));
        metrics.push(point.gauge(names::DRIFT_DETECTED, "1", &detected));
        metrics.push(point.gauge("pannier.drift.samples", "{sample}", &[(&input, SAMPLED as f64)]));
        if !self.classes.is_empty() {
            let classes: Vec<_> = self
                .model
                .classes
                .iter()
                .zip(&self.classes)
                .map(|(class, count)| (vec![(names::TENSOR, "y"), (names::CLASS_NAME, *class)], *count))
                .collect();
            let classes: Vec<(&[_], u64)> =
                classes.iter().map(|(attributes, count)| (&attributes[..], *count)).collect();
            metrics.push(point.sum(names::CLASS, "{prediction}", &classes));
        }
        metrics.push(point.sum(names::DROPPED, "{export}", &[(&[("reason", "spool_full")], 0)]));
        metrics.push(point.gauge(names::SPOOL, "By", &[(&[], self.spool_bytes)]));
        let resource = Some(Resource { attributes: self.attributes() });
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource,
                scope_metrics: vec![ScopeMetrics { scope: None, metrics }],
            }],
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let bundle = format!("{:x<64}", format!("{}{}", self.model.name, self.model.version).replace('.', ""));
        attributes(&[
            ("service.name", "pannier"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &self.name),
            ("host.arch", if self.model.target == "browser" { "wasm32" } else { "arm64" }),
            ("os.type", "linux"),
            ("telemetry.sdk.name", "pannier"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
            ("pannier.target", self.model.target),
            ("pannier.model.name", self.model.name),
            ("pannier.model.version", self.model.version),
            ("pannier.bundle.id", &bundle),
            ("pannier.site", self.site),
        ])
    }
}

/// What happened since the last report.
struct Window {
    input: Vec<u64>,
    output: Vec<u64>,
    values: Vec<f64>,
}

impl Times {
    fn add(&mut self, seconds: f64) {
        let index = (seconds.log2() * f64::from(1 << SCALE)).ceil() - 1.0;
        *self.counts.entry(index as i32).or_default() += 1;
        self.sum += seconds;
    }
}

/// Start and time of all points of a report.
struct Points {
    start: u64,
    time: u64,
}

type Labels<'a> = [(&'a str, &'a str)];

impl Points {
    fn times<'a>(&self, name: &str, all: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, &'a Times)>) -> Metric {
        let data_points = all.into_iter().map(|(labels, times)| {
            let offset = times.counts.keys().next().copied().unwrap_or(0);
            let last = times.counts.keys().next_back().copied().unwrap_or(offset - 1);
            let counts = (offset..=last).map(|index| times.counts.get(&index).copied().unwrap_or(0)).collect();
            ExponentialHistogramDataPoint {
                attributes: attributes(&labels),
                start_time_unix_nano: self.start,
                time_unix_nano: self.time,
                count: times.counts.values().sum(),
                sum: Some(times.sum),
                scale: SCALE,
                positive: Some(Buckets { offset, bucket_counts: counts }),
                ..ExponentialHistogramDataPoint::default()
            }
        });
        let histogram =
            ExponentialHistogram { data_points: data_points.collect(), aggregation_temporality: CUMULATIVE };
        Metric { exponential_histogram: Some(histogram), ..named(name, "s") }
    }

    fn histogram(&self, name: &str, all: &[(&Labels, &Vec<u64>)]) -> Metric {
        let data_points = all.iter().map(|(labels, counts)| HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            count: counts.iter().sum(),
            sum: None,
            bucket_counts: (*counts).clone(),
            explicit_bounds: EDGES.to_vec(),
            flags: 0,
        });
        let histogram = Histogram { data_points: data_points.collect(), aggregation_temporality: CUMULATIVE };
        Metric { histogram: Some(histogram), ..named(name, "1") }
    }

    fn gauge(&self, name: &str, unit: &str, all: &[(&Labels, f64)]) -> Metric {
        let data_points = all.iter().map(|(labels, value)| NumberDataPoint {
            attributes: attributes(labels),
            time_unix_nano: self.time,
            as_double: Some(*value),
            ..NumberDataPoint::default()
        });
        Metric { gauge: Some(Gauge { data_points: data_points.collect() }), ..named(name, unit) }
    }

    fn sum(&self, name: &str, unit: &str, all: &[(&Labels, u64)]) -> Metric {
        let data_points = all.iter().map(|(labels, count)| NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: self.start,
            time_unix_nano: self.time,
            as_int: Some(i64::try_from(*count).unwrap_or(i64::MAX)),
            ..NumberDataPoint::default()
        });
        let sum = Sum { data_points: data_points.collect(), aggregation_temporality: CUMULATIVE, is_monotonic: true };
        Metric { sum: Some(sum), ..named(name, unit) }
    }
}

fn named(name: &str, unit: &str) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), ..Metric::default() }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let one = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { string_value: Some((*value).to_owned()), ..AnyValue::default() }),
    };
    labels.iter().map(one).collect()
}

fn bump(bins: &mut [u64], value: f64) {
    if let Some(bin) = bins.get_mut(EDGES.partition_point(|edge| *edge < value)) {
        *bin += 1;
    }
}

fn add(all: &mut [u64], more: &[u64]) {
    for (all, more) in all.iter_mut().zip(more) {
        *all += more;
    }
}

/// What a standard normal distribution puts into the bins, by the logistic approximation of its integral.
fn baseline() -> Vec<u64> {
    let below = |edge: f64| 1.0 / (1.0 + (-edge * (1.5976 + 0.070_565 * edge * edge)).exp());
    let mut before = 0.0;
    let mut counts: Vec<u64> = Vec::with_capacity(EDGES.len() + 1);
    for edge in EDGES {
        counts.push(((below(edge) - before) * BASELINE_VALUES).round() as u64);
        before = below(edge);
    }
    counts.push(((1.0 - before) * BASELINE_VALUES).round() as u64);
    counts
}

/// Population stability index of a window against the baseline, each bin smoothed by half a count.
fn psi(window: &[u64]) -> f64 {
    let baseline = baseline();
    let share = |count: u64, counts: &[u64]| {
        (count as f64 + 0.5) / (counts.iter().sum::<u64>() as f64 + 0.5 * counts.len() as f64)
    };
    let each = window.iter().zip(&baseline).map(|(live, base)| {
        let (live, base) = (share(*live, window), share(*base, &baseline));
        (live - base) * (live / base).ln()
    });
    each.sum()
}

/// Xorshift: the same devices say the same things every time.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The sum of twelve uniform numbers, less six, is near enough.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// A class: the first ones are frequent, unless the inputs have moved.
    fn pick<'a>(&mut self, classes: &'a mut [u64], shift: f64) -> Option<&'a mut u64> {
        let share = self.uniform().powf(2.0 / (1.0 + shift));
        let at = (share * classes.len() as f64) as usize;
        classes.get_mut(at)
    }
}
