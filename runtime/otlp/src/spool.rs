//! What waits to be sent, on disk: one file a payload.
//!
//! ```text
//! spool/                     the operator's folder
//!   slot-0/                  one process at a time, by a lock on `lock`
//!     lock
//!     instance               the name of this device, or of its first, second ... process
//!     00000000000000000007   a segment: magic, SHA-256 of what follows, payload
//! ```
//!
//! A segment is written beside its place, synced and renamed, so it is whole or not there. One that was damaged later is
//! found by its digest, given up and counted. Where the disk does not take segments, they wait in memory.

use pannier_telemetry::delivery::{Lost, MemorySpool, Spool};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// First bytes of a segment: name and version.
const MAGIC: &[u8; 8] = b"PNSPOOL\x01";
const HEAD_BYTES: usize = MAGIC.len() + 32;
/// Most processes of one device that spool at the same time.
const SLOTS: u32 = 16;
/// Digits of a segment's number, so that names sort as numbers do.
const DIGITS: usize = 20;
/// What memory takes when the disk does not.
const MEMORY_BYTES: u64 = 1 << 20;

/// A spool in a folder.
#[derive(Debug)]
pub struct DiskSpool {
    slot: Option<Slot>,
    limit_bytes: u64,
    segments: VecDeque<Segment>,
    next: u64,
    size_bytes: u64,
    memory: MemorySpool,
    damaged: u64,
}

/// A folder that is ours while the lock is held.
#[derive(Debug)]
struct Slot {
    folder: PathBuf,
    _lock: File,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    size_bytes: u64,
}

impl DiskSpool {
    /// Opens the first slot in `folder` that no other process has, with what waits in it. A folder that cannot be written
    /// is no error: then payloads wait in memory.
    pub fn open(folder: Option<&Path>, limit_bytes: u64) -> DiskSpool {
        let mut spool = DiskSpool {
            slot: folder
                .and_then(|folder| (0..SLOTS).find_map(|slot| Slot::take(&folder.join(format!("slot-{slot}"))).ok())),
            limit_bytes,
            segments: VecDeque::new(),
            next: 0,
            size_bytes: 0,
            memory: MemorySpool::new(MEMORY_BYTES.min(limit_bytes)),
            damaged: 0,
        };
        for (number, size_bytes) in spool.slot.as_ref().map(Slot::segments).unwrap_or_default() {
            spool.segments.push_back(Segment { number, size_bytes });
            spool.size_bytes += size_bytes;
            spool.next = number.saturating_add(1);
        }
        spool
    }

    /// The name of this device, which stays the same: another one for each process that runs at the same time. `None`
    /// where nothing can be kept.
    pub fn instance(&self, new: impl FnOnce() -> String) -> Option<String> {
        let slot = self.slot.as_ref()?;
        let kept = slot.instance();
        kept.or_else(|| {
            let name = new();
            slot.write(&slot.instance_path(), name.as_bytes()).ok()?;
            Some(name)
        })
    }

    fn remove_front(&mut self) {
        if let Some(segment) = self.segments.pop_front() {
            self.size_bytes -= segment.size_bytes;
            if let Some(slot) = &self.slot {
                // One that cannot be removed is sent again by the next process, which changes nothing.
                let _ = fs::remove_file(slot.path(segment.number));
            }
        }
    }
}

impl Spool for DiskSpool {
    fn push(&mut self, request: &[u8]) -> Lost {
        let size_bytes = (request.len() + HEAD_BYTES) as u64;
        let mut lost = Lost::default();
        if size_bytes > self.limit_bytes {
            return Lost { full: 1, ..lost };
        }
        while !self.segments.is_empty() && self.size_bytes + size_bytes > self.limit_bytes {
            self.remove_front();
            lost.full += 1;
        }
        let number = self.next;
        let written = self.slot.as_ref().map(|slot| slot.write(&slot.path(number), &segment(request)));
        match written {
            Some(Ok(())) => {
                self.segments.push_back(Segment { number, size_bytes });
                self.size_bytes += size_bytes;
                self.next += 1;
            }
            _ => lost.disk += self.memory.push(request).full,
        }
        lost
    }

    fn front(&mut self) -> Option<Vec<u8>> {
        while let (Some(segment), Some(slot)) = (self.segments.front(), &self.slot) {
            match read(&slot.path(segment.number), self.limit_bytes) {
                Some(request) => return Some(request),
                None => {
                    self.damaged += 1;
                    self.remove_front();
                }
            }
        }
        self.memory.front()
    }

    fn pop(&mut self) {
        match self.segments.is_empty() {
            true => self.memory.pop(),
            false => self.remove_front(),
        }
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes + self.memory.size_bytes()
    }

    fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }
}

impl Slot {
    fn take(folder: &Path) -> io::Result<Slot> {
        fs::create_dir_all(folder)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        lock.try_lock()?;
        Ok(Slot { folder: folder.to_owned(), _lock: lock })
    }

    fn instance_path(&self) -> PathBuf {
        self.folder.join("instance")
    }

    fn instance(&self) -> Option<String> {
        fs::read_to_string(self.instance_path()).ok().filter(|name| is_instance(name))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:0DIGITS$}"))
    }

    /// Numbers and sizes of the segments in order. What was being written when a process died is removed.
    fn segments(&self) -> Vec<(u64, u64)> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tmp") {
                let _ = fs::remove_file(entry.path());
            }
            let number = Some(name).filter(|name| name.len() == DIGITS).and_then(|name| name.parse().ok());
            segments.extend(number.zip(entry.metadata().ok().map(|metadata| metadata.len())));
        }
        segments.sort_unstable();
        segments
    }

    /// Writes a file that is whole or not there.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let beside = path.with_extension("tmp");
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written?;
        // So that the name survives a power cut, too.
        match File::open(&self.folder) {
            Ok(folder) => folder.sync_all().or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}

fn segment(request: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &Sha256::digest(request)[..], request].concat()
}

/// The payload of a segment. `None` if it is damaged or gone.
fn read(path: &Path, limit_bytes: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(limit_bytes).read_to_end(&mut content).ok()?;
    let (head, request) = content.split_at_checked(HEAD_BYTES)?;
    let (magic, digest) = head.split_at_checked(MAGIC.len())?;
    (magic == MAGIC && digest == &Sha256::digest(request)[..]).then(|| request.to_vec())
}

/// The name of the first process of this device, where a spool has one. Nothing is made or locked.
pub(crate) fn known_instance(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("slot-0/instance")).ok().filter(|name| is_instance(name))
}

fn is_instance(name: &str) -> bool {
    name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests;
