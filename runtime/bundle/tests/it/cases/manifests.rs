//! Containers without a fault, around a manifest with one.

use pannier_bundle::header::{Codec, Header, Kind};
use pannier_bundle::manifest::{Content, DType, Dim, Port};
use pannier_bundle::{Code, Manifest, encode_versioned};

use super::{Case, unsigned};
use crate::support::{file, manifest, sealed_with, section};

pub fn cases() -> Vec<Case> {
    let corrupt = |name: &str, why, change: fn(&mut Manifest)| {
        let mut manifest = manifest("semantics", "1.0.0");
        change(&mut manifest);
        let bytes = sealed_with(manifest, Vec::new()).assemble(&[]).unwrap();
        unsigned(&format!("invalid-semantics/{name}"), Code::Corrupt, why, bytes)
    };
    let raw = |name: &str, code, why, bytes: Vec<u8>| {
        unsigned(&format!("invalid-semantics/{name}"), code, why, around(&bytes))
    };
    let encoded = encode_versioned(Manifest::VERSION, &with_id(manifest("semantics", "1.0.0")));
    vec![
        corrupt("name-empty", "an empty name", |manifest| manifest.name.clear()),
        corrupt("name-path", "a name that is a path", |manifest| manifest.name = "../model".into()),
        corrupt("name-long", "a name of 65 bytes", |manifest| manifest.name = "m".repeat(65)),
        corrupt("version", "a version that is not a semantic version", |manifest| manifest.version = "1.0".into()),
        corrupt("port-unnamed", "an input without a name", |manifest| manifest.inputs = vec![port("", &[1])]),
        corrupt("port-twice", "two outputs of one name", |manifest| {
            manifest.outputs = vec![port("y", &[1]), port("y", &[2])];
        }),
        corrupt("shape-overflow", "a shape of 2^63 elements", |manifest| {
            manifest.inputs = vec![port("x", &[1 << 62, 2])];
        }),
        corrupt("shape-bytes", "a shape whose size in bytes does not fit 63 bits", |manifest| {
            manifest.inputs = vec![port("x", &[1 << 61])];
        }),
        corrupt("state-dangling", "a state input that names no output", |manifest| {
            let state = Content::State { output: "missing".into() };
            manifest.inputs = vec![Port { content: state, ..port("state", &[1]) }];
        }),
        corrupt("state-type", "a state input of another type than its output", |manifest| {
            let state = Content::State { output: "next".into() };
            manifest.inputs = vec![Port { content: state, ..port("state", &[1]) }];
            manifest.outputs = vec![Port { content: Content::NextState, dtype: DType::F16, ..port("next", &[1]) }];
        }),
        raw("bundle-id", Code::Corrupt, "the bundle id is that of other content", {
            encode_versioned(Manifest::VERSION, &manifest("semantics", "1.0.0"))
        }),
        raw("manifest-version", Code::UnsupportedVersion, "another version of the manifest", {
            encode_versioned(2, &with_id(manifest("semantics", "1.0.0")))
        }),
        raw("manifest-trailing", Code::Corrupt, "a byte after the manifest", [encoded.clone(), vec![0]].concat()),
        raw("manifest-short", Code::Corrupt, "the manifest ends early", encoded[..encoded.len() - 1].to_vec()),
        raw("manifest-varint", Code::Corrupt, "a number of the manifest is longer than it needs to be", {
            let mut bytes = encoded.clone();
            assert_eq!(bytes[2] as usize, "semantics".len());
            bytes.splice(2..3, [0x89, 0x00]);
            bytes
        }),
        raw("manifest-utf8", Code::Corrupt, "a name that is not UTF-8", {
            let mut bytes = encoded.clone();
            bytes[3] = 0xff;
            bytes
        }),
        raw("manifest-enum", Code::Corrupt, "an enumeration's number that does not exist", {
            let mut with_port = manifest("semantics", "1.0.0");
            with_port.inputs = vec![port("x", &[])];
            let mut bytes = encode_versioned(Manifest::VERSION, &with_id(with_port));
            let at = bytes.windows(3).position(|window| window == [1, b'x', 0]).unwrap();
            bytes[at + 2] = 13;
            bytes
        }),
        raw("manifest-empty", Code::Corrupt, "a manifest without a byte", Vec::new()),
    ]
}

fn port(name: &str, shape: &[u64]) -> Port {
    Port {
        name: name.into(),
        dtype: DType::F32,
        shape: shape.iter().map(|size| Dim::Fixed(*size)).collect(),
        description: String::new(),
        content: Content::Tensor,
    }
}

/// The bundle id of a bundle that has nothing but its manifest.
fn with_id(mut manifest: Manifest) -> Manifest {
    manifest.bundle_id = crate::support::sha256(b"");
    manifest
}

/// A bundle of nothing but these bytes as its manifest.
fn around(bytes: &[u8]) -> Vec<u8> {
    let mut manifest = section(Kind::Manifest, "manifest", Codec::Raw, bytes, bytes);
    if bytes.is_empty() {
        manifest.chunks.clear();
    }
    file(&Header { sections: vec![manifest] }.encode(), bytes, &[])
}
