//! JSON schemas of the documents that `--json` prints, one file each.

/// The schema of a verb's document.
pub fn of(verb: &str) -> Option<&'static str> {
    ALL.iter().find(|(name, _)| *name == verb).map(|(_, schema)| *schema)
}

/// Verb and schema; `error` is what any verb writes to stderr when it fails.
pub const ALL: &[(&str, &str)] = &[
    ("completions", include_str!("completions.v1.json")),
    ("error", include_str!("error.v1.json")),
    ("explain", include_str!("explain.v1.json")),
];
