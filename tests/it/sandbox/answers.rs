//! `packager run` says the same with `--sandbox` as without.

use crate::conformance::subjects::REAL;
use crate::support::packager::{Ran, packager};
use crate::support::{Failures, examples, model, sandbox, temp_dir};
use serde_json::Value;
use std::path::Path;

/// `|sandbox - native| <= ABSOLUTE + RELATIVE * |native|`
const ABSOLUTE: f64 = 1e-4;
const RELATIVE: f64 = 1e-3;

/// What is not an answer.
const ASIDE: [&str; 4] = ["elapsed_ms", "target", "flavour", "deterministic"];

#[test]
fn the_command_says_the_same_about_all_five_models() {
    // Compiled once, not by several commands at the same time.
    sandbox::fast();
    let mut failures = Failures::default();
    for name in REAL {
        failures.check(name, || {
            let folder = temp_dir();
            examples::build(name, folder.path());
            let cases = model(name).join("evaluation.npz");
            let run = |flags: &[&str]| -> Ran {
                let line = ["run", examples::BUNDLE, "--allow-unsigned"].iter().chain(flags).map(Path::new);
                packager(folder.path(), line.chain([cases.as_path()])).expect(0)
            };
            let (native, sandboxed) = (run(&["--json"]).json(), run(&["--sandbox", "--json"]).json());
            if (&native["target"], &sandboxed["target"]) != (&"native".into(), &"wasmtime".into()) {
                return Err(format!("it ran on {} and {}", native["target"], sandboxed["target"]));
            }
            alike(&sandboxed, &native, "$")?;
            same_words(&run(&["--sandbox"]).stdout, &run(&[]).stdout)
        });
    }
    failures.assert_none();
}

/// The same document, but for last digits and what is no answer.
fn alike(found: &Value, expected: &Value, place: &str) -> Result<(), String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let names = |fields: &serde_json::Map<String, Value>| -> Vec<String> {
                fields.keys().filter(|key| !ASIDE.contains(&key.as_str())).cloned().collect()
            };
            if names(found) != names(expected) {
                return Err(format!("{place}: fields {:?}, natively {:?}", names(found), names(expected)));
            }
            names(found).iter().try_for_each(|key| alike(&found[key], &expected[key], &format!("{place}.{key}")))
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            let pairs = found.iter().zip(expected).enumerate();
            pairs.into_iter().try_for_each(|(index, (a, b))| alike(a, b, &format!("{place}[{index}]")))
        }
        (Value::Number(found), Value::Number(expected)) => {
            let (a, b) = (found.as_f64().unwrap_or(f64::NAN), expected.as_f64().unwrap_or(f64::NAN));
            match (a - b).abs() <= ABSOLUTE + RELATIVE * b.abs() {
                true => Ok(()),
                false => Err(format!("{place}: {a}, natively {b}")),
            }
        }
        _ if found == expected => Ok(()),
        _ => Err(format!("{place}: {found}, natively {expected}")),
    }
}

/// Numbers in words have few digits: the last one may be another.
const LAST_DIGIT: f64 = 0.11;

/// The same text, but for its times and last digits.
fn same_words(found: &str, expected: &str) -> Result<(), String> {
    let (found, expected) = (words(found), words(expected));
    let same = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() < LAST_DIGIT,
        _ => a == b,
    };
    if let Some((a, b)) = found.iter().zip(&expected).find(|(a, b)| !same(a, b)) {
        return Err(format!("in words: `{a}`, natively `{b}`"));
    }
    match found.len() == expected.len() {
        true => Ok(()),
        false => Err(format!("in words: {found:?}, natively {expected:?}")),
    }
}

/// The text without its times and without the largest difference from the references, which is last digits.
fn words(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_aside = |index: usize| {
        let next = words.get(index + 1).copied().unwrap_or_default();
        let before = index.checked_sub(1).and_then(|before| words.get(before)).copied().unwrap_or_default();
        next == "ms" || before == "difference"
    };
    words.iter().enumerate().filter(|(index, _)| !is_aside(*index)).map(|(_, word)| *word).collect()
}
