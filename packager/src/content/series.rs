//! One probability per frame, over time: where it is high, and a line of bars to look at.

/// A range begins at this probability.
pub const ENTER: f32 = 0.5;
/// And ends below this one, so that it does not flicker.
pub const LEAVE: f32 = 0.35;

/// Consecutive frames of high probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First frame.
    pub first: usize,
    /// Frame after the last.
    pub end: usize,
}

/// Ranges of frames: from [`ENTER`] on, until it falls below [`LEAVE`].
pub fn ranges(probabilities: &[f32]) -> Vec<Range> {
    let mut found = Vec::new();
    let mut first = None;
    for (frame, probability) in probabilities.iter().enumerate() {
        match first {
            None if *probability >= ENTER => first = Some(frame),
            Some(start) if *probability < LEAVE => {
                found.push(Range { first: start, end: frame });
                first = None;
            }
            _ => {}
        }
    }
    found.extend(first.map(|start| Range { first: start, end: probabilities.len() }));
    found
}

/// The highest probability of each stretch of time as a bar, at most `columns` of them.
pub fn sparkline(probabilities: &[f32], columns: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = columns.min(probabilities.len());
    (0..columns)
        .filter_map(|column| {
            let stretch = column * probabilities.len() / columns..(column + 1) * probabilities.len() / columns;
            let highest = probabilities.get(stretch)?.iter().copied().fold(0.0, f32::max);
            BARS.get((highest.clamp(0.0, 1.0) * 7.0).round() as usize).copied()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_begin_high_and_end_low() {
        let cases: [(&[f32], &str); 5] = [
            (&[], ""),
            (&[0.4, 0.4], ""),
            (&[0.1, 0.6, 0.4, 0.2], "1..3 "),
            (&[0.9, 0.2, 0.5], "0..1 2..3 "),
            (&[f32::NAN, 0.9], "1..2 "),
        ];
        for (probabilities, expected) in cases {
            let found: String = ranges(probabilities).iter().map(|r| format!("{}..{} ", r.first, r.end)).collect();
            assert_eq!(found, expected, "{probabilities:?}");
        }
    }

    #[test]
    fn the_sparkline_fits_its_columns() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0], 10), "▁▅█");
        assert_eq!(sparkline(&[0.0, 1.0, 0.0, 0.0], 2), "█▁");
        assert_eq!(sparkline(&[], 5), "");
        assert_eq!(sparkline(&[f32::NAN, 9.0], 2), "▁█");
    }
}
