use super::*;
use crate::args::{BuildArgs, Cli, Command};
use clap::Parser;

const EXAMPLE: &str = r#"
[model.ocr-rec]
source = "rec.onnx"
version = "1.2.0"
evaluate = "evaluation.npz"
shapes = { x = "1x3x48x320" }
constants = { sr = 16000, threshold = [0.5, 1.0] }
max_loss = "1%"

[model.ocr-rec.inputs.x]
kind = "image"
description = "a line of text"
colour = "bgr"
resize = { how = "fit-height", height = 48, width = 320, grow = true }
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[model.ocr-rec.outputs."softmax_11.tmp_0"]
kind = "ctc"
labels = "characters.json"
blank = 0

[model.ocr-rec.variant.wide]
shapes = { x = [1, 3, 48, "width"] }
"#;

fn build(line: &str) -> BuildArgs {
    match Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command) {
        Ok(Command::Build(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), config).unwrap();
    std::fs::write(folder.path().join("rec.onnx"), b"").unwrap();
    folder
}

#[test]
fn a_whole_file_is_understood() {
    let config = Config::parse(EXAMPLE).unwrap();
    let model = &config.models["ocr-rec"];
    assert_eq!(model.constants[0].value, "16000");
    assert_eq!(model.constants[1].value, "0.5,1");
    assert_eq!(model.inputs["x"].description, "a line of text");
    assert!(matches!(model.inputs["x"].content, InputContent::Image { colour: ColourName::Bgr, .. }));
    assert!(matches!(&model.outputs["softmax_11.tmp_0"].content, OutputContent::Ctc { blank: 0, .. }));
    assert_eq!(model.variant["wide"].shapes[0].dims.len(), 4);
}

#[test]
fn an_unknown_key_is_an_error_that_guesses_what_was_meant() {
    let cases = [
        ("[model.a]\nsuorce = \"a.onnx\"", "unknown key `suorce` at line 2, column 1", "did you mean `source`?"),
        ("[modle.a]\nsource = \"a.onnx\"", "unknown key `modle` at line 1, column 2", "did you mean `model`?"),
        ("[model.a.inputs.x]\nkind = \"byts\"", "unknown kind `byts`", "did you mean `bytes`?"),
        ("[model.a.inputs.x]\nkind = \"ctc\"", "unknown kind `ctc`", "known here: "),
        (
            "[model.a.inputs.x]\nkind = \"bytes\"\nhaed = 1\ntail = 1\nblock = 1\npadding = 0",
            "unknown key `haed`",
            "did you mean `head`?",
        ),
        ("[model.a]\nversion = 1", "invalid type", ""),
        ("[model.a]\nshapes = { x = \"1xx\" }", "shape of `x`", ""),
        ("[model.a]\nmax_loss = \"much\"", "expected a share", ""),
        ("[model.a.variant.b.variant.c]\nversion = \"1.0.0\"", "cannot have variants of its own", ""),
        ("[model.a\n", "", ""),
    ];
    let mut failures = Vec::new();
    for (text, message, hint) in cases {
        let error = Config::parse(text).unwrap_err();
        let found = (error.to_string(), error.hint().unwrap_or_default());
        if error.code() != pannier_bundle::Code::Usage || !found.0.contains(message) || !found.1.starts_with(hint) {
            failures.push(format!("{text:?}: {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let folder = folder(EXAMPLE);
    let config = folder.path().join(FILE_NAME);
    let line = format!("packager build --config {} --only ocr-rec", config.display());
    let plain = targets(&build(&line)).unwrap().remove(0);
    assert_eq!((plain.name.as_str(), plain.version.as_str()), ("ocr-rec", "1.2.0"));
    assert_eq!(plain.source, folder.path().join("rec.onnx"));
    assert_eq!(plain.output, folder.path().join("ocr-rec.pannier"));
    assert_eq!(plain.outputs["softmax_11.tmp_0"].content.labels(), Some(&folder.path().join("characters.json")));
    assert_eq!(plain.licence, "");

    let line = format!("{line} --model-version 2.0.0 --licence MIT --shape x=1x3x48x640 --shape y=1 --name other");
    let changed = targets(&build(&line)).unwrap().remove(0);
    assert_eq!((changed.name.as_str(), changed.version.as_str(), changed.licence.as_str()), ("other", "2.0.0", "MIT"));
    assert_eq!(changed.shapes, ["x=1x3x48x640".parse().unwrap(), "y=1".parse().unwrap()]);
    assert_eq!(changed.output, folder.path().join("other.pannier"));
    assert_eq!(changed.evaluate, plain.evaluate);
}

#[test]
fn a_variant_is_its_model_with_some_settings_changed() {
    let folder = folder(EXAMPLE);
    let line = format!("packager build --config {}", folder.path().join(FILE_NAME).display());
    let all = targets(&build(&line)).unwrap();
    let names: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["ocr-rec", "ocr-rec-wide"]);
    assert_eq!(all[1].version, "1.2.0");
    assert_eq!(all[1].shapes, ["x=1,3,48,width".parse().unwrap()]);
    let one = targets(&build(&format!("{line} --only ocr-rec/wide"))).unwrap();
    assert_eq!(one, all[1..]);
}

#[test]
fn a_named_model_finds_its_entry_beside_it() {
    let folder = folder(EXAMPLE);
    let model = folder.path().join("rec.onnx");
    let target = targets(&build(&format!("packager build {}", model.display()))).unwrap().remove(0);
    assert_eq!((target.name.as_str(), target.version.as_str()), ("ocr-rec", "1.2.0"));

    std::fs::write(folder.path().join("Other Model.onnx"), b"").unwrap();
    let args = BuildArgs { model: Some(folder.path().join("Other Model.onnx")), ..build("packager build x.onnx") };
    let target = targets(&args).unwrap().remove(0);
    assert_eq!((target.name.as_str(), target.version.as_str()), ("other-model", "0.1.0"));
    assert_eq!(target.output, Path::new("other-model.pannier"));
}

#[test]
fn what_cannot_be_built_is_a_usage_error() {
    let folder = folder(EXAMPLE);
    let config = format!("packager build --config {}", folder.path().join(FILE_NAME).display());
    let cases = [
        (format!("{config} --only ocr-rce"), "there is no model `ocr-rce`", Some("did you mean `ocr-rec`?")),
        (format!("{config} --name both"), "--name, --output", Some("choose one with --only NAME")),
        (format!("{config} --only ocr-rec --name Bad"), "`Bad` cannot be", None),
        (format!("{config} --only ocr-rec --model-version 1.2"), "`1.2` is not a semantic version", None),
    ];
    for (line, message, hint) in cases {
        let error = targets(&build(&line)).unwrap_err();
        assert_eq!(error.code(), pannier_bundle::Code::Usage, "{line}");
        assert!(error.to_string().starts_with(message), "{line}: {error}");
        assert!(hint.is_none() || error.hint().as_deref() == hint, "{line}: {:?}", error.hint());
    }
}
