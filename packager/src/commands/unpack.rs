//! `packager unpack`: a bundle as the files that its signatures speak of.

use super::signatures;
use crate::args::UnpackArgs;
use crate::{Context, Error, input, output, units};
use pannier_bundle::trust::HEADER_NAME;
use pannier_bundle::{Source, Verified};
use serde::Serialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `pannier.dev/unpack/v1`
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    folder: String,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: String,
    size_bytes: u64,
}

/// Name of the first signature's file.
const SIGNATURE_NAME: &str = "model.sig";

/// Writes `DIR/header`, `DIR/<section>` and the signatures: the first as `DIR/model.sig`, the others beside the folder
/// as `DIR.sig1`, `DIR.sig2`, ..., because the reference tool refuses a folder with a file that was not signed.
///
/// # Errors
/// As [`input::open_verified`]; [`Error::Exists`]: the folder is not empty; [`Error::Write`]. Nothing is left then.
pub fn run(args: &UnpackArgs, context: &Context) -> Result<(), Error> {
    let bundle = input::open_verified(&args.bundle, &args.trust)?;
    signatures::check_contents(&bundle, &args.bundle, &context.printer)?;
    let others: Vec<(PathBuf, &Vec<u8>)> = bundle
        .signatures()
        .iter()
        .enumerate()
        .skip(1)
        .map(|(index, signature)| (beside(&args.dir, index), signature))
        .collect();
    if let Some((path, _)) = others.iter().find(|(path, _)| path.exists()) {
        return Err(Error::Exists {
            path: path.clone(),
            hint: "it would hold a further signature: name another folder",
        });
    }

    let mut files = Vec::new();
    output::write_folder(&args.dir, |write| {
        let mut write = |name: &str, bytes: &[u8]| {
            files.push(File { path: args.dir.join(name).display().to_string(), size_bytes: bytes.len() as u64 });
            write(name, bytes)
        };
        write(HEADER_NAME, bundle.header_bytes())?;
        for section in &bundle.header().sections {
            let content = content(&bundle, &section.name).map_err(|error| error.in_file(&args.bundle))?;
            write(&section.name, &content)?;
        }
        match bundle.signatures().first() {
            Some(signature) => write(SIGNATURE_NAME, signature),
            None => Ok(()),
        }
    })?;
    write_beside(&others, &args.dir)?;
    let others = others.iter().map(|(path, bytes)| (path.display().to_string(), bytes.len() as u64));
    files.extend(others.map(|(path, size_bytes)| File { path, size_bytes }));

    if context.json {
        let folder = args.dir.display().to_string();
        return context.printer.json(&Document { schema: "pannier.dev/unpack/v1", folder, files });
    }
    let total = files.iter().map(|file| file.size_bytes).sum();
    context.printer.data(format!(
        "{}: {}, {}",
        args.dir.display(),
        units::plural(files.len() as u64, "file"),
        units::bytes(total)
    ))
}

fn content<S: Source>(bundle: &Verified<S>, name: &str) -> Result<Vec<u8>, Error> {
    let size_bytes = bundle.section(name).map_or(0, |section| section.content_bytes);
    let mut content = Vec::new();
    let size = usize::try_from(size_bytes).map_err(|_| Error::usage("the section does not fit into memory"))?;
    content.resize(size, 0);
    bundle.read_into(name, &mut content)?;
    Ok(content)
}

/// Writes further signatures; if one fails, the folder goes as well.
fn write_beside(signatures: &[(PathBuf, &Vec<u8>)], folder: &Path) -> Result<(), Error> {
    for (index, (path, signature)) in signatures.iter().enumerate() {
        if let Err(error) = output::write_atomically(path, signature) {
            let _ = std::fs::remove_dir_all(folder);
            for (path, _) in &signatures[..index] {
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn beside(folder: &Path, index: usize) -> PathBuf {
    let mut name = OsString::from(folder.components().as_path());
    name.push(format!(".sig{index}"));
    PathBuf::from(name)
}
