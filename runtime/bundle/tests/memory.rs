//! Peak memory while a bundle is opened and read: the content and at most 4 MiB.
//!
//! A process of its own, because the allocator counts for the whole process. The C decoder's own memory (a context of
//! some 100 KiB) is not the Rust allocator's and is not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use pannier_bundle::manifest::{Envelope, Reproducibility, Source};
use pannier_bundle::write::{SealOptions, SectionContent, content_id, seal};
use pannier_bundle::{Bundle, Decoder, FileSource, Limits, Manifest, Stream, Trust, encode_versioned};

/// Counts what is allocated, and remembers the most.
struct Counting;

static NOW_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW_BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK_BYTES.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that is allowed beside the content.
const OVERHEAD_BYTES: usize = 4 << 20;

#[test]
fn opening_needs_the_content_and_at_most_4_mib() {
    let path = std::env::temp_dir().join(format!("pannier-memory-{}.pannier", std::process::id()));
    std::fs::write(&path, large_bundle()).unwrap();
    let mut wrong = Vec::new();
    for decoder in [Decoder::portable(), Decoder::native()] {
        let (at_random, streamed) = (peak(|| read_file(&path, decoder)), peak(|| stream_file(&path, decoder)));
        for (how, (content_bytes, peak_bytes)) in [("random access", at_random), ("stream", streamed)] {
            let overhead = peak_bytes - content_bytes;
            println!("{decoder:?}, {how}: content {content_bytes} bytes and {overhead} bytes more");
            if overhead > OVERHEAD_BYTES {
                wrong.push(format!("{decoder:?}, {how}: {overhead} bytes beside {content_bytes} bytes of content"));
            }
        }
    }
    std::fs::remove_file(&path).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `work` returns, and the most memory that it held.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW_BYTES.load(Ordering::Relaxed);
    PEAK_BYTES.store(before, Ordering::Relaxed);
    let result = work();
    (result, PEAK_BYTES.load(Ordering::Relaxed) - before)
}

fn read_file(path: &std::path::Path, decoder: Decoder) -> usize {
    let bundle = Bundle::open(FileSource::open(path).unwrap(), &Limits::default()).unwrap();
    let bundle = bundle.with_decoder(decoder).verify(&Trust::AllowUnsigned, None).unwrap();
    let mut contents = Vec::new();
    for section in &bundle.header().sections {
        let mut content = vec![0; usize::try_from(section.content_bytes).unwrap()];
        bundle.read_into(&section.name, &mut content).unwrap();
        contents.push(content);
    }
    contents.iter().map(Vec::len).sum()
}

fn stream_file(path: &std::path::Path, decoder: Decoder) -> usize {
    use std::io::Read;
    let mut file = std::fs::File::open(path).unwrap();
    let mut stream = Stream::new(Limits::default(), Trust::AllowUnsigned, None).with_decoder(decoder);
    let mut events = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        events.extend(stream.push(&buffer[..count]).unwrap());
    }
    stream.finish().unwrap();
    let length =
        |event: &_| if let pannier_bundle::Event::Section { content, .. } = event { Vec::len(content) } else { 0 };
    events.iter().map(length).sum()
}

/// 24 MiB whose chunks are as large as chunks can be: halves, singles and bytes that compress as a whole.
fn large_bundle() -> Vec<u8> {
    let noise = |count: u32| (0..count).map(|i| (u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8);
    let text: Vec<u8> = noise(8 << 20).map(|byte| byte & 3).collect();
    let halves: Vec<u8> = noise(4 << 20).flat_map(|low| [low & 0x0f, 0x3c | low & 3]).collect();
    let singles: Vec<u8> = noise(2 << 20).flat_map(|low| [low, low & 0x1f, low & 7, 0x3f]).collect();
    let section = |number, bytes: Vec<u8>, element_bytes| SectionContent {
        name: format!("weights/{number}"),
        bytes: bytes.into(),
        element_bytes,
        cuts: Vec::new(),
        critical: true,
    };
    let mut sections = vec![section(0, text, 1), section(1, halves, 2), section(2, singles, 4)];
    let manifest = Manifest {
        name: "large".into(),
        version: "1.0.0".into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: content_id(&sections).unwrap(),
        opset: 21,
        inputs: Vec::new(),
        outputs: Vec::new(),
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 21, options: Vec::new() },
    };
    let manifest = encode_versioned(Manifest::VERSION, &manifest);
    sections.push(SectionContent { name: "manifest".into(), ..section(0, manifest, 1) });
    let sealed = seal(sections, &SealOptions::default(), &mut |_, _| ControlFlow::Continue(())).unwrap();
    let compressed = sealed.header().sections.iter().all(|section| section.stored_bytes < section.content_bytes);
    assert!(compressed, "nothing to decode");
    sealed.assemble(&[]).unwrap()
}
