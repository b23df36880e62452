//! What commands print, letter by letter.

use super::fixture::{folder, path, told};
use crate::support::packager;

/// Runs the lines one after the other in one folder and compares what the last of them says.
macro_rules! answers {
    ($($name:ident: $($line:literal),+;)*) => {$(
        #[test]
        fn $name() {
            let folder = folder();
            let mut told_last = String::new();
            for line in [$($line),+] {
                told_last = format!("$ packager {line}\n{}", told(&packager(folder.path(), line.split_whitespace())));
            }
            insta::assert_snapshot!(stringify!($name), told_last);
        }
    )*};
}

answers! {
    inspect_without_trust: "inspect model.pannier";
    inspect_with_a_trusted_key: "inspect model.pannier --key publisher.pub";
    inspect_with_a_strangers_key: "inspect model.pannier --key stranger.pub";
    inspect_unsigned: "inspect unsigned.pannier";
    inspect_graph: "inspect model.pannier --graph";
    inspect_json: "inspect model.pannier --key publisher.pub --json";
    verify: "verify model.pannier --key publisher.pub";
    verify_full: "verify model.pannier --key stranger.pub --key publisher.pub --full";
    verify_policy: "verify model.pannier --policy policy.toml";
    verify_policy_with_approval: "approve model.pannier --key approver.pem --policy strict.toml",
        "verify model.pannier --policy strict.toml --json";
    verify_policy_without_approval: "verify model.pannier --policy strict.toml";
    verify_without_trust: "verify model.pannier";
    verify_allowing_everything: "verify unsigned.pannier --allow-unsigned";
    verify_unsigned: "verify unsigned.pannier --key publisher.pub";
    verify_by_a_stranger: "verify model.pannier --key stranger.pub";
    verify_by_a_stranger_as_json: "verify model.pannier --key stranger.pub --json";
    verify_rebuild: "verify model.pannier --key publisher.pub --rebuild model.onnx";
    verify_rebuild_of_another_model: "verify model.pannier --key publisher.pub --rebuild retrained.onnx";
    sign: "sign unsigned.pannier --key publisher.pem";
    sign_again: "sign model.pannier --key publisher.pem --json";
    approve: "approve model.pannier --key approver.pem --publisher publisher.pub";
    approve_towards_a_policy: "approve model.pannier --key stranger.pem --policy strict.toml";
    approve_what_nobody_signed: "approve unsigned.pannier --key approver.pem --policy strict.toml";
    unpack: "unpack model.pannier unpacked --key publisher.pub";
    unpack_json: "approve model.pannier --key approver.pem --publisher publisher.pub",
        "unpack model.pannier unpacked --key publisher.pub --json";
    unpack_into_a_full_folder: "unpack model.pannier . --key publisher.pub";
    export: "export model.pannier --onnx out.onnx --key publisher.pub";
    diff_of_the_same: "diff model.pannier model.pannier";
    diff_of_signatures: "diff unsigned.pannier model.pannier";
    diff_of_weights: "diff model.pannier retrained.pannier";
    diff_json: "diff model.pannier retrained.pannier --json";
    key_show: "key show publisher.pub";
    key_show_json: "key show publisher.pem --json";
    key_new_over_another: "key new publisher.pem --no-passphrase";
    explain: "explain";
    explain_one: "explain e_unsigned";
    explain_json: "explain E_POLICY --json";
    explain_unknown: "explain E_UNSINGED";
    wrong_option: "verify model.pannier --keys publisher.pub";
    wrong_option_as_json: "verify model.pannier --keys publisher.pub --json";
    missing_file: "inspect nowhere.pannier";
    missing_file_as_json: "inspect nowhere.pannier --json";
    not_a_bundle: "inspect notes.txt";
    not_a_key: "sign model.pannier --key notes.txt";
    public_key_to_sign_with: "sign model.pannier --key publisher.pub";
    private_key_to_trust: "verify model.pannier --key publisher.pem";
    not_a_policy: "verify model.pannier --policy notes.txt";
    key_and_policy: "verify model.pannier --key publisher.pub --policy policy.toml";
}

#[test]
fn the_page_is_self_contained() {
    let folder = folder();
    packager(folder.path(), ["inspect", "model.pannier", "--key", "publisher.pub", "--html", "report.html"]).expect(0);
    let page = std::fs::read_to_string(path(&folder, "report.html")).expect("the page was written");
    for part in ["<!doctype html>", "<svg", "MatMul", "notes", "1.2.0", "passed", "prefers-color-scheme: dark"] {
        assert!(page.contains(part), "the page lacks {part}");
    }
    for reference in ["http://", "https://", "src=", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(reference), "the page refers to something outside: {reference}");
    }
}

#[test]
fn two_signatures_are_in_the_order_publisher_approver() {
    let folder = folder();
    let run = |line: &str| packager(folder.path(), line.split_whitespace()).expect(0);
    // The approver first, the publisher last: the publisher's is still the first one.
    run("sign unsigned.pannier --key stranger.pem");
    run("approve unsigned.pannier --key approver.pem --publisher stranger.pub");
    run("sign unsigned.pannier --key publisher.pem");
    let fingerprint = |key: &str| run(&format!("key show {key} --json")).json()["fingerprint"].clone();
    let signers = run("inspect unsigned.pannier --json").json()["trust"]["signers"].clone();
    let found: Vec<_> =
        signers.as_array().expect("a list").iter().map(|signer| signer["fingerprint"].clone()).collect();
    assert_eq!(found, ["publisher.pub", "stranger.pub", "approver.pub"].map(fingerprint));
}

#[test]
fn signing_twice_changes_nothing() {
    let folder = folder();
    let before = std::fs::read(path(&folder, "model.pannier")).expect("it is there");
    packager(folder.path(), ["sign", "model.pannier", "--key", "publisher.pem"]).expect(0);
    assert_eq!(std::fs::read(path(&folder, "model.pannier")).expect("it is there"), before);
}
