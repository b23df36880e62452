//! How the points of a report are stored: a few hundred bytes that carry a checksum.
//!
//! A body is a list of `series` (varint, as the difference from the one before) and value, in the order of the series, and
//! the CRC-32 of that and of the row's key. A page of the file that went bad is found by it even where SQLite sees nothing wrong.

use crate::Error;
use crate::value::{Buckets, Exponential, Gauge, Histogram, Value};

/// Values by the series' number, ascending.
pub type Points = Vec<(u32, Value)>;

/// What the checksum covers beside the points: the numbers of the row's key.
pub type Key = [i64; 3];

/// Encodes points that are in order.
pub fn encode(points: &[(u32, Value)], key: Key) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(points.len() * 16));
    let mut before = 0;
    for (series, value) in points {
        out.varint(u64::from(series - before));
        before = *series;
        out.value(value);
    }
    let checksum = checksum(&out.0, key);
    out.0.extend_from_slice(&checksum.to_le_bytes());
    out.0
}

/// Decodes a body.
///
/// # Errors
/// [`Error::Damaged`]: these are not the bytes that were written.
pub fn decode(bytes: &[u8], key: Key) -> Result<Points, Error> {
    let damaged = |what: &str| Error::Damaged { detail: format!("{what} of row {key:?}") };
    let (body, stored) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("the length"))?;
    if checksum(body, key) != u32::from_le_bytes(*stored) {
        return Err(damaged("the checksum"));
    }
    let (mut reader, mut points, mut series) = (Reader(body), Points::new(), 0_u32);
    while !reader.0.is_empty() {
        let point = reader.varint().and_then(|step| {
            series = series.checked_add(u32::try_from(step).ok()?)?;
            reader.value()
        });
        points.push((series, point.ok_or_else(|| damaged("a value"))?));
    }
    Ok(points)
}

fn checksum(body: &[u8], key: Key) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    for part in key {
        crc.update(&part.to_le_bytes());
    }
    crc.sum()
}

struct Writer(Vec<u8>);

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn signed(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Bytes reversed, so that round numbers are short.
    fn float(&mut self, value: f64) {
        self.varint(value.to_bits().swap_bytes());
    }

    fn counts(&mut self, counts: &[u64]) {
        self.varint(counts.len() as u64);
        for count in counts {
            self.varint(*count);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Present => self.0.push(0),
            Value::Sum(sum) => {
                self.0.push(1);
                self.float(*sum);
            }
            Value::Gauge(gauge) if gauge.count == 1 => {
                self.0.push(2);
                self.float(gauge.last);
            }
            Value::Gauge(gauge) => {
                self.0.push(3);
                self.varint(gauge.count);
                for part in [gauge.sum, gauge.min, gauge.max, gauge.last] {
                    self.float(part);
                }
            }
            Value::Histogram(histogram) => {
                self.0.push(4);
                self.float(histogram.sum);
                self.counts(&histogram.counts);
            }
            Value::Exponential(histogram) => {
                self.0.push(5);
                self.signed(i64::from(histogram.scale));
                self.float(histogram.sum);
                self.varint(histogram.zero_count);
                for side in [&histogram.positive, &histogram.negative] {
                    self.signed(i64::from(side.offset));
                    self.counts(&side.counts);
                }
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_bits(self.varint()?.swap_bytes()))
    }

    fn counts(&mut self) -> Option<Vec<u64>> {
        let len = usize::try_from(self.varint()?).ok()?;
        // Each count takes a byte at least.
        if len > self.0.len() {
            return None;
        }
        (0..len).map(|_| self.varint()).collect()
    }

    fn buckets(&mut self) -> Option<Buckets> {
        Some(Buckets { offset: i32::try_from(self.signed()?).ok()?, counts: self.counts()? })
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            0 => Value::Present,
            1 => Value::Sum(self.float()?),
            2 => Value::Gauge(Gauge::new(self.float()?)),
            3 => Value::Gauge(Gauge {
                count: self.varint()?,
                sum: self.float()?,
                min: self.float()?,
                max: self.float()?,
                last: self.float()?,
            }),
            4 => Value::Histogram(Histogram { sum: self.float()?, counts: self.counts()? }),
            5 => Value::Exponential(Exponential {
                scale: i32::try_from(self.signed()?).ok()?,
                sum: self.float()?,
                zero_count: self.varint()?,
                positive: self.buckets()?,
                negative: self.buckets()?,
            }),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Points> {
        let float = -1e300..1e300;
        let counts = || prop::collection::vec(any::<u64>(), 0..20);
        let buckets = move || (any::<i32>(), counts()).prop_map(|(offset, counts)| Buckets { offset, counts });
        let value = prop_oneof![
            Just(Value::Present),
            float.clone().prop_map(Value::Sum),
            float.clone().prop_map(|value| Value::Gauge(Gauge::new(value))),
            (2_u64.., [float.clone(), float.clone(), float.clone(), float.clone()])
                .prop_map(|(count, [sum, min, max, last])| Value::Gauge(Gauge { count, sum, min, max, last })),
            (float.clone(), counts()).prop_map(|(sum, counts)| Value::Histogram(Histogram { sum, counts })),
            (any::<i32>(), float, any::<u64>(), buckets(), buckets()).prop_map(
                |(scale, sum, zero_count, positive, negative)| {
                    Value::Exponential(Exponential { scale, sum, zero_count, positive, negative })
                }
            ),
        ];
        prop::collection::btree_map(any::<u32>(), value, 0..12).prop_map(|points| points.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(points in points(), key in any::<Key>()) {
            prop_assert_eq!(decode(&encode(&points, key), key).expect("its own bytes"), points);
        }

        #[test]
        fn a_bit_that_flips_is_found(points in points(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = encode(&points, [1, 2, 3]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes, [1, 2, 3]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut sealed = bytes.clone();
            sealed.extend_from_slice(&checksum(&bytes, [0; 3]).to_le_bytes());
            let _ = decode(&sealed, [0; 3]);
        }
    }
}
