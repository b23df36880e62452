//! Writing files: all of a file or nothing of it.

use crate::error::Error;
use crate::interrupt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes written between two looks at Ctrl-C.
const PIECE_BYTES: usize = 4 << 20;

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As the user's file creation mask says.
    Shared,
    /// Its owner alone: private keys.
    Private,
}

/// Writes a file: to a temporary file beside it, synced, then renamed. `-` is stdout.
///
/// A device or pipe (`/dev/full`, `/dev/stdout`) is written to directly: it cannot be replaced.
///
/// # Errors
/// [`Error::Write`]: the folder is missing or not writable, the disk is full.
/// [`Error::Interrupted`]: Ctrl-C. No part of the file is left in either case.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with_access(path, bytes, Access::Shared)
}

/// Whether a path stands for stdout.
pub fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// As [`write_atomically`], with a say in who may read the file.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_with_access(path: &Path, bytes: &[u8], access: Access) -> Result<(), Error> {
    if is_stdout(path) {
        return write_pieces(&mut io::stdout().lock(), bytes, Path::new("stdout"));
    }
    let failed = |cause| Error::Write { path: path.to_owned(), cause };
    // A link's target is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&target).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let mut device = File::options().write(true).open(&target).map_err(failed)?;
        return write_pieces(&mut device, bytes, path);
    }
    if target.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "is a folder")));
    }
    let folder = folder_of(&target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".packager-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = match access {
            Access::Private => 0o600,
            Access::Shared => fs::metadata(&target).map_or(0o666, |found| found.permissions().mode()),
        };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = access;
    let mut temporary = builder.tempfile_in(&folder).map_err(failed)?;
    let _registered = interrupt::Registered::new(temporary.path());
    write_pieces(temporary.as_file_mut(), bytes, path)?;
    temporary.as_file().sync_all().map_err(failed)?;
    interrupt::check()?;
    temporary.persist(&target).map_err(|error| failed(error.error))?;
    sync_folder(&folder);
    Ok(())
}

/// Writes several files as one new folder: into a temporary folder beside it, then renamed.
///
/// # Errors
/// [`Error::Exists`]: `folder` is there and not empty. Otherwise as [`write_atomically`].
pub fn write_folder(
    folder: &Path,
    write: impl FnOnce(&mut dyn FnMut(&str, &[u8]) -> Result<(), Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |path: &Path, cause| Error::Write { path: path.to_owned(), cause };
    if fs::symlink_metadata(folder).is_ok() {
        let is_empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if !is_empty {
            return Err(Error::Exists {
                path: folder.to_owned(),
                hint: "it is not empty: name a new or an empty folder",
            });
        }
    }
    let parent = folder_of(folder);
    let temporary = tempfile::Builder::new()
        .prefix(".packager-")
        .suffix(".tmp")
        .permissions(shared_folder())
        .tempdir_in(&parent)
        .map_err(|cause| failed(folder, cause))?;
    let _registered = interrupt::Registered::new(temporary.path());
    write(&mut |name, bytes| {
        let path = temporary.path().join(name);
        let shown = folder.join(name);
        fs::create_dir_all(folder_of(&path)).map_err(|cause| failed(&shown, cause))?;
        let mut file = File::create_new(&path).map_err(|cause| failed(&shown, cause))?;
        write_pieces(&mut file, bytes, &shown)?;
        file.sync_all().map_err(|cause| failed(&shown, cause))
    })?;
    interrupt::check()?;
    // An empty folder in the way is replaced by the rename on Unix; elsewhere it has to go first.
    if cfg!(not(unix)) && folder.is_dir() {
        fs::remove_dir(folder).map_err(|cause| failed(folder, cause))?;
    }
    fs::rename(temporary.path(), folder).map_err(|cause| failed(folder, cause))?;
    // Renamed away: there is nothing left to remove.
    let _ = temporary.keep();
    sync_folder(&parent);
    Ok(())
}

fn write_pieces(into: &mut dyn Write, bytes: &[u8], path: &Path) -> Result<(), Error> {
    let failed = |cause| Error::Write { path: path.to_owned(), cause };
    for piece in bytes.chunks(PIECE_BYTES) {
        interrupt::check()?;
        into.write_all(piece).map_err(failed)?;
    }
    into.flush().map_err(failed)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    }
}

#[cfg(unix)]
fn shared_folder() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o777)
}

/// Makes the rename itself durable. Best effort: not every file system can.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
