//! How fast a bundle is opened, verified and decoded, in bytes of content per second on one core.
//!
//! `cargo bench -p pannier-bundle --bench open`. The content is float weights: of the models in the folder that
//! `PANNIER_MODELS` names, taken as they are in their files, or made up where there are none.

use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pannier_bundle::manifest::{Envelope, Reproducibility, Source};
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_bundle::{Bundle, Decoder, FileSource, Limits, Manifest, Stream, Trust, encode_versioned};

fn open(criterion: &mut Criterion) {
    for (model, weights) in models() {
        let content_bytes = weights.len();
        let bundle = bundle_of(weights);
        let path = std::env::temp_dir().join(format!("pannier-bench-{}-{model}.pannier", std::process::id()));
        fs::write(&path, &bundle).expect("the temporary folder can be written");

        let mut group = criterion.benchmark_group(format!("open/{model}"));
        group.throughput(Throughput::Bytes(u64::try_from(content_bytes).expect("a size")));
        group.sample_size(20);
        let mut content = vec![0; content_bytes];
        for (name, decoder) in [("zstd", Decoder::native()), ("ruzstd", Decoder::portable())] {
            group.bench_function(format!("{name}, memory"), |bencher| {
                bencher.iter(|| read(&*bundle, decoder, &mut content));
            });
            group.bench_function(format!("{name}, file"), |bencher| {
                bencher.iter(|| read(FileSource::open(&path).expect("the file is there"), decoder, &mut content));
            });
            group.bench_function(format!("{name}, stream"), |bencher| {
                bencher.iter(|| {
                    let mut stream = Stream::new(Limits::default(), Trust::AllowUnsigned, None).with_decoder(decoder);
                    for piece in bundle.chunks(64 << 10) {
                        black_box(stream.push(piece).expect("a valid bundle"));
                    }
                    stream.finish().expect("a whole bundle");
                });
            });
        }
        group.bench_function("stored digests only", |bencher| {
            let bundle = Bundle::open(&*bundle, &Limits::default()).expect("a valid bundle");
            let bundle = bundle.verify(&Trust::AllowUnsigned, None).expect("a valid bundle");
            bencher.iter(|| bundle.check_stored(&mut quietly).expect("a valid bundle"));
        });
        group.finish();
        fs::remove_file(&path).expect("the file is ours");
    }
}

/// Opens a bundle and reads its weights.
fn read<S: pannier_bundle::Source>(source: S, decoder: Decoder, content: &mut [u8]) {
    let bundle = Bundle::open(source, &Limits::default()).expect("a valid bundle").with_decoder(decoder);
    let bundle = bundle.verify(&Trust::AllowUnsigned, None).expect("a valid bundle");
    bundle.read_into("weights/0", content).expect("a valid bundle");
}

fn quietly(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Names and weights.
fn models() -> Vec<(String, Vec<u8>)> {
    let folder = std::env::var_os("PANNIER_MODELS").map(PathBuf::from);
    let folders = folder.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let mut models: Vec<_> = folders
        .filter_map(|entry| {
            let bytes = fs::read(entry.path().join("model.onnx")).ok()?;
            // Weights lie in the file as they are; whole elements, so that planes are tried.
            Some((entry.file_name().to_string_lossy().into_owned(), bytes[..bytes.len() / 64 * 64].to_vec()))
        })
        .collect();
    models.sort();
    if models.is_empty() {
        models.push(("made-up".into(), made_up(16 << 20)));
    }
    models
}

/// Numbers whose sign and exponent compress to about a third and whose mantissa does not compress, as in trained
/// weights.
fn made_up(size_bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from_bits((state >> 41) as u32 | 0x3f80_0000) - 1.5
    };
    (0..size_bytes / 4).flat_map(|_| ((uniform() + uniform() + uniform()) * 0.05).to_le_bytes()).collect()
}

fn bundle_of(weights: Vec<u8>) -> Vec<u8> {
    let section = |name: &str, bytes: Vec<u8>, element_bytes| SectionContent {
        name: name.into(),
        bytes: bytes.into(),
        element_bytes,
        cuts: Vec::new(),
        critical: true,
    };
    let mut sections = vec![section("weights/0", weights, 4)];
    let manifest = Manifest {
        name: "bench".into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: content_id(&sections).expect("known names"),
        opset: 21,
        inputs: Vec::new(),
        outputs: Vec::new(),
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 21, options: Vec::new() },
    };
    sections.push(section("manifest", encode_versioned(Manifest::VERSION, &manifest), 1));
    let sealed = seal(sections, &SealOptions::default(), &mut quietly).expect("valid sections");
    sealed.assemble(&[]).expect("a small bundle")
}

criterion_group!(benches, open);
criterion_main!(benches);
