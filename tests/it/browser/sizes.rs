//! What the npm package takes to download, as `cargo xtask web` has recorded it.

use crate::support::project_root;
use crate::support::web::package;

/// Most bytes of a small module, as a server sends it.
const SMALL_BROTLI_BYTES: u64 = 400 << 10;

/// A module may have grown by one in so many since its sizes were recorded.
const GROWTH: u64 = 20;

/// The sizes of one module in `benches/sizes.toml`.
struct Sizes {
    file: String,
    linked_bytes: u64,
    bytes: u64,
    brotli_bytes: u64,
}

fn recorded() -> Vec<Sizes> {
    let path = project_root().join("benches/sizes.toml");
    let document: toml::Table = std::fs::read_to_string(path).expect("it is there").parse().expect("it is TOML");
    let sizes = document.into_iter().map(|(name, sizes)| {
        let number = |key: &str| {
            let number = sizes.get(key).and_then(toml::Value::as_integer).and_then(|number| u64::try_from(number).ok());
            number.unwrap_or_else(|| panic!("{name} has no {key}"))
        };
        let file = name.strip_prefix("@pannier/runtime/").expect("a module of the package").to_owned();
        let (linked_bytes, bytes, brotli_bytes) = (number("linked_bytes"), number("bytes"), number("brotli_bytes"));
        Sizes { file, linked_bytes, bytes, brotli_bytes }
    });
    sizes.collect()
}

#[test]
fn a_small_module_is_at_most_400_kib_to_download() {
    let is_small = |sizes: &Sizes| !["tract", "telemetry", "webgpu"].iter().any(|more| sizes.file.contains(more));
    let small: Vec<Sizes> = recorded().into_iter().filter(is_small).collect();
    assert_eq!(small.len(), 2);
    for Sizes { file, brotli_bytes, .. } in small {
        assert!(brotli_bytes <= SMALL_BROTLI_BYTES, "{file} takes {brotli_bytes} of {SMALL_BROTLI_BYTES} bytes");
    }
}

#[test]
fn the_sizes_that_are_recorded_are_those_of_the_modules() {
    for Sizes { file, linked_bytes, bytes, .. } in recorded() {
        let found = std::fs::metadata(package().join("wasm").join(&file)).expect("it is built").len();
        // As it is published, or as it is linked, which `cargo xtask web --quick` leaves it at.
        let is_recorded = found == bytes || found.abs_diff(linked_bytes) <= linked_bytes / GROWTH;
        assert!(is_recorded, "{file} has {found} bytes, not {bytes} or about {linked_bytes}: run `cargo xtask web`");
    }
}
