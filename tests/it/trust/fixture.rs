//! A small sealed bundle, keys that everybody knows, and the folder that the reference tool reads.

use std::borrow::Cow;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use pannier_bundle::manifest::{Envelope, Manifest, Reproducibility, Source};
use pannier_bundle::trust::Trust;
use pannier_bundle::write::{SealOptions, Sealed, SectionContent, content_id, seal};
use pannier_bundle::{Bundle, Limits, encode_versioned};
use pannier_packager::sign::PrivateKey;

/// The key of a seed, in PEM. Everybody can make it: these keys are for tests.
pub fn secret_pem(seed: u8) -> String {
    let secret = SecretKey::from_slice(&[seed; 32]).expect("a scalar below the order");
    secret.to_pkcs8_pem(LineEnding::LF).expect("PEM").to_string()
}

/// The key of a seed.
pub fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_pem(&secret_pem(seed), None).expect("a key")
}

/// A bundle named `small` of this version. Its content is noise, so that no version of an encoder changes its bytes.
pub fn sealed(version: &str) -> Sealed {
    let graph = noise(1, 700);
    let weights = noise(2, 5_000);
    let golden = noise(3, 90);
    let content = [("graph", &graph), ("golden", &golden), ("weights/0", &weights)];
    let section = |name: &str, bytes: Vec<u8>| SectionContent {
        name: name.to_owned(),
        bytes: Cow::Owned(bytes),
        element_bytes: 1,
        cuts: Vec::new(),
        critical: true,
    };
    let mut sections: Vec<_> = content.map(|(name, bytes)| section(name, bytes.clone())).into();
    let manifest = Manifest {
        name: "small".into(),
        version: version.into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: content_id(&sections).expect("known names"),
        opset: 21,
        inputs: Vec::new(),
        outputs: Vec::new(),
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 5_000, deadline_ms: 0 },
        reproducibility: Reproducibility::BitExact,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 21, options: Vec::new() },
    };
    sections.push(section("manifest", encode_versioned(Manifest::VERSION, &manifest)));
    seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(())).expect("a bundle")
}

/// Bytes that do not compress: Knuth's MMIX generator, the top byte of each state.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// A bundle signed by the keys of these seeds.
pub fn signed(sealed: &Sealed, seeds: &[u8]) -> Vec<u8> {
    let statement = sealed.statement("small");
    let signatures: Vec<Vec<u8>> = seeds.iter().map(|seed| key(*seed).sign_statement(&statement)).collect();
    sealed.assemble(&signatures).expect("a bundle")
}

/// Writes what the signatures cover as files: each section, and the header. Returns the files, signature not included.
pub fn unpack(bundle: &[u8], into: &Path) -> Vec<PathBuf> {
    let bundle = Bundle::open(bundle, &Limits::default()).expect("a bundle");
    let bundle = bundle.verify(&Trust::AllowUnsigned, None).expect("a bundle");
    let mut files = vec![into.join("header")];
    fs::create_dir_all(into).expect("a folder");
    fs::write(&files[0], bundle.header_bytes()).expect("a file");
    for section in &bundle.header().sections {
        let mut content = vec![0; usize::try_from(section.content_bytes).expect("small")];
        bundle.read_into(&section.name, &mut content).expect("content");
        let path = into.join(&section.name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        files.push(path);
    }
    files
}
