//! Small bundles, keys and readers that the tests and the generator of the vectors share.

use std::ops::ControlFlow;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use pannier_bundle::header::{Chunk, Codec, Kind, Plane, Preamble};
use pannier_bundle::manifest::{Envelope, Reproducibility, Source};
use pannier_bundle::trust::{pae, sigstore_bundle, statement_payload};
use pannier_bundle::write::{SealOptions, Sealed, SectionContent, content_id, seal};
use pannier_bundle::{Bundle, Decoder, Error, Event, Header, Limits, Manifest, PublicKey, Section, Stream, Trust};
use sha2::{Digest, Sha256};

/// The time at which policies are evaluated: 2026-01-01T00:00:00Z.
pub const NOW_UNIX_S: u64 = 1_767_225_600;

/// A progress callback that does not care.
pub fn quietly(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A manifest that every field but the bundle id is small in.
pub fn manifest(name: &str, version: &str) -> Manifest {
    Manifest {
        name: name.into(),
        version: version.into(),
        description: String::new(),
        licence: String::new(),
        created_by: String::new(),
        bundle_id: [0; 32],
        opset: 21,
        inputs: Vec::new(),
        outputs: Vec::new(),
        envelope: Envelope { peak_memory_bytes: 0, weight_bytes: 0, deadline_ms: 0 },
        reproducibility: Reproducibility::Tolerance,
        target_hints: Vec::new(),
        quantization: Vec::new(),
        source: Source { format: "onnx".into(), sha256: [0; 32], opset: 21, options: Vec::new() },
    }
}

pub fn content(name: &str, bytes: impl Into<Vec<u8>>, element_bytes: u8) -> SectionContent<'static> {
    SectionContent { name: name.into(), bytes: bytes.into().into(), element_bytes, cuts: Vec::new(), critical: true }
}

/// Seals these sections behind a manifest with their bundle id.
pub fn sealed_with(mut manifest: Manifest, sections: Vec<SectionContent<'static>>) -> Sealed {
    manifest.bundle_id = content_id(&sections).unwrap();
    sealed_as_is(&manifest, sections)
}

/// Seals these sections behind the manifest as it is.
pub fn sealed_as_is(manifest: &Manifest, mut sections: Vec<SectionContent<'static>>) -> Sealed {
    sections.push(content("manifest", pannier_bundle::encode_versioned(Manifest::VERSION, manifest), 1));
    seal(sections, &SealOptions::default(), &mut quietly).unwrap()
}

/// The signed bundle of many tests: a card and some weights.
pub fn sample() -> Sealed {
    let weights = floats(150);
    let sections = vec![content("card", "# A model\n", 1), content("weights/0", weights, 4)];
    sealed_with(manifest("sample", "1.2.0"), sections)
}

/// `count` numbers whose high bytes compress and whose low bytes do not, as in trained weights.
pub fn floats(count: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let value = |bits: u32| f32::from_bits(bits >> 9 | 0x3f80_0000) - 1.5;
    (0..count).flat_map(|_| (value(next()) * value(next()) * 0.1).to_le_bytes()).collect()
}

/// Puts a file together from parts that need not make sense; only the digest in the signature block is right.
pub fn file(header_bytes: &[u8], body: &[u8], signatures: &[Vec<u8>]) -> Vec<u8> {
    let mut block = (signatures.len() as u32).to_le_bytes().to_vec();
    for signature in signatures {
        block.extend((signature.len() as u32).to_le_bytes());
        block.extend(signature);
    }
    file_with_block(header_bytes, body, &block)
}

/// The same with a signature block that is right only in its digest.
pub fn file_with_block(header_bytes: &[u8], body: &[u8], block: &[u8]) -> Vec<u8> {
    let preamble = Preamble {
        header_bytes: header_bytes.len() as u32,
        signatures_bytes: block.len() as u32 + 32,
        body_bytes: body.len() as u64,
    };
    let mut file = preamble.encode().to_vec();
    file.extend(header_bytes);
    file.extend(block);
    let digest = sha256(&file);
    file.extend(digest);
    file.extend(body);
    file
}

/// Takes a bundle apart: table and body.
pub fn parts(sealed: &Sealed) -> (Header, Vec<u8>) {
    let file = sealed.assemble(&[]).unwrap();
    let preamble = Preamble::decode(&file, &Limits::default()).unwrap();
    (sealed.header().clone(), file[preamble.body_offset() as usize..].to_vec())
}

/// A section of one chunk with one plane.
pub fn section(kind: Kind, name: &str, codec: Codec, stored: &[u8], content: &[u8]) -> Section {
    let plane = Plane { codec, stored_bytes: stored.len() as u32 };
    let chunk = Chunk { content_bytes: content.len() as u32, sha256: sha256(stored), planes: vec![plane] };
    Section {
        kind,
        name: name.into(),
        critical: false,
        offset: 0,
        stored_bytes: stored.len() as u64,
        content_bytes: content.len() as u64,
        sha256: sha256(content),
        chunks: vec![chunk],
    }
}

/// Lays sections out behind a manifest with the right bundle id. The table need not be valid otherwise.
pub fn lay_out(mut sections: Vec<(Section, Vec<u8>)>) -> (Header, Vec<u8>) {
    let mut manifest = manifest("crafted", "1.0.0");
    manifest.bundle_id = Sha256::digest(sections.iter().flat_map(|(s, _)| s.sha256).collect::<Vec<u8>>()).into();
    let bytes = pannier_bundle::encode_versioned(Manifest::VERSION, &manifest);
    sections.insert(0, (section(Kind::Manifest, "manifest", Codec::Raw, &bytes, &bytes), bytes));
    let mut body = Vec::new();
    for (section, stored) in &mut sections {
        body.resize(body.len().next_multiple_of(64), 0);
        section.offset = body.len() as u64;
        body.extend(&*stored);
    }
    (Header { sections: sections.into_iter().map(|(section, _)| section).collect() }, body)
}

/// A key that is the same in every run. Never use such keys: anybody can make them.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

pub fn public_key(key: &SigningKey) -> PublicKey {
    PublicKey::from_pem(&key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap()).unwrap()
}

/// Signs a section table as `packager sign` does (RFC 6979: no randomness).
pub fn sign(key: &SigningKey, header_bytes: &[u8], header: &Header) -> Vec<u8> {
    let payload = statement_payload("sample", header_bytes, header);
    let signature: Signature = key.sign(&pae(&payload));
    sigstore_bundle(&payload, signature.to_der().as_bytes(), public_key(key).fingerprint())
}

pub fn signed(sealed: &Sealed, keys: &[&SigningKey]) -> Vec<u8> {
    let signatures: Vec<Vec<u8>> = keys.iter().map(|key| sign(key, sealed.header_bytes(), sealed.header())).collect();
    sealed.assemble(&signatures).unwrap()
}

/// Name and content of each section.
pub type Contents = Vec<(String, Vec<u8>)>;

/// How a reader goes through a file.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    RandomAccess,
    /// In pieces of this many bytes.
    Stream(usize),
}

pub const WAYS: &[Way] = &[Way::RandomAccess, Way::Stream(usize::MAX), Way::Stream(997)];

/// Reads everything that a bundle holds and checks everything that can be checked.
pub fn read_all(bytes: &[u8], trust: &Trust, limits: &Limits, decoder: Decoder, way: Way) -> Result<Contents, Error> {
    let contents = match way {
        Way::RandomAccess => {
            let bundle = Bundle::open(bytes, limits)?.with_decoder(decoder).verify(trust, Some(NOW_UNIX_S))?;
            bundle.check_stored(&mut quietly)?;
            let mut contents = Vec::new();
            for section in &bundle.header().sections {
                let mut content = vec![0xaa; usize::try_from(section.content_bytes).unwrap()];
                bundle.read_into(&section.name, &mut content)?;
                contents.push((section.name.clone(), content));
            }
            bundle.check_contents(&mut quietly)?;
            contents
        }
        Way::Stream(piece_bytes) => {
            let stream = Stream::new(limits.clone(), trust.clone(), Some(NOW_UNIX_S));
            let (table, contents) = stream_all(stream.with_decoder(decoder), bytes, piece_bytes)?;
            for (section, (_, content)) in table.sections.iter().zip(&contents) {
                if section.sha256 != sha256(content) {
                    let why = pannier_bundle::SectionError::Digest;
                    return Err(Error::Section { section: section.name.clone(), why });
                }
            }
            contents
        }
    };
    Ok(contents)
}

/// Pushes `bytes` piece by piece and collects what comes out.
pub fn stream_all(mut stream: Stream, bytes: &[u8], piece_bytes: usize) -> Result<(Header, Contents), Error> {
    let mut contents = Vec::new();
    let mut header = None;
    for piece in bytes.chunks(piece_bytes.min(bytes.len()).max(1)) {
        for event in stream.push(piece)? {
            match event {
                Event::Opened(opened) => header = Some(opened.header),
                Event::Section { name, content } => contents.push((name, content)),
                _ => panic!("an event of an unknown kind"),
            }
        }
    }
    stream.finish()?;
    Ok((header.unwrap(), contents))
}
