//! Reads a trust policy from TOML, with a line and a suggestion for every mistake.

use super::clock::Deadline;
use super::policy::{Policy, PolicyKey, Role, Shortage};
use super::suggest::nearest;
use super::{Fingerprint, PolicyFault, PublicKey, TrustError, shorten};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use semver::Version;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys in a policy, at most: every signature without a usable hint is tried against each of them.
const MAX_KEYS: usize = 64;
/// Roles in a policy, at most: every set of them is looked at.
pub(super) const MAX_ROLES: usize = 8;
/// The highest threshold.
const MAX_THRESHOLD: u32 = 64;
/// Size of a policy file in bytes, at most.
const MAX_FILE_BYTES: usize = 1 << 20;

const FILE_FIELDS: [&str; 4] = ["expires", "keys", "minimum_version", "roles"];
const KEY_FIELDS: [&str; 5] = ["fingerprint", "name", "not_after", "pem", "roles"];

/// A fault, and the place in the text that is to blame.
type Fault = (Option<Range<usize>>, PolicyFault);

pub(super) fn read(text: &str) -> Result<Policy, TrustError> {
    parse(text)
        .map_err(|(span, why)| TrustError::InvalidPolicy { line: span.and_then(|span| line_of(text, span.start)), why })
}

/// Line of a place in a text, from 1.
fn line_of(text: &str, start: usize) -> Option<usize> {
    let before = text.get(..start)?;
    before.bytes().filter(|byte| *byte == b'\n').count().checked_add(1)
}

fn parse(text: &str) -> Result<Policy, Fault> {
    at_most("bytes", text.len(), MAX_FILE_BYTES)?;
    let file = DeTable::parse(text).map_err(|error| (error.span(), PolicyFault::Toml(error.message().to_owned())))?;
    let mut policy = Policy { keys: Vec::new(), roles: Vec::new(), minimum_versions: BTreeMap::new(), expires: None };
    let mut keys = None;
    for (field, value) in file.get_ref() {
        match field.get_ref().as_ref() {
            "expires" => policy.expires = Some(deadline(value, "expires")?),
            "roles" => policy.roles = roles(value)?,
            "minimum_version" => policy.minimum_versions = minimum_versions(value)?,
            "keys" => keys = Some(value),
            found => return Err(unknown_field(field.span(), found, &FILE_FIELDS)),
        }
    }
    if policy.roles.is_empty() {
        return Err((None, PolicyFault::MissingField("roles")));
    }
    policy.keys = self::keys(keys.ok_or((None, PolicyFault::MissingField("keys")))?, &policy.roles)?;
    match policy.shortage(policy.keys.iter()) {
        Some(Shortage { roles, needed, found }) => {
            Err((None, PolicyFault::Unsatisfiable { roles, needed, available: found }))
        }
        None => Ok(policy),
    }
}

fn roles(value: &Spanned<DeValue<'_>>) -> Result<Vec<Role>, Fault> {
    let table = value.get_ref().as_table().ok_or_else(|| wrong_type(value, "roles", "a table"))?;
    at_most("roles", table.len(), MAX_ROLES)?;
    if table.is_empty() {
        return Err((Some(value.span()), PolicyFault::Empty("roles")));
    }
    table
        .iter()
        .map(|(name, threshold)| {
            let threshold_fault = || {
                let role = shorten(name.get_ref());
                (Some(threshold.span()), PolicyFault::Threshold { role, limit: MAX_THRESHOLD })
            };
            let digits =
                threshold.get_ref().as_integer().filter(|number| number.radix() == 10).ok_or_else(threshold_fault)?;
            let number = digits.as_str().parse().ok().filter(|number| (1..=MAX_THRESHOLD).contains(number));
            Ok(Role { name: name.get_ref().to_string(), threshold: number.ok_or_else(threshold_fault)? })
        })
        .collect()
}

fn minimum_versions(value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<String, Version>, Fault> {
    let table = value.get_ref().as_table().ok_or_else(|| wrong_type(value, "minimum_version", "a table"))?;
    table
        .iter()
        .map(|(model, version)| {
            let text = string(version, "minimum_version")?;
            let version =
                Version::parse(text).map_err(|_| (Some(version.span()), PolicyFault::Version(shorten(text))))?;
            Ok((model.get_ref().to_string(), version))
        })
        .collect()
}

fn keys(value: &Spanned<DeValue<'_>>, roles: &[Role]) -> Result<Vec<PolicyKey>, Fault> {
    let list = value.get_ref().as_array().ok_or_else(|| wrong_type(value, "keys", "an array of tables"))?;
    at_most("keys", list.len(), MAX_KEYS)?;
    let mut keys: Vec<PolicyKey> = Vec::new();
    for value in list.iter() {
        let key = key(value, roles)?;
        if let Some(first) = keys.iter().find(|other| other.key.fingerprint() == key.key.fingerprint()) {
            let (fingerprint, first, second) = (key.key.fingerprint(), first.name.clone(), key.name);
            return Err((Some(value.span()), PolicyFault::DuplicateKey { fingerprint, first, second }));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn key(value: &Spanned<DeValue<'_>>, known_roles: &[Role]) -> Result<PolicyKey, Fault> {
    let table = value.get_ref().as_table().ok_or_else(|| wrong_type(value, "keys", "an array of tables"))?;
    let (mut name, mut pem, mut stated, mut roles, mut not_after) = (None, None, None, None, None);
    for (field, value) in table {
        match field.get_ref().as_ref() {
            "name" => name = Some(string(value, "name")?.to_owned()),
            "pem" => pem = Some((string(value, "pem")?, value.span())),
            "fingerprint" => stated = Some((string(value, "fingerprint")?, value.span())),
            "roles" => roles = Some(key_roles(value, known_roles)?),
            "not_after" => not_after = Some(deadline(value, "not_after")?),
            found => return Err(unknown_field(field.span(), found, &KEY_FIELDS)),
        }
    }
    let missing = |field| (Some(value.span()), PolicyFault::MissingField(field));
    let name = name.ok_or(missing("name"))?;
    let (pem, pem_span) = pem.ok_or(missing("pem"))?;
    let roles = roles.ok_or(missing("roles"))?;
    if name.is_empty() {
        return Err((Some(value.span()), PolicyFault::Empty("name")));
    }
    let key = PublicKey::parse(pem).map_err(|why| (Some(pem_span), PolicyFault::Key { name: shorten(&name), why }))?;
    if let Some((stated, span)) = stated.filter(|(stated, _)| Fingerprint::from_hex(stated) != Some(key.fingerprint()))
    {
        let (name, stated, found) = (shorten(&name), shorten(stated), key.fingerprint());
        return Err((Some(span), PolicyFault::Fingerprint { name, stated, found }));
    }
    Ok(PolicyKey { name, key, roles, not_after })
}

fn key_roles(value: &Spanned<DeValue<'_>>, known: &[Role]) -> Result<Vec<String>, Fault> {
    let list = value.get_ref().as_array().ok_or_else(|| wrong_type(value, "roles", "an array of role names"))?;
    if list.is_empty() {
        return Err((Some(value.span()), PolicyFault::Empty("roles")));
    }
    list.iter()
        .map(|value| {
            let role = string(value, "roles")?;
            if known.iter().any(|known| known.name == role) {
                return Ok(role.to_owned());
            }
            let meant = nearest(role, known.iter().map(|known| known.name.as_str())).map(str::to_owned);
            Err((Some(value.span()), PolicyFault::UnknownRole { found: shorten(role), meant }))
        })
        .collect()
}

/// A date or a time, as TOML has them or in a string.
fn deadline(value: &Spanned<DeValue<'_>>, field: &str) -> Result<Deadline, Fault> {
    let (written, text) = match value.get_ref() {
        DeValue::Datetime(written) => (Some(*written), written.to_string()),
        DeValue::String(text) => (text.parse().ok(), text.to_string()),
        _ => return Err(wrong_type(value, field, "a date or a time")),
    };
    let deadline = written.and_then(|written| Deadline::new(&written));
    deadline.ok_or_else(|| (Some(value.span()), PolicyFault::Date(shorten(&text))))
}

fn string<'a>(value: &'a Spanned<DeValue<'_>>, field: &str) -> Result<&'a str, Fault> {
    value.get_ref().as_str().ok_or_else(|| wrong_type(value, field, "a text"))
}

fn wrong_type(value: &Spanned<DeValue<'_>>, field: &str, expected: &'static str) -> Fault {
    (Some(value.span()), PolicyFault::WrongType { field: field.to_owned(), expected })
}

fn unknown_field(span: Range<usize>, found: &str, known: &[&'static str]) -> Fault {
    let meant =
        nearest(found, known.iter().copied()).and_then(|meant| known.iter().copied().find(|word| *word == meant));
    (Some(span), PolicyFault::UnknownField { found: shorten(found), meant })
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Fault> {
    if found > limit { Err((None, PolicyFault::TooMany { what, found, limit })) } else { Ok(()) }
}
