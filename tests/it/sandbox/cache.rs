//! What is kept between commands: used when it is whole, and when it is not, rejected, made anew, and said.
#![cfg(unix)]

use crate::cli::fixture::folder;
use crate::support::packager::{Ran, packager_command};
use crate::support::{sandbox, temp_dir};
use std::path::{Path, PathBuf};

/// `packager run --sandbox` with a cache of its own.
fn run(folder: &Path, cache_home: &Path) -> Ran {
    let line = "run model.pannier notes.txt --key publisher.pub --sandbox --progress none";
    let mut command = packager_command(folder);
    command.env("XDG_CACHE_HOME", cache_home).args(line.split_whitespace());
    command.output().expect("packager starts").into()
}

/// The files of a cache whose name begins so.
fn files(cache: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cache).expect("the cache is there").map(|entry| entry.expect("it can be listed"));
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(kind));
    named.map(|entry| entry.path()).collect()
}

fn flip_a_byte(file: &Path) {
    let mut bytes = std::fs::read(file).expect("it is readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("it is writable");
}

#[test]
fn tampered_code_and_images_are_rejected_rebuilt_and_reported() {
    sandbox::fast();
    let (folder, home) = (folder(), temp_dir());
    let cache = home.path().join("pannier/sandbox");
    sandbox::copy_guest(&sandbox::cache(), &cache);

    let first = run(folder.path(), home.path()).expect(0);
    assert!(!first.stderr.contains("compiling"), "the code is in the cache: {}", first.stderr);
    let answer = |ran: &Ran| ran.stdout.split_whitespace().take(3).collect::<Vec<_>>().join(" ");

    let images = files(&cache, "image-");
    assert_eq!(images.len(), 1, "one model, one image");
    flip_a_byte(&images[0]);
    let rejected = run(folder.path(), home.path()).expect(0);
    let warning = format!("warning: `{}` is not used and is made anew: ", images[0].display());
    assert!(rejected.stderr.contains(&warning), "{}", rejected.stderr);
    assert_eq!(answer(&rejected), answer(&first));
    assert_eq!(run(folder.path(), home.path()).expect(0).stderr, "", "the image was made anew");

    let code = files(&cache, "code-");
    code.iter().for_each(|file| flip_a_byte(file));
    let rejected = run(folder.path(), home.path()).expect(0);
    let said =
        code.iter().filter(|file| rejected.stderr.contains(&format!("warning: `{}` is", file.display()))).count();
    assert_eq!(said, 1, "the code that was needed: {}", rejected.stderr);
    assert!(rejected.stderr.contains("compiling the sandbox's guest"), "{}", rejected.stderr);
    assert_eq!(answer(&rejected), answer(&first));
    assert_eq!(run(folder.path(), home.path()).expect(0).stderr, "", "the code was made anew");
}
