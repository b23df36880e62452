//! How a bundle is read: what a prefix needs, what a stream gives and when, what a changing source can do.

use std::cell::RefCell;
use std::ops::ControlFlow;

use pannier_bundle::write::with_signatures;
use pannier_bundle::{
    Bundle, Code, Error, Event, FileSource, FromPrefix, Limits, Preflight, Source, Stream, Trust, decode_versioned,
};

use crate::support::{content, floats, key, manifest, public_key, quietly, sample, sealed_with, sign, signed};

fn trust() -> Trust {
    Trust::Keys(vec![public_key(&key(1))])
}

#[test]
fn a_prefix_says_exactly_how_many_bytes_it_needs() {
    let bytes = signed(&sample(), &[&key(1)]);
    let mut length = 0;
    let mut steps = Vec::new();
    let preflight = loop {
        match Preflight::from_prefix(&bytes[..length], &Limits::default()).unwrap() {
            FromPrefix::NeedMore { bytes: needed } => {
                // One byte less is not enough, and says the same.
                match Preflight::from_prefix(&bytes[..needed as usize - 1], &Limits::default()).unwrap() {
                    FromPrefix::NeedMore { bytes } => assert_eq!(bytes, needed),
                    FromPrefix::Ready(_) => panic!("{needed} bytes were not needed"),
                }
                length = needed as usize;
                steps.push(needed);
            }
            FromPrefix::Ready(preflight) => break preflight,
        }
    };
    assert_eq!(steps.len(), 3, "preamble, header and signatures, manifest: {steps:?}");
    assert_eq!(preflight.file_bytes(), bytes.len() as u64);
    assert_eq!(preflight.manifest().name, "sample");
    assert!(preflight.verify(&trust(), None).unwrap().is_trusted());
    assert_eq!(preflight.read("card").unwrap_err().code(), Code::Truncated);

    let end = preflight.section_end("card").unwrap() as usize;
    let FromPrefix::Ready(longer) = Preflight::from_prefix(&bytes[..end], &Limits::default()).unwrap() else {
        panic!("more is not enough");
    };
    assert_eq!(longer.read("card").unwrap(), b"# A model\n");
}

#[test]
fn a_stream_gives_the_same_whatever_the_pieces() {
    let bytes = signed(&sample(), &[&key(1)]);
    for piece_bytes in [1, 2, 63, 64, 65, 1000, bytes.len()] {
        let mut stream = Stream::new(Limits::default(), trust(), None);
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece_bytes) {
            for event in stream.push(piece).unwrap() {
                seen.push(match event {
                    Event::Opened(opened) => {
                        assert!(opened.verdict.is_trusted());
                        format!("opened {}", opened.manifest.name)
                    }
                    Event::Section { name, .. } => name,
                    _ => "?".into(),
                });
            }
        }
        assert_eq!(seen, ["opened sample", "manifest", "card", "weights/0"], "pieces of {piece_bytes}");
        assert_eq!(stream.file_bytes(), Some(bytes.len() as u64));
        stream.finish().unwrap();
    }
}

#[test]
fn a_stream_stops_at_the_first_byte_that_decides() {
    let sealed = sample();
    let good = signed(&sealed, &[&key(1)]);
    let open = Bundle::open(&*good, &Limits::default()).unwrap();
    let body = good.len() - open.header().sections.iter().map(|s| s.offset + s.stored_bytes).max().unwrap() as usize;
    let card = open.header().section("card").unwrap();
    let card_end = body + (card.offset + card.stored_bytes) as usize;
    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    let cases = [
        ("a wrong preamble", flipped(0), trust(), 24),
        ("a wrong table", flipped(30), trust(), body),
        ("no trust", signed(&sealed, &[&key(1)]), Trust::Keys(vec![public_key(&key(3))]), body),
        ("a wrong card", flipped(card_end - 1), trust(), card_end),
    ];
    for (what, bytes, trust, stops_at) in cases {
        let mut stream = Stream::new(Limits::default(), trust, None);
        let stopped =
            (0..bytes.len()).find(|index| stream.push(&bytes[*index..=*index]).is_err()).map(|index| index + 1);
        assert_eq!(stopped, Some(stops_at), "{what}");
        let again = stream.push(b"more").unwrap_err();
        assert_eq!(stream.finish().unwrap_err(), again, "{what}: a failed stream stays failed");
    }
}

#[test]
fn nothing_is_allocated_for_content_before_trust_is_decided() {
    let bytes = signed(&sample(), &[&key(3)]);
    let allocate = |_: &pannier_bundle::Section| -> Vec<u8> { panic!("allocated for an untrusted bundle") };
    let mut stream = Stream::with_buffers(Limits::default(), trust(), None, allocate);
    assert_eq!(stream.push(&bytes).unwrap_err().code(), Code::UntrustedKey);
}

#[test]
fn a_stream_decodes_into_the_callers_memory() {
    /// Memory that fits one section, with room behind it that must stay as it is.
    struct Slot(Vec<u8>, usize);
    impl AsMut<[u8]> for Slot {
        fn as_mut(&mut self) -> &mut [u8] {
            &mut self.0[..self.1]
        }
    }
    let bytes = signed(&sample(), &[&key(1)]);
    let allocate = |section: &pannier_bundle::Section| {
        let length = section.content_bytes as usize;
        Slot(vec![0xee; length + 64], length)
    };
    let mut stream = Stream::with_buffers(Limits::default(), trust(), None, allocate);
    let mut weights = None;
    for event in stream.push(&bytes).unwrap() {
        if let Event::Section { name, content } = event {
            assert!(content.0[content.1..].iter().all(|byte| *byte == 0xee), "{name}");
            weights = (name == "weights/0").then_some(content.0);
        }
    }
    assert_eq!(weights.unwrap()[..600], floats(150));

    let short = |_: &pannier_bundle::Section| vec![0; 3];
    let mut stream = Stream::with_buffers(Limits::default(), trust(), None, short);
    assert!(matches!(stream.push(&bytes), Err(Error::BufferSize { actual_bytes: 3, .. })));
}

#[test]
fn a_source_that_changes_between_two_reads_is_caught() {
    /// Gives good bytes the first time that a place is read, and other bytes after that.
    struct Fickle(Vec<u8>, RefCell<Vec<bool>>);
    impl Source for Fickle {
        fn size_bytes(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
            self.0.read_at(offset, into)?;
            for (byte, read) in into.iter_mut().zip(&mut self.1.borrow_mut()[offset as usize..]) {
                *byte ^= u8::from(*read);
                *read = true;
            }
            Ok(())
        }
    }
    let bytes = signed(&sample(), &[&key(1)]);
    let count = bytes.len();
    let bundle = Bundle::open(Fickle(bytes, RefCell::new(vec![false; count])), &Limits::default()).unwrap();
    let bundle = bundle.verify(&trust(), None).unwrap();
    assert_eq!(bundle.read("card").unwrap(), b"# A model\n");
    assert_eq!(bundle.read("card").unwrap_err().code(), Code::Corrupt);
}

#[test]
fn files_are_sources() {
    let folder = std::env::temp_dir().join(format!("pannier-bundle-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("sample.pannier");
    let bytes = signed(&sample(), &[&key(1)]);
    std::fs::write(&path, &bytes).unwrap();

    let bundle = Bundle::open(FileSource::open(&path).unwrap(), &Limits::default()).unwrap();
    let bundle = bundle.verify(&trust(), None).unwrap();
    bundle.check_stored(&mut quietly).unwrap();
    // The file is cut short after it was verified.
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert_eq!(bundle.check_contents(&mut quietly).unwrap_err().code(), Code::Truncated);

    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(FileSource::open(&path).unwrap_err().code(), Code::InputMissing);
    assert_eq!(FileSource::open("/").unwrap_err().code(), Code::InputMissing);
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    let bytes = signed(&sample(), &[&key(1)]);
    let bundle = Bundle::open(bytes, &Limits::default()).unwrap().verify(&trust(), None).unwrap();
    let messages = [
        (bundle.read("graph").unwrap_err(), "the bundle has no section `graph`"),
        (bundle.read_into("card", &mut [0; 3]).unwrap_err(), "section `card` has 10 bytes, the buffer 3"),
        (bundle.check_stored(&mut |_, _| ControlFlow::Break(())).unwrap_err(), "interrupted"),
        (bundle.check_contents(&mut |_, _| ControlFlow::Break(())).unwrap_err(), "interrupted"),
    ];
    for (error, message) in messages {
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn progress_counts_to_its_total() {
    let weights = floats(600_000);
    let bytes = sealed_with(manifest("m", "1.0.0"), vec![content("weights/0", weights, 4)]).assemble(&[]).unwrap();
    let bundle = Bundle::open(bytes, &Limits::default()).unwrap().verify(&Trust::AllowUnsigned, None).unwrap();
    let content_bytes = bundle.header().content_bytes();
    let stored_bytes: u64 = bundle.header().sections.iter().map(|section| section.stored_bytes).sum();
    let mut seen = Vec::new();
    bundle
        .check_contents(&mut |done, total| {
            seen.push((done, total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(seen.is_sorted() && seen.len() > 2, "{seen:?}");
    assert_eq!(seen.last(), Some(&(content_bytes, content_bytes)));
    bundle
        .check_stored(&mut |done, total| {
            seen.push((done, total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen.last(), Some(&(stored_bytes, stored_bytes)));
}

#[test]
fn signatures_change_nothing_that_another_signature_covers() {
    let sealed = sample();
    let one = signed(&sealed, &[&key(1)]);
    let second = sign(&key(2), sealed.header_bytes(), sealed.header());
    let first = Bundle::open(&*one, &Limits::default()).unwrap().signatures().to_vec();
    let both = with_signatures(&one, &[first, vec![second]].concat()).unwrap();
    assert_eq!(both, signed(&sealed, &[&key(1), &key(2)]));
    assert_eq!(with_signatures(&both, &[]).unwrap(), sealed.assemble(&[]).unwrap());
    assert_eq!(with_signatures(&both[1..], &[]).unwrap_err().code(), Code::Corrupt);
    let _: pannier_bundle::Manifest = {
        let bundle = Bundle::open(&*both, &Limits::default()).unwrap().verify(&trust(), None).unwrap();
        decode_versioned(&bundle.read("manifest").unwrap(), 1).unwrap()
    };
}
