//! The cache: what is kept is used, and what was tampered with is rejected, rebuilt and reported.
#![cfg(unix)]

use crate::support::*;
use pannier_wasmtime::{Code, Event, LoadOptions, Rejection, Sandbox, Trust};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

/// Magic number, key, digest.
const HEAD_BYTES: usize = 72;

/// Makes a sandbox and loads the usual bundle. Says whether the model came from the cache, and what was reported.
fn load_with(events: &Events, cache: &Path) -> (bool, Vec<Event>) {
    let model = load(&Sandbox::new(&events.config(guest(), cache)).unwrap());
    assert_eq!(y(&model.run(given([1.0, 2.0], 3.0)).unwrap()), [4.0, 5.0]);
    (model.report().from_cache, events.take())
}

/// A directory for a cache, and what keeps it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    (folder, path)
}

/// The file of this kind.
fn file(cache: &Path, kind: &str) -> PathBuf {
    let names = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut found = names.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind));
    let path = found.next().unwrap();
    assert!(found.next().is_none());
    path
}

fn was_compiled(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Compiling { .. }))
}

#[test]
fn what_is_kept_is_used_by_the_next_sandbox() {
    let (events, (_folder, cache)) = (Events::default(), place());
    let (from_cache, seen) = load_with(&events, &cache);
    assert!(!from_cache && was_compiled(&seen), "{seen:?}");
    assert_eq!(load_with(&events, &cache), (true, vec![]));
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    for kind in ["code-", "base-", "image-"] {
        assert_eq!(fs::metadata(file(&cache, kind)).unwrap().permissions().mode() & 0o777, 0o600, "{kind}");
    }
}

#[test]
fn another_guest_bundle_or_option_is_something_else() {
    let (events, (_folder, cache)) = (Events::default(), place());
    load_with(&events, &cache);
    let other = guest_with(&[("reset", "unreachable")]);
    let sandbox = Sandbox::new(&events.config(other, &cache)).unwrap();
    assert!(was_compiled(&events.take()));
    assert!(!load(&sandbox).report().from_cache);

    let sandbox = Sandbox::new(&events.config(guest(), &cache)).unwrap();
    let options = LoadOptions { self_test: false, ..LoadOptions::default() };
    let bundles = [(bundle(FREE), options), (bundle_with(FREE, &[8; 100]), LoadOptions::default())];
    for (bundle, options) in bundles {
        let from_cache = || sandbox.load(&bundle, &Trust::AllowUnsigned, &options).unwrap().report().from_cache;
        assert_eq!((from_cache(), from_cache()), (false, true));
    }

    let config = pannier_wasmtime::Config { deterministic: true, ..events.config(guest(), &cache) };
    assert!(!load(&Sandbox::new(&config).unwrap()).report().from_cache);
    assert!(was_compiled(&events.take()));
}

#[test]
fn trust_is_decided_also_when_the_image_is_there() {
    let (events, (_folder, cache)) = (Events::default(), place());
    load_with(&events, &cache);
    let sandbox = Sandbox::new(&events.config(guest(), &cache)).unwrap();
    let error = sandbox.load(&bundle(FREE), &Trust::Keys(vec![]), &LoadOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Unsigned);
}

/// What may be done to a file, and what is said about it then.
type Tampering = (&'static str, fn(&Path), fn(&Rejection) -> bool);

fn flip(path: &Path, index: usize) {
    let mut bytes = fs::read(path).unwrap();
    let index = index.min(bytes.len() - 1);
    bytes[index] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path, size: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..size.min(bytes.len() - 1)]).unwrap();
}

/// Other content under a digest that matches it.
fn forge(path: &Path, content: &[u8]) {
    let bytes = fs::read(path).unwrap();
    let (magic, key) = (&bytes[..8], &bytes[8..40]);
    let digest = Sha256::new().chain_update(key).chain_update(content).finalize();
    fs::write(path, [magic, key, digest.as_slice(), content].concat()).unwrap();
}

const TAMPERINGS: &[Tampering] = &[
    ("a bit of the magic number", |path| flip(path, 3), |why| *why == Rejection::Head),
    ("a bit of the key", |path| flip(path, 20), |why| *why == Rejection::Head),
    ("a bit of the digest", |path| flip(path, 50), |why| *why == Rejection::Digest),
    ("the first bit", |path| flip(path, HEAD_BYTES), |why| *why == Rejection::Digest),
    ("a bit in the middle", |path| flip(path, 200), |why| *why == Rejection::Digest),
    ("the last bit", |path| flip(path, usize::MAX), |why| *why == Rejection::Digest),
    ("nothing left", |path| cut(path, 0), |why| *why == Rejection::Head),
    ("half a head", |path| cut(path, 40), |why| *why == Rejection::Head),
    ("a head alone", |path| cut(path, HEAD_BYTES), |why| *why == Rejection::Digest),
    ("one byte less", |path| cut(path, usize::MAX), |why| *why == Rejection::Digest),
    ("no module", |path| forge(path, b"what is this?"), |why| matches!(why, Rejection::Content { .. })),
    (
        "writable for others",
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o606)).unwrap(),
        |why| *why == Rejection::Mode { mode: 0o606 },
    ),
    (
        "writable for the group",
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap(),
        |why| *why == Rejection::Mode { mode: 0o660 },
    ),
    (
        "a symbolic link to the very same",
        |path| {
            let elsewhere = path.with_extension("elsewhere");
            fs::rename(path, &elsewhere).unwrap();
            symlink(elsewhere, path).unwrap();
        },
        |why| matches!(why, Rejection::Kind { expected: "a regular file" }),
    ),
    (
        "a pipe",
        |path| {
            fs::remove_file(path).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
        },
        |why| matches!(why, Rejection::Kind { expected: "a regular file" }),
    ),
];

#[test]
fn a_file_that_was_tampered_with_is_rejected_rebuilt_and_reported() {
    let (events, (_folder, cache)) = (Events::default(), place());
    load_with(&events, &cache);
    for kind in ["code-", "base-", "image-"] {
        for (name, tamper, expected) in TAMPERINGS {
            let path = file(&cache, kind);
            tamper(&path);
            let (from_cache, seen) = load_with(&events, &cache);
            let _ = fs::remove_file(path.with_extension("elsewhere"));
            let rejected: Vec<_> = seen
                .iter()
                .filter_map(|event| match event {
                    Event::CacheRejected { path, why } => Some((path, why)),
                    _ => None,
                })
                .collect();
            assert!(
                matches!(&rejected[..], [(found, why)] if **found == path && expected(why)),
                "{kind} {name}: {seen:?}"
            );
            assert_eq!(was_compiled(&seen), kind == "code-", "{kind} {name}");
            assert_eq!(from_cache, kind != "image-", "{kind} {name}");
            assert_eq!(load_with(&events, &cache), (true, vec![]), "{kind} {name}: after it was rebuilt");
        }
    }
}

#[test]
fn a_file_in_the_place_of_another_is_rejected() {
    let (events, (_folder, cache)) = (Events::default(), place());
    load_with(&events, &cache);
    fs::copy(file(&cache, "code-"), file(&cache, "image-")).unwrap();
    let (from_cache, seen) = load_with(&events, &cache);
    assert!(!from_cache);
    assert!(matches!(&seen[..], [Event::CacheRejected { why: Rejection::Head, .. }]), "{seen:?}");
}

#[test]
fn a_file_of_somebody_else_is_rejected() {
    let (events, (_folder, cache)) = (Events::default(), place());
    load_with(&events, &cache);
    if chown(file(&cache, "code-"), Some(1), None).is_err() {
        return; // Only the superuser can give a file away.
    }
    let (_, seen) = load_with(&events, &cache);
    assert!(matches!(&seen[0], Event::CacheRejected { why: Rejection::Owner { found: 1, .. }, .. }), "{seen:?}");
    assert!(was_compiled(&seen));
}

#[test]
fn a_directory_that_others_can_write_to_is_not_used() {
    type Case = (&'static str, fn(&Path), fn(&Rejection) -> bool);
    let cases: &[Case] = &[
        (
            "writable for others",
            |path| {
                fs::create_dir_all(path).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
            },
            |why| *why == Rejection::Mode { mode: 0o777 },
        ),
        (
            "a symbolic link",
            |path| {
                fs::create_dir_all(path.with_extension("real")).unwrap();
                symlink(path.with_extension("real"), path).unwrap();
            },
            |why| matches!(why, Rejection::Kind { expected: "a directory" }),
        ),
        (
            "a file",
            |path| {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            },
            |why| matches!(why, Rejection::Kind { expected: "a directory" }),
        ),
    ];
    for (name, prepare, expected) in cases {
        let (events, (_folder, cache)) = (Events::default(), place());
        prepare(&cache);
        let (from_cache, seen) = load_with(&events, &cache);
        assert!(!from_cache, "{name}");
        let unavailable = |event: &Event| matches!(event, Event::CacheUnavailable { why, .. } if expected(why));
        assert!(unavailable(&seen[0]), "{name}: {seen:?}");
        assert!(was_compiled(&seen), "{name}");
    }
}
