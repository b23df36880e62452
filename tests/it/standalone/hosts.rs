//! The module in Node and in a page, with exactly the JavaScript that `packager inspect` prints.

use super::fixture::{Built, magika, small};
use crate::support::packager;
use crate::support::web::{chromium, node, node_packages};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_printed_javascript_runs_the_small_model_in_node() {
    in_node(small());
}

#[test]
fn the_printed_javascript_runs_magika_in_node() {
    in_node(magika());
}

#[test]
fn the_printed_javascript_runs_the_small_model_in_a_page() {
    in_a_page(small());
}

#[test]
fn the_printed_javascript_runs_magika_in_a_page() {
    in_a_page(magika());
}

fn in_node(built: &Built) {
    let folder = prepare(built, "node");
    // As it stands it runs the model on zeros and prints the answer.
    let alone = run(Command::new(node()).arg(folder.join(script(built))));
    assert!(alone.contains("shape:"), "it prints an answer:\n{alone}");
    run(Command::new(node()).arg(folder.join("node.mjs")).arg(script(built)));
    built.assert_answers("Node", &answers(&folder));
}

fn in_a_page(built: &Built) {
    let folder = prepare(built, "page");
    let mut command = Command::new(node());
    // `require` looks there, `import` would not.
    command.env("NODE_PATH", node_packages().join("node_modules"));
    run(command.arg(folder.join("page.cjs")).arg(chromium()).arg(script(built)));
    built.assert_answers("a page", &answers(&folder));
}

/// A folder of its own for each test: the file, what `inspect` prints for it, the cases, and the scripts that drive it.
fn prepare(built: &Built, host: &str) -> PathBuf {
    let folder = built.folder.path().join(host);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let file = format!("{}.wasm", built.name);
    std::fs::copy(built.folder.path().join(&file), folder.join(&file)).expect("it was built");
    let inspected = packager(&folder, ["inspect", &file, "--json"]).expect(0).json();
    let javascript = inspected["javascript"].as_str().expect("a module has JavaScript").to_owned();
    let screen = packager(&folder, ["inspect", &file]).expect(0).stdout;
    assert!(screen.ends_with(&javascript), "the screen ends with the same JavaScript:\n{screen}");
    assert_eq!(javascript.lines().count(), 20);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file can be written");
    write(&script(built), &javascript);
    write("cases.json", &built.inputs().to_string());
    for (name, text) in [
        ("cases.mjs", include_str!("hosts/cases.mjs")),
        ("node.mjs", include_str!("hosts/node.mjs")),
        ("page.cjs", include_str!("hosts/page.cjs")),
    ] {
        write(name, text);
    }
    folder
}

fn script(built: &Built) -> String {
    format!("{}.mjs", built.name)
}

fn answers(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("answers.json")).expect("the script wrote it");
    serde_json::from_str(&text).expect("it is JSON")
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}
