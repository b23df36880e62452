//! Files between one process and the next: compiled code and memory images.
//!
//! A file is a head and a content. The head has a magic number, the key and the SHA-256 of key and content; the content
//! that was hashed is the memory that is used, not the file. What is wrong is removed and made anew.

use crate::config::Cache;
use crate::event::Rejection;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

#[cfg(unix)]
#[path = "cache/unix.rs"]
mod files;
#[cfg(not(unix))]
#[path = "cache/none.rs"]
mod files;

pub(crate) use files::Folder;

/// Most bytes that the files of the cache have together; beyond it the file that was used least recently goes.
pub(crate) const CACHE_BYTES_MAX: u64 = 4 << 30;

const MAGIC: [u8; 8] = *b"PNRCACH1";

/// Magic number, key, digest.
const HEAD_BYTES: usize = 8 + 32 + 32;

/// What identifies the content of a file: everything that it was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of what is made from these parts, and of nothing else.
    pub(crate) fn of(parts: &[&[u8]]) -> Key {
        let mut hash = Sha256::new();
        for part in parts {
            // With its length, so that no two lists of parts run together to the same bytes.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        Key(hash.finalize().into())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Machine code, as wasmtime serialises it.
    Code,
    /// A guest's memory as it starts: a module that defines a memory and nothing else.
    Base,
    /// A guest's memory with a model in it, of the same form.
    Image,
}

impl Kind {
    fn file_name(self, key: &Key) -> String {
        let word = match self {
            Kind::Code => "code",
            Kind::Base => "base",
            Kind::Image => "image",
        };
        let digits = key.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{word}-{digits}")
    }
}

/// The directory of a choice, if it has one.
pub(crate) fn directory(choice: &Cache) -> Result<Option<PathBuf>, Rejection> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match choice {
        Cache::Off => Ok(None),
        Cache::Dir(path) => Ok(Some(path.clone())),
        Cache::User => {
            let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
            let caches = caches.ok_or(Rejection::Unsupported { reason: "there is no home directory" })?;
            Ok(Some(caches.join("pannier").join("sandbox")))
        }
    }
}

/// The head of a file with this content.
fn head(key: &Key, content: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let fields = MAGIC.into_iter().chain(key.0).chain(digest(key, content));
    head.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    head
}

/// Checks a head against the content that follows it.
fn check(head: &[u8; HEAD_BYTES], key: &Key, content: &[u8]) -> Result<(), Rejection> {
    let (magic, rest) = head.split_at(MAGIC.len());
    let (found_key, found_digest) = rest.split_at(key.0.len());
    if magic != MAGIC || found_key != key.0 {
        return Err(Rejection::Head);
    }
    if found_digest != digest(key, content) {
        return Err(Rejection::Digest);
    }
    Ok(())
}

fn digest(key: &Key, content: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(key.0).chain_update(content).finalize().into()
}
