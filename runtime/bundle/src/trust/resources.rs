//! What a statement is about: names and digests.

use super::Fingerprint;
use super::statement::HEADER_NAME;
use crate::header::Header;
use alloc::collections::BTreeMap;
use sha2::{Digest, Sha256};

/// Named bytes that a statement covers, all of them or it is not valid.
///
/// A bundle's are its sections and its header. Other files that carry signatures say what theirs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources<'a> {
    /// Ordered by code point, which is the order in a statement.
    digests: BTreeMap<&'a str, Fingerprint>,
    given: usize,
}

impl<'a> Resources<'a> {
    /// These bytes under these names.
    pub fn of(named: &[(&'a str, &[u8])]) -> Resources<'a> {
        Resources::collect(named.iter().map(|(name, bytes)| (*name, Fingerprint(Sha256::digest(bytes).into()))))
    }

    /// Every section of a bundle, and its header.
    pub fn of_bundle(header_bytes: &[u8], header: &'a Header) -> Resources<'a> {
        let sections = header.sections.iter().map(|section| (section.name.as_str(), Fingerprint(section.sha256)));
        let header = (HEADER_NAME, Fingerprint(Sha256::digest(header_bytes).into()));
        Resources::collect(sections.chain([header]))
    }

    fn collect(named: impl Iterator<Item = (&'a str, Fingerprint)>) -> Resources<'a> {
        let mut given: usize = 0;
        let digests = named.inspect(|_| given = given.saturating_add(1)).collect();
        Resources { digests, given }
    }

    /// Whether two of them have the same name, so that no statement could tell them apart.
    pub(super) fn are_ambiguous(&self) -> bool {
        self.digests.len() != self.given
    }

    /// Names and digests in the order of a statement.
    pub(super) fn digests(&self) -> &BTreeMap<&'a str, Fingerprint> {
        &self.digests
    }
}
