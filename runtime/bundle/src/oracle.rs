//! What must hold for any bytes. The fuzz targets call these functions, and so do the property tests.
//!
//! Each function panics where a property is broken and returns quietly otherwise, whether or not the bytes were
//! accepted.

#![expect(clippy::panic, reason = "a broken property is reported by a panic")]

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use sha2::{Digest, Sha256};

use crate::frame::FrameReader;
use crate::header::{Header, PREAMBLE_BYTES, Preamble, size};
use crate::{Bundle, Decoder, Error, Event, FromPrefix, Limits, Manifest, Policy, Preflight, Stream, Trust, trust};

/// Limits that keep one run of an oracle short.
pub fn limits() -> Limits {
    Limits { header_bytes: 1 << 20, content_bytes: 16 << 20, small_section_bytes: 16 << 20, ..Limits::default() }
}

type Outcome = Result<Vec<(String, Vec<u8>)>, Error>;

/// Any bytes as a file: both decoders, random access and stream accept the same files and read the same from them, and
/// a flipped bit is not accepted.
///
/// A file that breaks several rules may be refused for any of them, in the order in which a reader meets them.
pub fn bundle(bytes: &[u8]) {
    let reference = random_access(bytes, Decoder::portable());
    let native = random_access(bytes, Decoder::native());
    assert!(reference == native, "two decoders differ: {:?}, {:?}", reference.err(), native.err());
    for (decoder, piece_bytes) in [(Decoder::portable(), usize::MAX), (Decoder::native(), 1009)] {
        match (&reference, stream(bytes, decoder, piece_bytes)) {
            (Ok(reference), Ok(streamed)) => assert!(*reference == streamed, "a stream reads different content"),
            (Err(_), Err(_)) => (),
            (Ok(_), Err(error)) => panic!("only the stream refuses it: {error}"),
            (Err(error), Ok(_)) => panic!("only the stream accepts it: {error}"),
        }
    }
    let middle = bytes.len() / 2;
    if reference.is_ok()
        && let Some((before, [byte, after @ ..])) = bytes.split_at_checked(middle)
    {
        let flipped = [before, &[byte ^ 1], after].concat();
        assert!(random_access(&flipped, Decoder::portable()).is_err(), "a flipped bit was accepted");
    }
}

/// Any bytes as a file whose digests are right: what an attacker would send to a reader that trusts anybody.
pub fn resealed(bytes: &[u8]) {
    let mut file = bytes.to_vec();
    fix_block_digest(&mut file);
    bundle(&file);
}

/// Any bytes as the header: what decodes encodes to the same bytes.
pub fn header(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first_chunk::<4>() else { return };
    if let Ok(header) = Header::decode(bytes, u32::from_le_bytes(*length).into(), &limits()) {
        assert!(header.encode() == bytes, "a header with two encodings");
        for section in &header.sections {
            assert!(!section.name.contains("..") && !section.name.starts_with('/'), "a name that leaves the folder");
        }
    }
}

/// Any bytes as a compressed plane, after two bytes of content size: decoders neither panic nor write less than they say.
///
/// Of a corrupt frame two decoders may make different content without noticing: zstd has no redundancy but its checksum.
/// That is why the digest of the stored bytes is checked first, and the digest of the content says which is right.
pub fn frame(bytes: &[u8]) {
    let Some((size, stored)) = bytes.split_first_chunk::<2>() else { return };
    let content_bytes = usize::from(u16::from_le_bytes(*size));
    for decoder in [Decoder::portable(), Decoder::native()] {
        let decode = |fill| {
            let mut content = vec![fill; content_bytes];
            FrameReader::new(decoder).decode(stored, &mut content).map(|()| content)
        };
        assert!(decode(0) == decode(0xff), "bytes of the content were left as they were");
    }
}

/// Any bytes as the start of a file: what a prefix needs is more than it has, and enough is enough.
pub fn preflight(bytes: &[u8]) {
    if let Ok(FromPrefix::NeedMore { bytes: needed }) = Preflight::from_prefix(bytes, &limits()) {
        assert!(needed > crate::header::bytes(bytes.len()), "it needs no more than it has");
    }
    let trust = Trust::AllowUnsigned;
    if let Ok(bundle) = Bundle::open(bytes, &limits()).and_then(|bundle| bundle.verify(&trust, None)) {
        match Preflight::from_prefix(bytes, &limits()) {
            Ok(FromPrefix::Ready(preflight)) => assert!(preflight.manifest() == bundle.manifest()),
            other => panic!("a whole file is not enough: {other:?}"),
        }
    }
}

/// Any bytes as a manifest: what decodes encodes to the same bytes.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = crate::decode_versioned::<Manifest>(bytes, Manifest::VERSION) {
        assert!(crate::encode_versioned(Manifest::VERSION, &manifest) == bytes, "a manifest with two encodings");
    }
}

/// Any text as a trust policy, and any bytes as a signature under it: nothing that was not signed is trusted.
pub fn trust(bytes: &[u8]) {
    let header = Header { sections: Vec::new() };
    let header_bytes = header.encode();
    let signatures = [bytes.to_vec()];
    let mut trusts = vec![Trust::Keys(Vec::new())];
    if let Ok(policy) = core::str::from_utf8(bytes).map_err(|_| ()).and_then(|text| {
        let policy = Policy::from_toml(text);
        policy.map_err(|error| assert!(!error.to_string().is_empty()))
    }) {
        trusts.push(Trust::Policy(policy));
    }
    for trust in &trusts {
        if let Ok(verdict) = trust::verify(&header_bytes, &header, &signatures, trust, Some(0)) {
            assert!(!verdict.is_trusted(), "trusted without a signature");
        }
    }
}

fn random_access(bytes: &[u8], decoder: Decoder) -> Outcome {
    let bundle = Bundle::open(bytes, &limits())?.with_decoder(decoder).verify(&Trust::AllowUnsigned, None)?;
    let mut contents = Vec::new();
    for section in &bundle.header().sections {
        let mut content = vec![0; usize::try_from(section.content_bytes).unwrap_or(0)];
        bundle.read_into(&section.name, &mut content)?;
        contents.push((section.name.clone(), content));
    }
    if bundle.check_contents(&mut |_, _| ControlFlow::Continue(())).is_ok() {
        for ((_, content), section) in contents.iter().zip(&bundle.header().sections) {
            assert!(<[u8; 32]>::from(Sha256::digest(content)) == section.sha256, "read and checked content differ");
        }
    }
    Ok(contents)
}

fn stream(bytes: &[u8], decoder: Decoder, piece_bytes: usize) -> Outcome {
    let mut stream = Stream::new(limits(), Trust::AllowUnsigned, None).with_decoder(decoder);
    let mut contents = Vec::new();
    for piece in bytes.chunks(piece_bytes.min(bytes.len()).max(1)) {
        for event in stream.push(piece)? {
            if let Event::Section { name, content } = event {
                assert!(content.len() <= usize::try_from(limits().content_bytes).unwrap_or(0));
                contents.push((name, content));
            }
        }
    }
    stream.finish()?;
    Ok(contents)
}

/// Makes the digest at the end of the signature block right, where there is a block.
fn fix_block_digest(file: &mut [u8]) {
    let Ok(preamble) = Preamble::decode(file, &limits()) else { return };
    let end =
        PREAMBLE_BYTES.saturating_add(size(preamble.header_bytes)).saturating_add(size(preamble.signatures_bytes));
    let Some((covered, digest)) = file.get_mut(..end).and_then(|prefix| prefix.split_last_chunk_mut::<32>()) else {
        return;
    };
    *digest = Sha256::digest(covered).into();
}
