//! The signature document: a Sigstore bundle with a DSSE envelope.

use super::{Fingerprint, SignatureFault};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use p256::ecdsa::DerSignature;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Media type of the document. Source: sigstore/protobuf-specs, bundle v0.3.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Type of the payload in the envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A document above this size is refused before it is decoded. A statement needs about 130 bytes per section, a third
/// more in base64: this is room for some 6,000 sections.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// The bytes that are signed: DSSE's pre-authentication encoding of an in-toto payload.
///
/// Source: secure-systems-lab/dsse, protocol.md: `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
pub fn pae(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Writes the document for a signature (ASN.1 DER) over [`pae`]`(payload)`. The same arguments give the same bytes.
///
/// `hint` is the fingerprint of the key that signed.
pub fn sigstore_bundle(payload: &[u8], signature_der: &[u8], hint: Fingerprint) -> Vec<u8> {
    let document = Written {
        media_type: MEDIA_TYPE,
        verification_material: WrittenMaterial { public_key: WrittenKey { hint }, tlog_entries: [] },
        dsse_envelope: WrittenEnvelope {
            payload: Base64::encode_string(payload),
            payload_type: PAYLOAD_TYPE,
            signatures: [WrittenSignature { sig: Base64::encode_string(signature_der), keyid: "" }],
        },
    };
    super::to_json(&document)
}

/// What a document says, before anybody has verified it.
pub(super) struct Document {
    /// The key that it claims. `None` where it claims none.
    pub(super) hint: Option<Fingerprint>,
    /// The bytes that the signature is over, once [`pae`] is applied to them.
    pub(super) payload: Vec<u8>,
    /// The signature.
    pub(super) signature: DerSignature,
}

impl Document {
    /// Reads a document. Fields that decide nothing are skipped, whatever they hold.
    pub(super) fn parse(json: &[u8]) -> Result<Document, SignatureFault> {
        if json.len() > MAX_DOCUMENT_BYTES {
            return Err(SignatureFault::TooLarge { size_bytes: json.len(), limit_bytes: MAX_DOCUMENT_BYTES });
        }
        let read: Read = serde_json::from_slice(json)
            .map_err(|error| SignatureFault::Malformed { what: "document", detail: error.to_string() })?;
        super::require("mediaType", &read.media_type, MEDIA_TYPE)?;

        let material = read.verification_material;
        if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
            return Err(SignatureFault::NotSupported { method: "certificate" });
        }
        let key = material.public_key.ok_or(SignatureFault::NotSupported { method: "method other than a key" })?;
        // Protobuf's JSON does not tell an empty string from an absent one.
        let hint = match key.hint.as_deref() {
            None | Some("") => None,
            Some(hex) => Some(Fingerprint::from_hex(hex).ok_or(SignatureFault::HintForm)?),
        };

        let envelope =
            read.dsse_envelope.ok_or(SignatureFault::NotSupported { method: "signature without envelope" })?;
        super::require("payloadType", &envelope.payload_type, PAYLOAD_TYPE)?;
        let [signature] = envelope.signatures.as_slice() else {
            return Err(SignatureFault::EnvelopeSignatures { found: envelope.signatures.len() });
        };
        let signature_der = decode_base64("sig", &signature.sig)?;
        Ok(Document {
            hint,
            payload: decode_base64("payload", &envelope.payload)?,
            signature: DerSignature::from_bytes(&signature_der).map_err(|_| SignatureFault::NotDer)?,
        })
    }
}

fn decode_base64(field: &'static str, text: &str) -> Result<Vec<u8>, SignatureFault> {
    Base64::decode_vec(text).map_err(|_| SignatureFault::NotBase64 { field })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    media_type: &'static str,
    verification_material: WrittenMaterial,
    dsse_envelope: WrittenEnvelope,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMaterial {
    public_key: WrittenKey,
    tlog_entries: [(); 0],
}

#[derive(Serialize)]
struct WrittenKey {
    hint: Fingerprint,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEnvelope {
    payload: String,
    payload_type: &'static str,
    signatures: [WrittenSignature; 1],
}

#[derive(Serialize)]
struct WrittenSignature {
    sig: String,
    keyid: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    media_type: String,
    verification_material: ReadMaterial,
    dsse_envelope: Option<ReadEnvelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadMaterial {
    public_key: Option<ReadKey>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ReadKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<ReadSignature>,
}

#[derive(Deserialize)]
struct ReadSignature {
    sig: String,
}
