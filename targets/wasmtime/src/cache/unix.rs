//! The cache's directory where files have an owner and a mode.
//!
//! The directory is opened once; files are reached from there, so that nobody can put another directory in its place.

use super::{CACHE_BYTES_MAX, HEAD_BYTES, Key, Kind, check, head};
use crate::event::Rejection;
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Most bytes of one file that are read. A memory image of all of a 32-bit memory is below it.
const FILE_BYTES_MAX: u64 = 5 << 30;

/// Start of the names of files that are being written.
const UNFINISHED: &str = "unfinished-";

/// An unfinished file that is older than this was left behind by a process that died.
const UNFINISHED_S_MAX: i64 = 3600;

/// The directory of a cache, checked.
pub(crate) struct Folder {
    folder: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the directory, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Folder, Rejection> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| Rejection::Io { reason: error.to_string() })?;
        }
        match fs::mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(io(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Rejection::Kind { expected: "a directory" }),
            Err(error) => return Err(io(error)),
        };
        check_owner(&fs::fstat(&folder).map_err(io)?)?;
        Ok(Folder { folder, path: path.to_path_buf() })
    }

    /// Where a file is or would be.
    pub(crate) fn file(&self, kind: Kind, key: &Key) -> PathBuf {
        self.path.join(kind.file_name(key))
    }

    /// The content of a file, checked; `None` if it is not there.
    pub(crate) fn read(&self, kind: Kind, key: &Key) -> Result<Option<Vec<u8>>, Rejection> {
        // Without waiting, should somebody have put a pipe there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&self.folder, kind.file_name(key), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Rejection::Kind { expected: "a regular file" }),
            Err(error) => return Err(io(error)),
        };
        let stat = fs::fstat(&file).map_err(io)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Rejection::Kind { expected: "a regular file" });
        }
        check_owner(&stat)?;
        let content = read_checked(&file, u64::try_from(stat.st_size).unwrap_or(u64::MAX), key)?;
        // So that it is the last to go. Not to be able to say so does no harm.
        let _ = fs::futimens(&file, &Timestamps { last_access: NOT, last_modification: NOW });
        Ok(Some(content))
    }

    /// Writes a file as a whole, and makes room for it. Returns what had to go.
    pub(crate) fn write(&self, kind: Kind, key: &Key, content: &[u8]) -> Result<Vec<PathBuf>, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{count}", std::process::id());
        let name = kind.file_name(key);
        let written = self.create(&unfinished).and_then(|mut file| {
            file.write_all(&head(key, content))?;
            file.write_all(content)?;
            // Not synced: what a crash tears is found by its digest and made anew.
            fs::renameat(&self.folder, &unfinished, &self.folder, &name)?;
            Ok(())
        });
        if let Err(error) = written {
            let _ = fs::unlinkat(&self.folder, &unfinished, AtFlags::empty());
            return Err(error.to_string());
        }
        self.make_room(&name, CACHE_BYTES_MAX).map_err(|error| error.to_string())
    }

    /// Removes a file.
    pub(crate) fn remove(&self, kind: Kind, key: &Key) {
        // If it cannot be removed it is rejected again the next time.
        let _ = fs::unlinkat(&self.folder, kind.file_name(key), AtFlags::empty());
    }

    fn create(&self, name: &str) -> std::io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Removes files, those that were not used for the longest time first, until the rest is within the limit.
    fn make_room(&self, keep: &str, limit_bytes: u64) -> rustix::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut total_bytes = 0_u64;
        for entry in fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Ok(stat) = fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                continue;
            }
            if name.starts_with(UNFINISHED) {
                self.remove_left_behind(name, &stat);
                continue;
            }
            let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
            total_bytes = total_bytes.saturating_add(size_bytes);
            if name != keep {
                files.push((stat.st_mtime, stat.st_mtime_nsec, name.to_string(), size_bytes));
            }
        }
        files.sort();
        let mut removed = Vec::new();
        for (_, _, name, size_bytes) in files {
            if total_bytes <= limit_bytes {
                break;
            }
            fs::unlinkat(&self.folder, &name, AtFlags::empty())?;
            total_bytes = total_bytes.saturating_sub(size_bytes);
            removed.push(self.path.join(name));
        }
        Ok(removed)
    }

    fn remove_left_behind(&self, name: &str, stat: &Stat) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        if i64::try_from(now).unwrap_or(0).saturating_sub(stat.st_mtime) > UNFINISHED_S_MAX {
            let _ = fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
const NOT: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };

/// Whether it belongs to this process's user and nobody else can write to it.
fn check_owner(stat: &Stat) -> Result<(), Rejection> {
    let expected = rustix::process::geteuid().as_raw();
    if stat.st_uid != expected {
        return Err(Rejection::Owner { expected, found: stat.st_uid });
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(Mode::WGRP | Mode::WOTH) {
        return Err(Rejection::Mode { mode: mode.as_raw_mode() });
    }
    Ok(())
}

/// Reads a file whose size is known into memory, and checks what is there then.
fn read_checked(mut file: &File, size_bytes: u64, key: &Key) -> Result<Vec<u8>, Rejection> {
    if size_bytes > FILE_BYTES_MAX {
        return Err(Rejection::TooLarge { size_bytes, limit_bytes: FILE_BYTES_MAX });
    }
    let content_bytes = usize::try_from(size_bytes).ok().and_then(|size| size.checked_sub(HEAD_BYTES));
    let content_bytes = content_bytes.ok_or(Rejection::Head)?;
    let mut head = [0; HEAD_BYTES];
    let mut content = vec![0; content_bytes];
    let read = file.read_exact(&mut head).and_then(|()| file.read_exact(&mut content));
    read.map_err(|error| Rejection::Io { reason: error.to_string() })?;
    check(&head, key, &content)?;
    Ok(content)
}

fn io(error: Errno) -> Rejection {
    Rejection::Io { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let keys = [1_u8, 2, 3].map(|number| Key::of(&[&[number]]));
        for (age_s, key) in (1..).zip(&keys) {
            assert_eq!(folder.write(Kind::Image, key, &[0; 1000]), Ok(vec![]));
            let then = Timespec { tv_sec: 1_000_000 - age_s, tv_nsec: 0 };
            let path = folder.file(Kind::Image, key);
            let times = Timestamps { last_access: NOT, last_modification: then };
            fs::utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
        }
        // The oldest, but it was just used.
        assert!(folder.read(Kind::Image, &keys[2]).unwrap().is_some());
        let limit_bytes = 2 * (1000 + u64::try_from(HEAD_BYTES).unwrap());
        let removed = folder.make_room("", limit_bytes).unwrap();
        assert_eq!(removed, [folder.file(Kind::Image, &keys[1])]);
        assert_eq!(folder.make_room("", limit_bytes), Ok(vec![]));
        let kept = Kind::Image.file_name(&keys[0]);
        let removed = folder.make_room(&kept, 0).unwrap();
        assert_eq!(removed, [folder.file(Kind::Image, &keys[2])]);
    }

    #[test]
    fn a_file_that_was_never_finished_is_cleared_away() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let [old, new] = ["unfinished-1-0", "unfinished-2-0"].map(|name| directory.path().join(name));
        std::fs::write(&old, "").unwrap();
        std::fs::write(&new, "").unwrap();
        let then = Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
        let times = Timestamps { last_access: NOT, last_modification: then };
        fs::utimensat(CWD, &old, &times, AtFlags::empty()).unwrap();
        folder.make_room("", 0).unwrap();
        assert_eq!((old.exists(), new.exists()), (false, true));
    }
}
