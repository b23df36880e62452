//! What the model said, for people.

use super::outcome::{FileOutcome, Outcome, Shape, label_text};
use crate::content::{Answer, series};
use crate::loaded::Loaded;
use crate::printer::{BAD, GOOD};
use crate::table::{Cell, Table, heading};
use crate::units;
use std::time::Duration;

/// Columns of the line of bars.
const BARS: usize = 60;

/// Everything that was said. One run alone stands without its file's name; several are a table; sounds and files of
/// cases follow.
pub fn render(model: &Loaded, outcomes: &[FileOutcome]) -> String {
    let (single_runs, groups): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.shape == Shape::One);
    let mut parts = match single_runs.as_slice() {
        [] => Vec::new(),
        [one] if groups.is_empty() => vec![single(one)],
        many => vec![table(many)],
    };
    let name = model.manifest().name.as_str();
    parts.extend(groups.iter().map(|outcome| group(name, outcome, outcomes.len() > 1)));
    parts.join("\n")
}

/// `markdown  99.9 %  11.2 ms`, with a list below where there is one.
fn single(outcome: &FileOutcome) -> String {
    let mut text = String::new();
    for run in &outcome.runs {
        let alone = run.answers.len() == 1;
        for (index, answer) in run.answers.iter().enumerate() {
            let words = Words::of(answer);
            let mut parts = Vec::new();
            if !alone {
                parts.push(format!("{}:", output_name(answer)));
            }
            parts.extend([words.text, words.probability]);
            if index == 0 {
                parts.push(milliseconds(run.elapsed));
            }
            parts.retain(|part| !part.is_empty());
            text.push_str(&format!("{}\n{}", parts.join("  "), details(answer)));
        }
    }
    text
}

/// One row a file.
fn table(outcomes: &[&FileOutcome]) -> String {
    let mut table = Table::new(&["file", "answer", ">probability", ">time"]);
    for outcome in outcomes {
        for run in &outcome.runs {
            rows(&mut table, &outcome.file, run);
        }
    }
    table.render()
}

fn rows(table: &mut Table, name: &str, run: &Outcome) {
    for (index, answer) in run.answers.iter().enumerate() {
        let words = Words::of(answer);
        let said = if run.answers.len() > 1 { format!("{}: {}", output_name(answer), words.text) } else { words.text };
        let (name, time) = if index == 0 { (name, milliseconds(run.elapsed)) } else { ("", String::new()) };
        table.row([name.to_owned(), said, words.probability, time]);
    }
}

/// A sound, or a file of cases, with a summary.
fn group(model: &str, outcome: &FileOutcome, named: bool) -> String {
    let title = if named { heading(&outcome.file) } else { String::new() };
    if let Some(words) = sound(outcome) {
        return format!("{title}{words}");
    }
    let labelled = outcome.runs.iter().any(|run| run.label.is_some());
    let mut columns = vec!["case", "answer", ">probability", ">time"];
    if labelled {
        columns.push("label");
    }
    let mut table = Table::new(&columns);
    for run in &outcome.runs {
        if !labelled {
            rows(&mut table, &run.name, run);
            continue;
        }
        let words = run.answers.first().map(Words::of).unwrap_or_default();
        let label = run.label.as_ref().map(label_text).unwrap_or_default();
        let style = match run.is_right() {
            Some(true) => GOOD,
            Some(false) => BAD,
            None => anstyle::Style::new(),
        };
        table.row([
            Cell::from(run.name.as_str()),
            words.text.into(),
            words.probability.into(),
            milliseconds(run.elapsed).into(),
            Cell::styled(label, style),
        ]);
    }
    format!("{title}{}{}", table.render(), summary(model, outcome))
}

/// `114 cases: 111 of 114 answers right; 114 of 114 as the reference, largest difference 6.0e-7`
fn summary(model: &str, outcome: &FileOutcome) -> String {
    let runs = &outcome.runs;
    let mut parts = Vec::new();
    let right: Vec<bool> = runs.iter().filter_map(Outcome::is_right).collect();
    if !right.is_empty() {
        parts.push(format!("{} of {} answers right", right.iter().filter(|right| **right).count(), right.len()));
    }
    let close: Vec<bool> = runs.iter().filter_map(Outcome::is_close).collect();
    if !close.is_empty() {
        let difference = runs.iter().filter_map(Outcome::max_difference).fold(0.0, f64::max);
        let count = close.iter().filter(|close| **close).count();
        parts.push(format!("{count} of {} as the reference, largest difference {difference:.1e}", close.len()));
    }
    let total: Duration = runs.iter().map(|run| run.elapsed).sum();
    parts.push(format!("{} a case", milliseconds(total / u32::try_from(runs.len()).unwrap_or(1).max(1))));
    format!("{model}, {}: {}\n", units::plural(runs.len() as u64, "case"), parts.join("; "))
}

/// Bars over time and the ranges of high probability.
fn sound(outcome: &FileOutcome) -> Option<String> {
    let series = outcome.series()?;
    let frames = series.probabilities.len();
    let total: Duration = outcome.runs.iter().map(|run| run.elapsed).sum();
    let mut text = format!("{}\n", series::sparkline(&series.probabilities, BARS));
    let ranges = series.ranges_s();
    for (start, end) in &ranges {
        text.push_str(&format!("{:<8} {start:7.2} s - {end:6.2} s\n", series.of));
    }
    if ranges.is_empty() {
        text.push_str(&format!("no {}\n", series.of));
    }
    let each = milliseconds(total / u32::try_from(frames).unwrap_or(1).max(1));
    text.push_str(&format!("{}, {each} each\n", units::plural(frames as u64, "frame")));
    Some(text)
}

/// An answer in a table.
#[derive(Default)]
struct Words {
    text: String,
    probability: String,
}

impl Words {
    fn of(answer: &Answer) -> Words {
        match answer {
            Answer::Classes { rows, .. } => {
                let best: Vec<_> = rows.iter().filter_map(|row| row.first()).collect();
                let text = best.iter().map(|class| class.label.as_str()).collect::<Vec<_>>().join(", ");
                let score = |class: &&crate::content::Class| match class.is_probability {
                    true => percent(class.score),
                    false => format!("score {:.3}", class.score),
                };
                Words { text, probability: best.iter().map(score).collect::<Vec<_>>().join(", ") }
            }
            Answer::Text { rows, .. } => Words {
                text: rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>().join("\n"),
                probability: rows.iter().map(|row| percent(row.probability)).collect::<Vec<_>>().join(", "),
            },
            Answer::Probability { of, values, .. } => Words {
                text: of.clone(),
                probability: values.iter().map(|value| percent(*value)).collect::<Vec<_>>().join(", "),
            },
            Answer::Regions { regions, .. } => {
                Words { text: units::plural(regions.len() as u64, "region"), probability: String::new() }
            }
            Answer::Tensor { dtype, shape, min, max, mean, .. } => {
                let mut text = format!("{dtype} {shape:?}");
                if let (Some(min), Some(max), Some(mean)) = (min, max, mean) {
                    text.push_str(&format!(", {min} to {max}, mean {mean}"));
                }
                Words { text, probability: String::new() }
            }
        }
    }
}

/// What does not fit into one line.
fn details(answer: &Answer) -> String {
    match answer {
        Answer::Regions { regions, .. } if !regions.is_empty() => {
            let mut table = Table::new(&[">x", ">y", ">width", ">height", ">probability"]);
            for area in regions {
                let numbers = [area.x, area.y, area.width, area.height].map(|pixels| pixels.to_string());
                table.row(numbers.into_iter().chain([percent(area.probability)]));
            }
            table.render()
        }
        _ => String::new(),
    }
}

fn output_name(answer: &Answer) -> &str {
    match answer {
        Answer::Classes { output, .. }
        | Answer::Text { output, .. }
        | Answer::Probability { output, .. }
        | Answer::Regions { output, .. }
        | Answer::Tensor { output, .. } => output,
    }
}

fn percent(share: f32) -> String {
    format!("{:.1} %", share * 100.0)
}

fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    let decimals = if ms < 1.0 {
        3
    } else if ms < 100.0 {
        1
    } else {
        0
    };
    format!("{ms:.decimals$} ms")
}
