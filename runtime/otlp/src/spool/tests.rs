use super::*;
use std::os::unix::fs::PermissionsExt;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(folder: &tempfile::TempDir, limit_bytes: u64) -> DiskSpool {
    DiskSpool::open(Some(folder.path()), limit_bytes)
}

/// What waits, oldest first.
fn drain(spool: &mut DiskSpool) -> Vec<String> {
    let mut waiting = Vec::new();
    while let Some(request) = spool.front() {
        waiting.push(String::from_utf8(request).unwrap());
        spool.pop();
    }
    waiting
}

fn segment_paths(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(folder.path().join("slot-0")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().len() == DIGITS);
    paths.sort();
    paths
}

#[test]
fn what_was_spooled_is_there_for_the_next_process() {
    let folder = folder();
    let mut spool = open(&folder, 1 << 20);
    for request in ["one", "two", "three"] {
        assert_eq!(spool.push(request.as_bytes()), Lost::default());
    }
    spool.pop();
    drop(spool);
    let mut spool = open(&folder, 1 << 20);
    assert_eq!(spool.size_bytes(), (HEAD_BYTES * 2 + 8) as u64);
    spool.push(b"four");
    assert_eq!(drain(&mut spool), ["two", "three", "four"]);
    assert_eq!((spool.size_bytes(), segment_paths(&folder).len()), (0, 0));
}

#[test]
fn a_full_spool_gives_up_the_oldest_and_counts_it() {
    let folder = folder();
    let mut spool = open(&folder, 3 * (HEAD_BYTES as u64 + 3));
    let lost: u64 = ["one", "two", "six", "ten"].map(|request| spool.push(request.as_bytes()).full).iter().sum();
    assert_eq!(lost, 1);
    assert_eq!(spool.push(&[b'x'; 500]).full, 1, "larger than the spool: it is lost itself, and nothing else");
    assert_eq!(drain(&mut spool), ["two", "six", "ten"]);
}

#[test]
fn a_damaged_segment_is_given_up_and_counted() {
    for (name, damage) in [
        ("a flipped bit", (|content: &mut Vec<u8>| *content.last_mut().unwrap() ^= 1) as fn(&mut Vec<u8>)),
        ("a flipped bit of the digest", |content| content[10] ^= 0x80),
        ("another magic", |content| content[0] = b'X'),
        ("cut off", |content| content.truncate(HEAD_BYTES + 1)),
        ("cut off in its head", |content| content.truncate(5)),
        ("empty", Vec::clear),
        ("something after it", |content| content.push(0)),
    ] {
        let folder = folder();
        let mut spool = open(&folder, 1 << 20);
        for request in ["one", "two", "six"] {
            assert_eq!(spool.push(request.as_bytes()), Lost::default());
        }
        let path = &segment_paths(&folder)[1];
        let mut content = fs::read(path).unwrap();
        damage(&mut content);
        fs::write(path, content).unwrap();
        assert_eq!(drain(&mut spool), ["one", "six"], "{name}");
        assert_eq!((spool.take_damaged(), spool.take_damaged()), (1, 0), "{name}");
    }
}

#[test]
fn what_was_being_written_when_a_process_died_is_no_segment() {
    let folder = folder();
    let mut spool = open(&folder, 1 << 20);
    spool.push(b"one");
    drop(spool);
    let beside = folder.path().join("slot-0/00000000000000000001.tmp");
    fs::write(&beside, b"half").unwrap();
    fs::write(folder.path().join("slot-0/notes.txt"), b"somebody's").unwrap();
    assert_eq!(drain(&mut open(&folder, 1 << 20)), ["one"]);
    assert!(!beside.exists());
}

#[test]
fn processes_that_run_at_the_same_time_have_a_slot_and_a_name_each() {
    let folder = folder();
    let name = |spool: &DiskSpool| spool.instance(crate::payload::new_instance).unwrap();
    let (mut first, mut second) = (open(&folder, 1 << 20), open(&folder, 1 << 20));
    let names = [name(&first), name(&second)];
    assert_ne!(names[0], names[1]);
    first.push(b"of the first");
    second.push(b"of the second");
    drop((first, second));
    let (mut first, second) = (open(&folder, 1 << 20), open(&folder, 1 << 20));
    assert_eq!([name(&first), name(&second)], names, "names stay");
    assert_eq!(drain(&mut first), ["of the first"]);
}

/// As on a read-only file system; the superuser may write anywhere, so the folder is a file instead.
#[test]
fn where_nothing_can_be_written_payloads_wait_in_memory() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for place in [Some(file.as_path()), None] {
        let mut spool = DiskSpool::open(place, 1 << 30);
        assert_eq!(spool.instance(|| unreachable!()), None);
        assert_eq!(spool.push(b"one"), Lost::default());
        let lost: u64 = (0..3).map(|_| spool.push(&vec![b'x'; MEMORY_BYTES as usize / 2]).disk).sum();
        assert_eq!(lost, 2, "what memory cannot hold either is lost to the disk");
        assert_eq!(drain(&mut spool).len(), 2);
    }
}

#[test]
fn a_folder_that_becomes_read_only_loses_nothing() {
    let folder = folder();
    let mut spool = open(&folder, 1 << 20);
    spool.push(b"one");
    let slot = folder.path().join("slot-0");
    let may = |mode| fs::set_permissions(&slot, fs::Permissions::from_mode(mode)).unwrap();
    may(0o500);
    let is_superuser = File::create(slot.join("probe")).is_ok();
    spool.push(b"two");
    assert_eq!(spool.segments.len(), if is_superuser { 2 } else { 1 });
    assert_eq!(drain(&mut spool), ["one", "two"]);
    may(0o700);
}
