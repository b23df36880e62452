//! `packager key`: make and show signing keys.

use crate::args::{KeyArgs, KeyCommand, KeyNewArgs, KeyShowArgs};
use crate::output::Access;
use crate::sign::PrivateKey;
use crate::{Context, Error, input, output, secret};
use pannier_bundle::PublicKey;
use serde::Serialize;
use std::path::Path;
use zeroize::Zeroizing;

/// `pannier.dev/key/v1`. Nothing of a private key is in it.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    fingerprint: String,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
}

/// Makes or shows a key.
///
/// # Errors
/// [`Error::Read`], [`Error::Write`], [`Error::Exists`], [`Error::Key`], [`Error::Usage`]: there is no passphrase.
pub fn run(args: &KeyArgs, context: &Context) -> Result<(), Error> {
    match &args.command {
        KeyCommand::New(args) => new(args, context),
        KeyCommand::Show(args) => show(args, context),
    }
}

fn new(args: &KeyNewArgs, context: &Context) -> Result<(), Error> {
    let private = &args.path;
    let public = private.with_extension("pub");
    if public == *private || output::is_stdout(private) {
        return Err(Error::usage_with_hint(
            format!("`{}` cannot be the private key's file: the public key goes beside it", private.display()),
            "name a file such as publisher.pem",
        ));
    }
    let taken = [private.as_path(), &public].into_iter().find(|path| path.symlink_metadata().is_ok());
    if let (Some(path), false) = (taken, args.force) {
        return Err(Error::Exists {
            path: path.to_owned(),
            hint: "a replaced key cannot be brought back; choose another name, or give --force",
        });
    }
    let key = PrivateKey::generate()?;
    let pem = if args.no_passphrase {
        key.to_unencrypted_pem()?
    } else {
        key.to_encrypted_pem(secret::new_passphrase(&args.passphrase)?.as_bytes())?
    };
    write_pair(private, &pem, &public, key.public_key())?;

    let fingerprint = key.public_key().fingerprint().to_string();
    if context.json {
        return context.printer.json(&Document {
            schema: "pannier.dev/key/v1",
            fingerprint,
            public_key: key.public_key().to_pem().to_owned(),
            private_key_file: Some(private.display().to_string()),
            public_key_file: Some(public.display().to_string()),
            encrypted: Some(!args.no_passphrase),
        });
    }
    if args.no_passphrase {
        context.printer.note(format!("{} is not encrypted: whoever reads it can sign", private.display()));
    }
    let mut table = crate::table::Table::of_fields();
    table.field("private key", format!("{}  keep it secret", private.display()));
    table.field("public key", format!("{}  give it to those who verify", public.display()));
    table.field("fingerprint", fingerprint);
    context.printer.data(table.render())
}

/// Both files or none.
fn write_pair(private: &Path, pem: &Zeroizing<String>, public: &Path, key: &PublicKey) -> Result<(), Error> {
    output::write_with_access(private, pem.as_bytes(), Access::Private)?;
    output::write_atomically(public, key.to_pem().as_bytes()).inspect_err(|_| {
        let _ = std::fs::remove_file(private);
    })
}

/// The public half on stdout, so that it can be kept; its fingerprint on stderr, or both in the document.
fn show(args: &KeyShowArgs, context: &Context) -> Result<(), Error> {
    let pem = Zeroizing::new(input::read_text(&args.path)?);
    let key = if pem.contains("PRIVATE KEY-----") {
        secret::private_key(&args.path, &args.passphrase)?.public_key().clone()
    } else {
        PublicKey::from_pem(&pem)
            .map_err(|error| Error::from(pannier_bundle::Error::Trust(error)).in_file(&args.path))?
    };
    let fingerprint = key.fingerprint().to_string();
    if context.json {
        return context.printer.json(&Document {
            schema: "pannier.dev/key/v1",
            fingerprint,
            public_key: key.to_pem().to_owned(),
            private_key_file: None,
            public_key_file: None,
            encrypted: None,
        });
    }
    context.printer.note(format!("fingerprint {fingerprint}"));
    context.printer.data(key.to_pem())
}
