//! What the signatures of a bundle must amount to.

use super::clock::Deadline;
use super::{Expiry, PublicKey, TrustError};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use semver::Version;

/// A trust policy: whose signatures, in which roles, how many, how old a model may be, and until when this holds.
///
/// It is read from a TOML file:
///
/// ```toml
/// # Optional. After this day nothing is accepted. A date lasts through its end, UTC; a time needs its offset.
/// expires = 2027-06-30
///
/// # How many people must have signed, per role. Everything listed here is demanded.
/// [roles]
/// publisher = 1
/// approver = 2
///
/// # Optional. The lowest version that is accepted, per model name; `*` stands for every other model.
/// [minimum_version]
/// magika = "1.2.0"
/// "*" = "0.1.0"
///
/// # The keys, as often as there are keys.
/// [[keys]]
/// name = "alice"                 # whose key it is: one person may have several keys, and counts once
/// roles = ["publisher"]
/// not_after = 2026-12-31         # optional: signatures by this key do not count after this day
/// fingerprint = "4f1c..."        # optional: checked against the key
/// pem = """
/// -----BEGIN PUBLIC KEY-----
/// ...
/// -----END PUBLIC KEY-----
/// """
/// ```
///
/// The rules:
///
/// - A person counts at most once, whatever the number of keys and signatures, and for one role at a time: somebody
///   who may publish and approve cannot do both for the same bundle. The assignment that satisfies most is taken.
/// - A threshold is met or the bundle is refused. There is no way to demand nothing: at least one role is needed.
/// - A key that has expired does not count, and its signature is still checked.
/// - Where anything expires, a time must be given.
/// - Versions are compared by the precedence of [Semantic Versioning](https://semver.org/#spec-item-11): `1.0.0-rc.1`
///   is lower than `1.0.0`, and build metadata does not matter.
/// - Unknown fields, keys listed twice and policies that nobody could satisfy are errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) keys: Vec<PolicyKey>,
    pub(super) roles: Vec<Role>,
    pub(super) minimum_versions: BTreeMap<String, Version>,
    pub(super) expires: Option<Deadline>,
}

/// A key in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyKey {
    /// Whose key it is.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// What its holder may sign as.
    pub roles: Vec<String>,
    pub(super) not_after: Option<Deadline>,
}

impl PolicyKey {
    /// Whether the key has expired. A key without expiry never does.
    pub(super) fn has_expired(&self, now_unix_s: Option<u64>) -> bool {
        match (&self.not_after, now_unix_s) {
            (Some(deadline), Some(now)) => deadline.is_past(now),
            // Fail closed; `check_time` has refused this case before.
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

/// A role and the number of people who must have signed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// Name of the role.
    pub name: String,
    /// People who must have signed, at least 1.
    pub threshold: u32,
}

/// Roles together have too few people.
pub(super) struct Shortage {
    pub(super) roles: Vec<String>,
    pub(super) needed: usize,
    pub(super) found: usize,
}

impl Policy {
    /// Name under which `minimum_version` lists the version for models that it does not name.
    pub const ANY_MODEL: &str = "*";

    /// Reads a policy.
    ///
    /// # Errors
    /// [`TrustError::InvalidPolicy`] with the line and the reason.
    pub fn from_toml(text: &str) -> Result<Policy, TrustError> {
        super::policy_file::read(text)
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> &[PolicyKey] {
        &self.keys
    }

    /// The roles with their thresholds, ordered by name.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The lowest version of this model that is accepted, if there is one.
    pub fn minimum_version(&self, model: &str) -> Option<String> {
        self.minimum_for(model).map(Version::to_string)
    }

    fn minimum_for(&self, model: &str) -> Option<&Version> {
        self.minimum_versions.get(model).or_else(|| self.minimum_versions.get(Self::ANY_MODEL))
    }

    /// Refuses a policy that has expired, and one that cannot be judged without a clock.
    pub(super) fn check_time(&self, now_unix_s: Option<u64>) -> Result<(), TrustError> {
        match (&self.expires, now_unix_s) {
            (Some(deadline), Some(now)) if deadline.is_past(now) => {
                Err(TrustError::Expired(Expiry::Policy(deadline.text().to_owned())))
            }
            (Some(_), None) => Err(TrustError::Expired(Expiry::NoClock)),
            (None, None) if self.keys.iter().any(|key| key.not_after.is_some()) => {
                Err(TrustError::Expired(Expiry::NoClock))
            }
            _ => Ok(()),
        }
    }

    /// Checks the thresholds against the keys whose signatures were verified.
    pub(super) fn check_roles(&self, signed: &[&PolicyKey], now_unix_s: Option<u64>) -> Result<(), TrustError> {
        let valid = signed.iter().copied().filter(|key| !key.has_expired(now_unix_s));
        let Some(Shortage { roles, needed, found }) = self.shortage(valid) else {
            return Ok(());
        };
        // Say so when nothing but an expiry stands in the way.
        let expired =
            signed.iter().find_map(|key| Some((key, key.not_after.as_ref()?)).filter(|_| key.has_expired(now_unix_s)));
        match expired {
            Some((key, at)) if self.shortage(signed.iter().copied()).is_none() => {
                Err(TrustError::Expired(Expiry::Key {
                    name: key.name.clone(),
                    fingerprint: key.key.fingerprint(),
                    at: at.text().to_owned(),
                }))
            }
            _ => Err(TrustError::Policy { roles, needed, found }),
        }
    }

    /// Whether the holders of `keys` cannot fill the roles, and which roles are short of people.
    ///
    /// Each person fills one place at most. By Hall's marriage theorem all places can be filled exactly if, for every
    /// set of roles, the people who have any of them are at least as many as the places. A policy has at most
    /// [`MAX_ROLES`](super::policy_file::MAX_ROLES) roles, so every set can be looked at, small ones first.
    pub(super) fn shortage<'a>(&self, keys: impl Iterator<Item = &'a PolicyKey>) -> Option<Shortage> {
        let mut people: BTreeMap<&str, u32> = BTreeMap::new();
        for key in keys {
            *people.entry(&key.name).or_default() |= self.roles_of(key);
        }
        let all = self.roles.iter().zip(role_bits()).fold(0, |all, (_, bit)| all | bit);
        let mut sets = (1..=all.count_ones()).flat_map(|size| (1..=all).filter(move |set| set.count_ones() == size));
        sets.find_map(|set| {
            let in_set =
                || self.roles.iter().zip(role_bits()).filter(move |(_, bit)| set & bit != 0).map(|(role, _)| role);
            let needed =
                in_set().fold(0_usize, |sum, role| sum.saturating_add(role.threshold.try_into().unwrap_or(usize::MAX)));
            let found = people.values().filter(|roles| **roles & set != 0).count();
            (found < needed).then(|| Shortage {
                roles: in_set().map(|role| role.name.clone()).collect(),
                needed,
                found,
            })
        })
    }

    /// The roles of a key as a set.
    fn roles_of(&self, key: &PolicyKey) -> u32 {
        self.roles
            .iter()
            .zip(role_bits())
            .filter(|(role, _)| key.roles.contains(&role.name))
            .fold(0, |set, (_, bit)| set | bit)
    }

    /// Refuses a model that is older than the policy allows.
    pub(super) fn check_version(&self, name: &str, version: &str) -> Result<(), TrustError> {
        let Some(minimum) = self.minimum_for(name) else {
            return Ok(());
        };
        // A version that cannot be compared is no better than an old one.
        if Version::parse(version).is_ok_and(|found| found.cmp_precedence(minimum).is_ge()) {
            return Ok(());
        }
        let (name, version) = (super::shorten(name), super::shorten(version));
        Err(TrustError::Downgrade { name, version, minimum: minimum.to_string() })
    }
}

/// One bit per role, so that a set of roles is a number.
fn role_bits() -> impl Iterator<Item = u32> {
    (0..u32::BITS).map(|bit| 1_u32.rotate_left(bit))
}
