//! Sizes, ratios, shapes and digests as people read them.

use pannier_bundle::manifest::Dim;

/// A size in decimal units with three significant digits: `512 B`, `3.05 MB`.
pub fn bytes(size_bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if size_bytes < 1000 {
        return format!("{size_bytes} B");
    }
    let mut value = size_bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would round to 1000 of the smaller unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A count with thin grouping: `1,653`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `part / whole` as a percentage with one decimal, or `-` where the whole is zero.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// A difference: `0`, or two digits and a power of ten: `4.2e-7`.
pub fn small(difference: f64) -> String {
    if difference == 0.0 { "0".to_owned() } else { format!("{difference:.1e}") }
}

/// A shape as ONNX tools print it: `[batch, 3, 48, 320]`.
pub fn shape(dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(dim).collect();
    format!("[{}]", dims.join(", "))
}

/// One dimension: a number, or the symbol's name.
pub fn dim(dim: &Dim) -> String {
    match dim {
        Dim::Fixed(size) => size.to_string(),
        Dim::Symbol(name) if name.is_empty() => "?".to_owned(),
        Dim::Symbol(name) => name.clone(),
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `1 chunk`, `2 chunks`.
pub fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_significant_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (3_050_000, "3.05 MB"),
            (u64::MAX, "18447 PB"),
        ];
        for (size, expected) in cases {
            assert_eq!(bytes(size), expected, "{size}");
        }
    }

    #[test]
    fn counts_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_653, "1,653"), (1_000_000, "1,000,000")] {
            assert_eq!(count(number), expected);
        }
    }
}
