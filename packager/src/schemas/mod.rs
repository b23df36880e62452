//! JSON schemas of the documents that `--json` prints, one file each.

/// The schema of a verb's document; `plan` is that of `inspect --plan`.
pub fn of(verb: &str) -> Option<&'static str> {
    ALL.iter().find(|(name, _)| *name == verb).map(|(_, schema)| *schema)
}

/// Verb and schema; `error` is what any verb writes to stderr when it fails.
pub const ALL: &[(&str, &str)] = &[
    ("approve", include_str!("approve.v1.json")),
    ("bench", include_str!("bench.v1.json")),
    ("build", include_str!("build.v1.json")),
    ("completions", include_str!("completions.v1.json")),
    ("diff", include_str!("diff.v1.json")),
    ("error", include_str!("error.v1.json")),
    ("explain", include_str!("explain.v1.json")),
    ("export", include_str!("export.v1.json")),
    ("init", include_str!("init.v1.json")),
    ("inspect", include_str!("inspect.v1.json")),
    ("key", include_str!("key.v1.json")),
    ("plan", include_str!("plan.v1.json")),
    ("quantize", include_str!("quantize.v1.json")),
    ("run", include_str!("run.v1.json")),
    ("sign", include_str!("sign.v1.json")),
    ("unpack", include_str!("unpack.v1.json")),
    ("verify", include_str!("verify.v1.json")),
];
