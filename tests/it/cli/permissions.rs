//! Files that may not be read and folders that may not be written to: the right code, which path, what to do, nothing
//! left behind.
//!
//! No permission stops root. Where root runs the tests, the command runs as a user who owns nothing else.
#![cfg(unix)]

use super::fixture::folder;
use crate::support::packager::{Ran, packager_binary, packager_command};
use crate::support::{Failures, Onnx, onnx};
use pannier_graph::DType;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The user and group `nobody`, by the number that they have everywhere.
const NOBODY: u32 = 65534;

/// The fixture's folder as somebody sees it who is not root.
struct Visitor {
    folder: TempDir,
    /// The command, at a place that this user can reach.
    binary: PathBuf,
    is_root: bool,
}

impl Visitor {
    fn new() -> Visitor {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("out")).expect("a folder can be made");
        fs::create_dir(at("inner")).expect("a folder can be made");
        fs::copy(at("model.pannier"), at("inner/model.pannier")).expect("a file can be copied");
        let weights: Vec<u8> = (0..3).flat_map(|index| (index as f32).to_le_bytes()).collect();
        fs::write(at("weights.bin"), weights).expect("a file can be written");
        fs::write(at("external.onnx"), external()).expect("a file can be written");
        // A second name, because the way to the first one may lead through the home of root.
        let binary = at("packager");
        if fs::hard_link(packager_binary(), &binary).is_err() {
            fs::copy(packager_binary(), &binary).expect("the command can be copied");
        }
        let is_root = fs::metadata(folder.path()).expect("it is there").uid() == 0;
        if is_root {
            for (path, _) in files(folder.path()) {
                if path != Path::new("packager") {
                    chown(at(&path.to_string_lossy()), Some(NOBODY), Some(NOBODY)).expect("root may do that");
                }
            }
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may do that");
        }
        Visitor { folder, binary, is_root }
    }

    fn run(&self, line: &str) -> Ran {
        let usual = packager_command(self.folder.path());
        let mut command = std::process::Command::new(&self.binary);
        command.current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        for (name, value) in usual.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.args(line.split_whitespace()).output().expect("packager starts").into()
    }

    /// Runs a command while nobody has a right that `mode` does not give.
    fn run_without(&self, name: &str, mode: u32, line: &str) -> Ran {
        let path = self.folder.path().join(name);
        let usual = fs::metadata(&path).expect("it is there").permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its permissions can be changed");
        let ran = self.run(line);
        fs::set_permissions(&path, usual).expect("its permissions can be changed");
        ran
    }

    /// Every file but the command, with its size: enough to see that one came, went or grew.
    fn files(&self) -> BTreeMap<PathBuf, u64> {
        files(self.folder.path())
    }
}

/// Everything below a folder, by path from there, with its size; 0 for folders.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("it can be listed");
        let (name, metadata) = (PathBuf::from(entry.file_name()), entry.metadata().expect("it is there"));
        if metadata.is_dir() {
            found.insert(name.clone(), 0);
            found.extend(files(&entry.path()).into_iter().map(|(inner, size)| (name.join(inner), size)));
        } else {
            found.insert(name, metadata.len());
        }
    }
    found
}

/// A model that keeps its only weight in `weights.bin`.
fn external() -> Vec<u8> {
    Onnx::new(17)
        .input("x", DType::F32, "3")
        .initializer(onnx::external_tensor("w", DType::F32, "3", &[("location", "weights.bin")]))
        .node("Add", &["x", "w"], &["y"])
        .output("y", DType::F32, "3")
        .bytes()
}

#[test]
fn a_file_that_may_not_be_read_is_named_and_nothing_is_left() {
    // What may not be read; a command that needs it; how the message names it.
    let table = [
        ("model.pannier", "verify model.pannier --key publisher.pub", "`model.pannier`"),
        ("model.pannier", "inspect model.pannier", "`model.pannier`"),
        ("model.pannier", "inspect model.pannier --html report.html", "`model.pannier`"),
        ("model.pannier", "run model.pannier notes.txt --key publisher.pub", "`model.pannier`"),
        ("model.pannier", "bench model.pannier notes.txt --key publisher.pub", "`model.pannier`"),
        ("model.pannier", "sign model.pannier --key publisher.pem", "`model.pannier`"),
        ("model.pannier", "approve model.pannier --key approver.pem --publisher publisher.pub", "`model.pannier`"),
        ("model.pannier", "unpack model.pannier out/unpacked --key publisher.pub", "`model.pannier`"),
        ("model.pannier", "export model.pannier --onnx out/x.onnx --key publisher.pub", "`model.pannier`"),
        ("model.pannier", "diff model.pannier retrained.pannier", "`model.pannier`"),
        ("retrained.pannier", "diff model.pannier retrained.pannier", "`retrained.pannier`"),
        ("inner", "verify inner/model.pannier --key publisher.pub", "`inner/model.pannier`"),
        ("model.onnx", "build model.onnx -o out/x.pannier", "`model.onnx`"),
        ("model.onnx", "build", "`model.onnx`"),
        ("model.onnx", "init model.onnx --force", "`model.onnx`"),
        ("weights.bin", "build external.onnx --config retrained.toml -o out/x.pannier", "`weights.bin`"),
        ("packager.toml", "build", "`packager.toml`"),
        ("packager.toml", "build model.onnx -o out/x.pannier", "`packager.toml`"),
        ("retrained.toml", "build --config retrained.toml -o out/x.pannier", "`retrained.toml`"),
        ("labels.json", "build", "`labels.json`"),
        ("cases.npz", "build model.onnx --evaluate cases.npz -o out/x.pannier", "`cases.npz`"),
        ("cases.npz", "build model.onnx --calibrate cases.npz -o out/x.pannier", "`cases.npz`"),
        ("publisher.pem", "build model.onnx --sign publisher.pem -o out/x.pannier", "`publisher.pem`"),
        ("publisher.pem", "sign unsigned.pannier --key publisher.pem", "`publisher.pem`"),
        ("approver.pem", "approve model.pannier --key approver.pem --publisher publisher.pub", "`approver.pem`"),
        ("publisher.pub", "approve model.pannier --key approver.pem --publisher publisher.pub", "`publisher.pub`"),
        ("publisher.pub", "verify model.pannier --key publisher.pub", "`publisher.pub`"),
        ("publisher.pub", "run model.pannier notes.txt --key publisher.pub", "`publisher.pub`"),
        ("publisher.pub", "key show publisher.pub", "`publisher.pub`"),
        ("policy.toml", "verify model.pannier --policy policy.toml", "`policy.toml`"),
        ("policy.toml", "run model.pannier notes.txt --policy policy.toml", "`policy.toml`"),
        ("passphrase.txt", "key new out/new.pem --passphrase-file passphrase.txt", "`passphrase.txt`"),
        ("notes.txt", "run model.pannier notes.txt --key publisher.pub -o out/x.npz", "`notes.txt`"),
        ("cases.npz", "run model.pannier cases.npz --key publisher.pub -o out/x.npz", "`cases.npz`"),
        ("notes.txt", "bench model.pannier notes.txt --key publisher.pub", "`notes.txt`"),
    ];
    let visitor = Visitor::new();
    let before = visitor.files();
    let mut failures = Failures::default();
    for (name, line, named) in table {
        failures.check(format!("{line}, without {name}"), || {
            let ran = visitor.run_without(name, 0, line);
            let error = format!("error[E_INPUT_MISSING]: cannot read {named}");
            let says_why = |line: &str| line.starts_with(&error) && line.ends_with(": permission denied");
            same(&ran, 3, says_why)?;
            unchanged(&visitor, &before)
        });
    }
    failures.assert_none();
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named_and_nothing_is_left() {
    let lines = [
        "build model.onnx -o out/x.pannier",
        "build model.onnx --sign publisher.pem -o out/x.pannier",
        "sign model.pannier --key publisher.pem -o out/x.pannier",
        "approve model.pannier --key approver.pem --publisher publisher.pub -o out/x.pannier",
        "export model.pannier --onnx out/x.onnx --key publisher.pub",
        "unpack model.pannier out/x --key publisher.pub",
        "inspect model.pannier --html out/x.html",
        "run model.pannier notes.txt -o out/x.npz --key publisher.pub",
        "key new out/x.pem --no-passphrase",
    ];
    let visitor = Visitor::new();
    let before = visitor.files();
    let mut failures = Failures::default();
    for line in lines {
        failures.check(line, || {
            let ran = visitor.run_without("out", 0o555, line);
            let says_why = |line: &str| {
                line.starts_with("error[E_FAILED]: cannot write `out/x") && line.ends_with("`: permission denied")
            };
            same(&ran, 1, says_why)?;
            unchanged(&visitor, &before)
        });
    }
    // Whatever was refused to be written is written where it may be.
    failures.check("with the permission", || match visitor.run(lines[2]) {
        ran if ran.status == Some(0) => Ok(()),
        ran => Err(format!("{ran:?}")),
    });
    failures.assert_none();
}

/// Compares the exit status, and looks for a message and a hint.
fn same(ran: &Ran, status: i32, message: impl Fn(&str) -> bool) -> Result<(), String> {
    let hinted = ran.stderr.lines().any(|line| line.trim_start().starts_with("hint: "));
    if ran.status == Some(status) && hinted && ran.stderr.lines().any(message) {
        return Ok(());
    }
    Err(format!("{ran:?}"))
}

fn unchanged(visitor: &Visitor, before: &BTreeMap<PathBuf, u64>) -> Result<(), String> {
    let after = visitor.files();
    if after == *before { Ok(()) } else { Err(format!("the folder changed: {:?}", after.keys())) }
}
