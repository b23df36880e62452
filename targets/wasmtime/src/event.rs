//! What happens beside the results.

use crate::Flavour;
use std::path::PathBuf;
use std::time::Duration;

/// Something that an operator may want to know, and that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The guest is not in the cache and is being compiled, which takes tens of seconds.
    Compiling {
        /// Which build of it.
        flavour: Flavour,
    },
    /// The guest was compiled.
    Compiled {
        /// How long it took.
        took: Duration,
    },
    /// A file of the cache was not used and was removed. What it held is made anew.
    CacheRejected {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Rejection,
    },
    /// The cache cannot be used at all. Everything works, slower.
    CacheUnavailable {
        /// The directory, if it is known.
        path: Option<PathBuf>,
        /// What is wrong with it.
        why: Rejection,
    },
    /// Something could not be written to the cache.
    CacheNotWritten {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The oldest file of the cache was removed to make room.
    CacheEvicted {
        /// The file.
        path: PathBuf,
    },
}

/// Why a file or directory of the cache is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It belongs to somebody else.
    #[error("it belongs to user {found}, not to {expected}")]
    Owner {
        /// The user of this process.
        expected: u32,
        /// Whose it is.
        found: u32,
    },
    /// Others may write to it.
    #[error("its mode {mode:04o} lets others write to it")]
    Mode {
        /// Its permission bits.
        mode: u32,
    },
    /// It is a symbolic link, a device or something else that it should not be.
    #[error("it is not {expected}")]
    Kind {
        /// What it should be: `a directory` or `a regular file`.
        expected: &'static str,
    },
    /// It is larger than anything that is kept here.
    #[error("it has {size_bytes} bytes, at most {limit_bytes} are read")]
    TooLarge {
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Its head is damaged, or is for something else.
    #[error("its head is damaged or is for something else")]
    Head,
    /// Its content does not match its digest.
    #[error("its content does not match its digest")]
    Digest,
    /// Its digest matches, and what it holds cannot be used.
    #[error("what it holds cannot be used: {reason}")]
    Content {
        /// Why.
        reason: String,
    },
    /// The system refuses.
    #[error("{reason}")]
    Io {
        /// What the system says.
        reason: String,
    },
    /// There is no place for a cache: no home directory, or no file permissions to check on this system.
    #[error("{reason}")]
    Unsupported {
        /// Why.
        reason: &'static str,
    },
}
