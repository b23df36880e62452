//! Who may send and who may read. The file holds digests, not tokens: a token is 256 random bits, so one SHA-256 of it is as
//! good as it gets.

use crate::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Devices of this fleet: sending.
    Fleet(String),
    /// A person or a program: reading, acknowledging, deleting.
    Operator(String),
}

/// An entry of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Short name, by which it is listed and revoked: the first digits of the digest.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// SHA-256 of the token, in hex.
    pub sha256: String,
    /// When it was made.
    pub created_ms: i64,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

/// Tokens by digest.
#[derive(Debug, Default)]
pub struct Tokens {
    by_digest: HashMap<String, Role>,
    fleets: bool,
    operators: bool,
}

impl Tokens {
    /// Reads the file. None is a file without tokens.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Usage`]: it cannot be read.
    pub fn load(path: &Path) -> Result<Tokens, Error> {
        let entries = read(path)?;
        Ok(Tokens {
            fleets: entries.iter().any(|entry| matches!(entry.role, Role::Fleet(_))),
            operators: entries.iter().any(|entry| matches!(entry.role, Role::Operator(_))),
            by_digest: entries.into_iter().map(|entry| (entry.sha256, entry.role)).collect(),
        })
    }

    /// Whether devices need one.
    #[must_use]
    pub fn has_fleets(&self) -> bool {
        self.fleets
    }

    /// Whether readers need one.
    #[must_use]
    pub fn has_operators(&self) -> bool {
        self.operators
    }

    /// What the token in an `Authorization` header is for.
    #[must_use]
    pub fn role(&self, authorization: &str) -> Option<&Role> {
        let (scheme, token) = authorization.split_once(' ')?;
        // Looked up by digest: how long that takes says nothing about the token.
        scheme.eq_ignore_ascii_case("bearer").then(|| self.by_digest.get(&digest(token.trim())))?
    }
}

/// Makes a token and adds its digest to the file. The token itself is returned, and nowhere else.
///
/// # Errors
/// [`Error::Usage`]: the name is not one. [`Error::File`]: the file cannot be written.
pub fn add(path: &Path, role: Role, now_ms: i64) -> Result<(String, Entry), Error> {
    let (Role::Fleet(name) | Role::Operator(name)) = &role;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(Error::usage(
            format!("`{name}` is not a name"),
            "use letters, digits, `-`, `_` and `.`, at most 64 of them",
        ));
    }
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::System {
        what: "no random bytes".to_owned(),
        source: std::io::Error::other(error.to_string()),
    })?;
    let prefix = if matches!(role, Role::Fleet(_)) { "pmf_" } else { "pmo_" };
    let token = format!("{prefix}{}", hex(&bytes));
    let sha256 = digest(&token);
    let entry = Entry { id: sha256.chars().take(12).collect(), role, sha256, created_ms: now_ms };
    let mut entries = read(path)?;
    entries.push(entry.clone());
    write(path, entries)?;
    Ok((token, entry))
}

/// Takes a token out of the file.
///
/// # Errors
/// [`Error::NotFound`]: there is none with this id.
pub fn revoke(path: &Path, id: &str) -> Result<Entry, Error> {
    let mut entries = read(path)?;
    let at = entries
        .iter()
        .position(|entry| entry.id == id)
        .ok_or_else(|| Error::NotFound { what: format!("token `{id}`; `pannier-monitor token list` lists them") })?;
    let entry = entries.remove(at);
    write(path, entries)?;
    Ok(entry)
}

/// Entries of the file.
///
/// # Errors
/// [`Error::File`], [`Error::Usage`]: it cannot be read.
pub fn read(path: &Path) -> Result<Vec<Entry>, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::File { path: path.to_owned(), source }),
    };
    let file: File = toml::from_str(&text).map_err(|error| {
        Error::usage(format!("{}: {error}", path.display()), "`pannier-monitor token new` writes this file")
    })?;
    Ok(file.token)
}

fn write(path: &Path, token: Vec<Entry>) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let text = toml::to_string(&File { token }).map_err(|error| failed(std::io::Error::other(error)))?;
    let fresh = path.with_extension("toml.new");
    write_private(&fresh, text.as_bytes()).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_it_is_revoked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.toml");
        let (token, entry) = add(&path, Role::Fleet("north".to_owned()), 1).expect("a token");
        let (operator, _) = add(&path, Role::Operator("anna".to_owned()), 2).expect("another");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert!(!text.contains(&token) && !text.contains(&operator), "the file holds no token");

        let tokens = Tokens::load(&path).expect("tokens");
        assert_eq!(tokens.role(&format!("Bearer {token}")), Some(&Role::Fleet("north".to_owned())));
        assert_eq!(tokens.role(&format!("bearer {operator}")), Some(&Role::Operator("anna".to_owned())));
        for wrong in [format!("Basic {token}"), token.clone(), format!("Bearer {token}0"), "Bearer ".to_owned()] {
            assert_eq!(tokens.role(&wrong), None, "{wrong}");
        }
        revoke(&path, &entry.id).expect("it was there");
        assert_eq!(Tokens::load(&path).expect("tokens").role(&format!("Bearer {token}")), None);
        assert!(matches!(revoke(&path, &entry.id), Err(Error::NotFound { .. })));
    }

    #[test]
    fn names_are_plain() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["", "a b", "ä", "../x", &"n".repeat(65)] {
            let outcome = add(&folder.path().join("t"), Role::Fleet(name.to_owned()), 0);
            assert!(matches!(outcome, Err(Error::Usage { .. })), "{name}");
        }
    }
}
