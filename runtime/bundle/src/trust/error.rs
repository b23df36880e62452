//! What can go wrong between a signature and its acceptance.

use super::Fingerprint;
use crate::Code;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use thiserror::Error;

/// Why a bundle is not accepted, or why a key or a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The bundle carries no signature, and the caller asked for one.
    #[error("the bundle is not signed")]
    Unsigned,
    /// The bundle is signed, but by no key that the caller trusts.
    #[error("no trusted key signed the bundle; it claims to be signed by {}", List(claimed))]
    UntrustedKey {
        /// The keys that the signatures claim, unverified.
        claimed: Vec<Fingerprint>,
    },
    /// A signature is malformed, false, or about something else.
    #[error("signature {index}: {why}")]
    Signature {
        /// Position in the signature block, from 0.
        index: usize,
        /// What is wrong with it.
        why: SignatureFault,
    },
    /// There are more signatures than are ever looked at.
    #[error("the bundle carries {found} signatures, at most {limit} are allowed")]
    TooManySignatures {
        /// Signatures in the bundle.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The policy wants more signers in a role than there are.
    #[error("the policy wants {needed} signer(s) in {}, found {found}", Roles(roles))]
    Policy {
        /// The role that is short. Several where each alone has enough, but they share people.
        roles: Vec<String>,
        /// People who would have to sign.
        needed: usize,
        /// People who signed and count.
        found: usize,
    },
    /// The policy or a key has expired, or nobody said what time it is.
    #[error("{0}")]
    Expired(Expiry),
    /// The bundle is older than the policy allows, or its version is not a semantic version and cannot be compared.
    #[error("model `{name}` has version {version}, the policy wants at least {minimum}")]
    Downgrade {
        /// Name of the model, from its manifest.
        name: String,
        /// Version of the model, from its manifest.
        version: String,
        /// What the policy wants at least.
        minimum: String,
    },
    /// A public key cannot be used.
    #[error("the public key cannot be used: {0}")]
    InvalidKey(KeyFault),
    /// A trust policy cannot be used.
    #[error("the trust policy is not valid{}: {why}", Line(*line))]
    InvalidPolicy {
        /// Line in the file, from 1, where one line is to blame.
        line: Option<usize>,
        /// What is wrong with it.
        why: PolicyFault,
    },
}

impl TrustError {
    /// The stable code of this error.
    pub fn code(&self) -> Code {
        match self {
            TrustError::Unsigned => Code::Unsigned,
            TrustError::UntrustedKey { .. } => Code::UntrustedKey,
            TrustError::Signature { .. } => Code::SignatureMismatch,
            TrustError::TooManySignatures { .. } => Code::Limit,
            TrustError::Policy { .. } => Code::Policy,
            TrustError::Expired(_) => Code::Expired,
            TrustError::Downgrade { .. } => Code::Downgrade,
            TrustError::InvalidKey(_) => Code::InvalidKey,
            TrustError::InvalidPolicy { .. } => Code::InvalidPolicy,
        }
    }

    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            TrustError::Unsigned => "sign it, or say that an unsigned bundle is acceptable",
            TrustError::UntrustedKey { .. } => "compare the fingerprints with those of the keys you trust",
            TrustError::Signature { why: SignatureFault::NotSupported { .. }, .. } => {
                "sign with a P-256 key; certificates and keyless signatures are not supported"
            }
            TrustError::Signature { .. } => {
                "the file was altered, or the signature belongs to another one: fetch it again"
            }
            TrustError::TooManySignatures { .. } => return None,
            TrustError::Policy { .. } => {
                "each person counts once, and for one role; `packager approve` adds a signature"
            }
            TrustError::Expired(Expiry::NoClock) => "pass the current time, or use a policy without expiry",
            TrustError::Expired(_) => "renew the policy or the key; if the date is wrong, set the clock",
            TrustError::Downgrade { .. } => "to roll back on purpose, lower `minimum_version` in the policy",
            TrustError::InvalidKey(why) => return why.hint(),
            TrustError::InvalidPolicy { why, .. } => return why.hint(),
        })
    }
}

impl From<KeyFault> for TrustError {
    fn from(why: KeyFault) -> Self {
        TrustError::InvalidKey(why)
    }
}

/// What is wrong with one signature.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureFault {
    /// The document is larger than any honest one.
    #[error("the document has {size_bytes} bytes, at most {limit_bytes} are allowed")]
    TooLarge {
        /// Size of the document.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The document or the statement in it is not the JSON that it should be.
    #[error("the {what} is not well-formed: {detail}")]
    Malformed {
        /// Which layer: `document` or `statement`.
        what: &'static str,
        /// The decoder's words.
        detail: String,
    },
    /// A field of the document or of the statement has another value than the format prescribes.
    #[error("{field} is `{found}`, expected `{expected}`")]
    Unexpected {
        /// Name of the field.
        field: &'static str,
        /// Its value, shortened.
        found: String,
        /// The value that it must have.
        expected: &'static str,
    },
    /// A base64 field is not canonical standard base64.
    #[error("{field} is not base64")]
    NotBase64 {
        /// Name of the field.
        field: &'static str,
    },
    /// The signature is not an ECDSA P-256 signature in DER.
    #[error("it is not an ECDSA P-256 signature in DER")]
    NotDer,
    /// The document was made by a method other than a plain key.
    #[error("made with a {method}, which is not supported")]
    NotSupported {
        /// What was found instead of a key.
        method: &'static str,
    },
    /// The envelope does not hold exactly one signature.
    #[error("the envelope holds {found} signatures, expected 1")]
    EnvelopeSignatures {
        /// Signatures in the envelope.
        found: usize,
    },
    /// The key hint is not a fingerprint.
    #[error("the key hint is not a SHA-256 in lowercase hex")]
    HintForm,
    /// A trusted key is claimed and did not make this signature.
    #[error("it claims the key {fingerprint}, which did not make it")]
    False {
        /// The key that is claimed.
        fingerprint: Fingerprint,
    },
    /// A trusted key made this signature, and the document claims another.
    #[error("the key {verified} made it, but it claims {claimed}")]
    HintMismatch {
        /// The key that verified the signature.
        verified: Fingerprint,
        /// The key that is claimed.
        claimed: Fingerprint,
    },
    /// The statement does not have exactly one subject.
    #[error("the statement has {found} subjects, expected 1")]
    Subjects {
        /// Subjects in the statement.
        found: usize,
    },
    /// The digest of the subject is not the digest of the listed resources.
    #[error("the subject's digest does not match the listed resources")]
    SubjectDigest,
    /// A resource's digest is not a SHA-256 in lowercase hex.
    #[error("the digest of `{name}` is not a SHA-256 in lowercase hex")]
    DigestForm {
        /// Name of the resource, shortened.
        name: String,
    },
    /// Resources are not in ascending order of their names, or one is listed twice.
    #[error("`{name}` is listed twice or out of order")]
    Order {
        /// Name of the resource, shortened.
        name: String,
    },
    /// The statement covers something that the bundle does not hold.
    #[error("it covers `{name}`, which is not in the bundle")]
    Extra {
        /// Name of the resource, shortened.
        name: String,
    },
    /// The bundle holds something that the statement does not cover.
    #[error("it does not cover `{name}`")]
    Missing {
        /// Name of the section, or `header`.
        name: String,
    },
    /// Two sections have the same name, or one has the name of the header: no statement could tell them apart.
    #[error("two sections of the bundle have the same name")]
    Ambiguous,
    /// The statement is about other bytes.
    #[error("`{name}` has SHA-256 {found}, the signature is over {signed}")]
    Digest {
        /// Name of the section, or `header`.
        name: String,
        /// What was signed, in hex.
        signed: Fingerprint,
        /// What is in the bundle, in hex.
        found: Fingerprint,
    },
}

/// What has expired.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Expiry {
    /// The policy as a whole.
    #[error("the trust policy expired at {0}")]
    Policy(String),
    /// A key whose signature would have been needed.
    #[error("the key {fingerprint} of `{name}` expired at {at}")]
    Key {
        /// Holder of the key.
        name: String,
        /// The key.
        fingerprint: Fingerprint,
        /// When, in RFC 3339.
        at: String,
    },
    /// Something expires, and the caller gave no time.
    #[error("the trust policy has an expiry, and no time was given to compare it with")]
    NoClock,
}

/// Why a public key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The text is not PEM.
    #[error("it is not a PEM file")]
    NotPem,
    /// The PEM file holds a private key.
    #[error("it is a private key")]
    Private,
    /// The PEM file holds something else.
    #[error("the PEM label is not `PUBLIC KEY`")]
    Label,
    /// The content is not a `SubjectPublicKeyInfo`.
    #[error("it is not a well-formed public key")]
    Malformed,
    /// A key of another algorithm.
    #[error("it is a key for {found}, expected ECDSA P-256")]
    Algorithm {
        /// The algorithm, where it is a known one.
        found: &'static str,
    },
    /// The point is not on the curve.
    #[error("it is not a point on the curve P-256")]
    Point,
}

impl KeyFault {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            KeyFault::Private => Some("give the public half: `packager key show` or `openssl pkey -pubout` writes it"),
            KeyFault::Algorithm { .. } => Some("make a P-256 key: `packager key new`"),
            _ => Some("a public key file begins with `-----BEGIN PUBLIC KEY-----`"),
        }
    }
}

/// Why a trust policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyFault {
    /// The file is not TOML.
    #[error("{0}")]
    Toml(String),
    /// A field that no policy has.
    #[error("unknown field `{found}`{}", Suggestion(*meant))]
    UnknownField {
        /// The field.
        found: String,
        /// The known field nearest to it.
        meant: Option<&'static str>,
    },
    /// A required field is not there.
    #[error("`{0}` is missing")]
    MissingField(&'static str),
    /// A field holds the wrong kind of value.
    #[error("`{field}` must be {expected}")]
    WrongType {
        /// The field.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A key has a role that the policy does not list under `[roles]`.
    #[error("`{found}` is not one of the roles{}", Suggestion(meant.as_deref()))]
    UnknownRole {
        /// The role.
        found: String,
        /// The listed role nearest to it.
        meant: Option<String>,
    },
    /// Something that must be there once or more is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// There are more of something than any honest policy has.
    #[error("there are {found} {what}, at most {limit} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The same key is listed twice.
    #[error("the key {fingerprint} is listed for `{first}` and again for `{second}`")]
    DuplicateKey {
        /// The key.
        fingerprint: Fingerprint,
        /// Name in the first entry.
        first: String,
        /// Name in the second entry.
        second: String,
    },
    /// The given fingerprint is not that of the given key.
    #[error("the key of `{name}` has the fingerprint {found}, the policy says {stated}")]
    Fingerprint {
        /// Holder of the key.
        name: String,
        /// What the policy states.
        stated: String,
        /// The key's fingerprint.
        found: Fingerprint,
    },
    /// A key in the policy cannot be used.
    #[error("the key of `{name}`: {why}")]
    Key {
        /// Holder of the key.
        name: String,
        /// Why.
        why: KeyFault,
    },
    /// A version is not a semantic version.
    #[error("`{0}` is not a semantic version")]
    Version(String),
    /// A date is neither a date nor an RFC 3339 time with its offset.
    #[error("`{0}` is neither a date nor a time with its offset from UTC")]
    Date(String),
    /// No set of signatures could satisfy the policy.
    #[error("{needed} signer(s) are wanted in {}, and there are keys of {available} people for that", Roles(roles))]
    Unsatisfiable {
        /// The role. Several where each alone has enough, but they share people.
        roles: Vec<String>,
        /// People who would have to sign.
        needed: usize,
        /// People who could.
        available: usize,
    },
    /// A threshold is not a number from 1 to the limit.
    #[error("the threshold of `{role}` must be a number from 1 to {limit}")]
    Threshold {
        /// The role.
        role: String,
        /// The limit.
        limit: u32,
    },
}

impl PolicyFault {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            PolicyFault::UnknownRole { .. } => Some("list each role with its threshold under `[roles]`"),
            PolicyFault::Date(_) => Some("write 2027-06-30 or 2027-06-30T12:00:00Z"),
            PolicyFault::Version(_) => Some("write a version such as 1.2.0"),
            PolicyFault::DuplicateKey { .. } => Some("list each key once; give it several roles if it has them"),
            PolicyFault::Unsatisfiable { .. } => {
                Some("each person counts once, and for one role: add keys or lower it")
            }
            PolicyFault::Key { why, .. } => why.hint(),
            _ => None,
        }
    }
}

/// Shows ` in line N`, or nothing.
struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " in line {line}"))
    }
}

/// Shows `; did you mean ...?`, or nothing.
struct Suggestion<'a>(Option<&'a str>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |meant| write!(f, "; did you mean `{meant}`?"))
    }
}

/// Shows ``the role `a` `` or ``the roles `a`, `b` ``.
struct Roles<'a>(&'a [String]);

impl fmt::Display for Roles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "the role" } else { "the roles" })?;
        self.0.iter().enumerate().try_for_each(|(at, role)| write!(f, "{}`{role}`", if at == 0 { " " } else { ", " }))
    }
}

/// Shows a list of fingerprints, at most three of them.
struct List<'a>(&'a [Fingerprint]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        if self.0.is_empty() {
            return f.write_str("keys that it does not name");
        }
        for (position, fingerprint) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{fingerprint}", if position == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}
