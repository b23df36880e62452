//! What opening and running cost, on the bundles that `cargo xtask bench` left in the cache. Without them there is
//! nothing to measure, and this says so.

use criterion::{Criterion, criterion_group, criterion_main};
use pannier::{Options, PublicKey, Session, Trust};
use pannier_benches::cases::Case;
use std::hint::black_box;
use std::path::PathBuf;

fn sessions(criterion: &mut Criterion) {
    let Some(folder) = bundle_folder() else {
        eprintln!("no bundles to measure: `cargo xtask bench` leaves some");
        return;
    };
    let key = std::fs::read_to_string(folder.join("bench.pub")).expect("the key beside the bundles");
    let trust = Trust::Keys(vec![PublicKey::from_pem(&key).expect("a public key")]);
    let options = Options { self_test: false, ..Options::default() };
    for name in ["magika", "ocr-cls", "ocr-det", "ocr-rec", "silero-vad"] {
        let bundle = folder.join(format!("{name}.pannier"));
        let session = Session::open(&bundle, &trust, &options).expect("a bundle that opens");
        let case =
            Case::first(&folder.join(format!("{name}.npz")), session.manifest()).expect("a case for every input");
        criterion.bench_function(&format!("run/{name}"), |bencher| {
            bencher.iter(|| session.run(black_box(&case.inputs)).expect("a run"));
        });
        criterion.bench_function(&format!("open/{name}"), |bencher| {
            bencher.iter(|| Session::open(black_box(&bundle), &trust, &options).expect("a bundle that opens"));
        });
    }
}

fn bundle_folder() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let folder = cache.join("pannier/bench");
    folder.join("bench.pub").exists().then_some(folder)
}

criterion_group!(benches, sessions);
criterion_main!(benches);
