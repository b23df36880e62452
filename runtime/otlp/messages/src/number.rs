//! Numbers of OTLP's JSON: a number, or its text in a string.

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
        match self {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
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
