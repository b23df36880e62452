//! The part of OTLP that metrics need, as one set of types for both encodings. Fields of a `oneof` are optional fields here,
//! which is the same on the wire. What the monitor does not use (scopes, exemplars, descriptions) is skipped.
//!
//! Source: opentelemetry-proto 1.x, `metrics/v1/metrics.proto`, and OTLP's JSON mapping: 64-bit integers are strings, which
//! may be numbers too, and enums are integers.

use serde::{Deserialize, Serialize};

/// `ExportMetricsServiceRequest`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// `ResourceMetrics`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// `Resource`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// `ScopeMetrics`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

/// `Metric`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub unit: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gauge: Option<Gauge>,
    #[prost(message, optional, tag = "7")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<Sum>,
    #[prost(message, optional, tag = "9")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    #[prost(message, optional, tag = "10")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_histogram: Option<ExponentialHistogram>,
    #[prost(message, optional, tag = "11")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// `Gauge`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauge {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
}

/// `Sum`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sum {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// `Histogram`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Histogram {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramDataPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// `ExponentialHistogram`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialHistogram {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<ExponentialHistogramDataPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// `Summary`: only counted, because nothing can be merged from it.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<Skipped>,
}

/// A message of which nothing is read.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct Skipped {}

/// `NumberDataPoint`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NumberDataPoint {
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    #[serde(with = "number")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    #[serde(with = "number")]
    pub time_unix_nano: u64,
    #[prost(double, optional, tag = "4")]
    #[serde(with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub as_double: Option<f64>,
    #[prost(sfixed64, optional, tag = "6")]
    #[serde(with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub as_int: Option<i64>,
    #[prost(uint32, tag = "8")]
    pub flags: u32,
}

/// `HistogramDataPoint`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistogramDataPoint {
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    #[serde(with = "number")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    #[serde(with = "number")]
    pub time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    #[serde(with = "number")]
    pub count: u64,
    #[prost(double, optional, tag = "5")]
    #[serde(with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    #[serde(with = "number::list")]
    pub bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    #[serde(with = "number::list")]
    pub explicit_bounds: Vec<f64>,
    #[prost(uint32, tag = "10")]
    pub flags: u32,
}

/// `ExponentialHistogramDataPoint`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialHistogramDataPoint {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    #[serde(with = "number")]
    pub start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    #[serde(with = "number")]
    pub time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    #[serde(with = "number")]
    pub count: u64,
    #[prost(double, optional, tag = "5")]
    #[serde(with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    #[prost(sint32, tag = "6")]
    pub scale: i32,
    #[prost(fixed64, tag = "7")]
    #[serde(with = "number")]
    pub zero_count: u64,
    #[prost(message, optional, tag = "8")]
    pub positive: Option<Buckets>,
    #[prost(message, optional, tag = "9")]
    pub negative: Option<Buckets>,
    #[prost(uint32, tag = "10")]
    pub flags: u32,
}

/// `ExponentialHistogramDataPoint.Buckets`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Buckets {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint64, repeated, tag = "2")]
    #[serde(with = "number::list")]
    pub bucket_counts: Vec<u64>,
}

/// `KeyValue`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// `AnyValue`, without arrays, maps and bytes: such attributes are not kept.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnyValue {
    #[prost(string, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    #[prost(bool, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bool_value: Option<bool>,
    #[prost(int64, optional, tag = "3")]
    #[serde(with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub int_value: Option<i64>,
    #[prost(double, optional, tag = "4")]
    #[serde(with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub double_value: Option<f64>,
}

/// `ExportMetricsServiceResponse`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportMetricsPartialSuccess`
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PartialSuccess {
    #[prost(int64, tag = "1")]
    #[serde(with = "number")]
    pub rejected_data_points: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `google.rpc.Status`: the body of every answer that is an error.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
pub const CUMULATIVE: i32 = 2;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`
pub const NO_RECORDED_VALUE: u32 = 1;

/// Numbers of OTLP's JSON: a number, or its text in a string.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    /// A type that OTLP writes as a number or a string.
    pub trait Number: Copy + Sized {
        /// From the text of it.
        fn parse(text: &str) -> Option<Self>;
        /// To JSON.
        fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;
    }

    macro_rules! integer {
        ($type:ty) => {
            impl Number for $type {
                fn parse(text: &str) -> Option<Self> {
                    text.parse().ok()
                }

                fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(&self)
                }
            }
        };
    }

    integer!(u64);
    integer!(i64);

    impl Number for f64 {
        fn parse(text: &str) -> Option<f64> {
            match text {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                text => text.parse().ok().filter(|value: &f64| value.is_finite()),
            }
        }

        fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_f64(self)
        }
    }

    /// One number in either form.
    struct Lenient<N>(N);

    impl<'de, N: Number> Deserialize<'de> for Lenient<N> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor<N>(std::marker::PhantomData<N>);

            impl<N: Number> serde::de::Visitor<'_> for Visitor<N> {
                type Value = Lenient<N>;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a number or a string with one")
                }

                fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                    N::parse(text).map(Lenient).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }

                fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
                    self.visit_str(&value.to_string())
                }

                fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
                    self.visit_str(&value.to_string())
                }

                fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
                    self.visit_str(&value.to_string())
                }
            }
            deserializer.deserialize_any(Visitor(std::marker::PhantomData))
        }
    }

    pub fn serialize<N: Number, S: Serializer>(value: &N, serializer: S) -> Result<S::Ok, S::Error> {
        value.write(serializer)
    }

    pub fn deserialize<'de, N: Number, D: Deserializer<'de>>(deserializer: D) -> Result<N, D::Error> {
        Lenient::deserialize(deserializer).map(|Lenient(value)| value)
    }

    pub mod optional {
        use super::{Deserialize, Deserializer, Lenient, Number, Serializer};

        pub fn serialize<N: Number, S: Serializer>(value: &Option<N>, serializer: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => value.write(serializer),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, N: Number, D: Deserializer<'de>>(deserializer: D) -> Result<Option<N>, D::Error> {
            Ok(Option::<Lenient<N>>::deserialize(deserializer)?.map(|Lenient(value)| value))
        }
    }

    pub mod list {
        use super::{Deserialize, Deserializer, Lenient, Number, Serializer};
        use serde::Serialize;

        struct Written<N>(N);

        impl<N: Number> Serialize for Written<N> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.write(serializer)
            }
        }

        pub fn serialize<N: Number, S: Serializer>(values: &[N], serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(values.iter().map(|value| Written(*value)))
        }

        pub fn deserialize<'de, N: Number, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<N>, D::Error> {
            Ok(Vec::<Lenient<N>>::deserialize(deserializer)?.into_iter().map(|Lenient(value)| value).collect())
        }
    }
}
