//! Points in time in a policy: dates and RFC 3339 times as Unix seconds, without a calendar library.

use alloc::string::{String, ToString};
use toml::value::{Datetime, Offset};

/// The last second at which something is still valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deadline {
    /// Seconds since 1970-01-01T00:00:00Z.
    unix_s: u64,
    /// As it was written.
    text: String,
}

impl Deadline {
    /// Reads a date (valid through the end of that day, UTC) or a time with its offset. A time without an offset is
    /// refused, since it means another moment on every device. Fractions of a second are dropped.
    pub(super) fn new(written: &Datetime) -> Option<Deadline> {
        const DAY_S: i64 = 86_400;
        let date = written.date?;
        let midnight = days_from_civil(date.year, date.month, date.day)?.checked_mul(DAY_S)?;
        let unix_s = match (written.time, written.offset) {
            (None, None) => midnight.checked_add(DAY_S - 1)?,
            (Some(time), Some(offset)) => {
                let minutes = match offset {
                    Offset::Z => 0,
                    Offset::Custom { minutes } => i64::from(minutes),
                };
                let of_day = i64::from(time.hour)
                    .checked_mul(3600)?
                    .checked_add(i64::from(time.minute).checked_mul(60)?)?
                    .checked_add(i64::from(time.second.unwrap_or(0)))?;
                midnight.checked_add(of_day)?.checked_sub(minutes.checked_mul(60)?)?
            }
            _ => return None,
        };
        Some(Deadline { unix_s: u64::try_from(unix_s).ok()?, text: written.to_string() })
    }

    /// Whether it is over at `now_unix_s`.
    pub(super) fn is_past(&self, now_unix_s: u64) -> bool {
        now_unix_s > self.unix_s
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`. The year is counted from
/// March, so that the leap day is its last day.
fn days_from_civil(year: u16, month: u8, day: u8) -> Option<i64> {
    const DAYS_TO_EPOCH: i64 = 719_468;
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let (year, month_from_march) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year =
        month_from_march.checked_mul(153)?.checked_add(2)?.div_euclid(5).checked_add(day)?.checked_sub(1)?;
    let day_of_era = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era.div_euclid(4))?
        .checked_sub(year_of_era.div_euclid(100))?
        .checked_add(day_of_year)?;
    era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(DAYS_TO_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected figures are `date -u -d TIME +%s`.
    #[test]
    fn times_become_unix_seconds() {
        let cases: &[(&str, Option<u64>)] = &[
            ("1970-01-01", Some(86_399)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2024-12-31T23:59:59Z", Some(1_735_689_599)),
            ("2027-06-30", Some(1_814_399_999)),
            ("2027-06-30T12:00:00+02:00", Some(1_814_349_600)),
            ("2027-06-30T12:00:00-02:00", Some(1_814_364_000)),
            ("2027-06-30T12:00:00.75Z", Some(1_814_356_800)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("2027-06-30T12:00:00", None),
            ("12:00:00", None),
            ("1969-12-31T00:00:00Z", None),
        ];
        for (text, expected) in cases {
            let written: Datetime = text.parse().unwrap();
            assert_eq!(Deadline::new(&written).map(|deadline| deadline.unix_s), *expected, "{text}");
        }
    }

    #[test]
    fn the_last_second_is_still_valid() {
        let deadline = Deadline::new(&"2027-06-30".parse().unwrap()).unwrap();
        assert!(!deadline.is_past(1_814_399_999));
        assert!(deadline.is_past(1_814_400_000));
    }
}
