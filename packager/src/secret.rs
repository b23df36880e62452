//! Private keys and their passphrases. Neither ever reaches a log, an error or a JSON document.

use crate::args::{PassphraseArgs, SigningKeyArgs};
use crate::error::Error;
use crate::sign::{self, PrivateKey};
use crate::{input, interrupt};
use std::io::IsTerminal;
use std::path::Path;
use zeroize::Zeroizing;

const VARIABLE: &str = "PACKAGER_KEY_PASSPHRASE";

/// The private key that the command line names.
///
/// # Errors
/// As [`private_key`].
pub fn signing_key(args: &SigningKeyArgs) -> Result<PrivateKey, Error> {
    private_key(&args.key, &args.passphrase)
}

/// Reads a private key; asks for its passphrase only if it is encrypted.
///
/// # Errors
/// [`Error::Read`]; [`Error::Key`]: not a usable key, or a wrong passphrase; [`Error::Usage`]: there is no passphrase.
pub fn private_key(path: &Path, args: &PassphraseArgs) -> Result<PrivateKey, Error> {
    let pem = Zeroizing::new(input::read_text(path)?);
    let passphrase = if sign::is_encrypted(&pem) {
        Some(match given(args)? {
            Some(passphrase) => passphrase,
            None => ask(&format!("Passphrase of {}: ", path.display()))?,
        })
    } else {
        None
    };
    PrivateKey::from_pem(&pem, passphrase.as_ref().map(|text| text.as_bytes()))
        .map_err(|error| Error::from(error).in_file(path))
}

/// A passphrase for a new key; asked for twice on a terminal.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`]: there is none, it is empty, or the two differ.
pub fn new_passphrase(args: &PassphraseArgs) -> Result<Zeroizing<String>, Error> {
    let passphrase = match given(args)? {
        Some(passphrase) => passphrase,
        None => {
            let first = ask("New passphrase: ")?;
            if *first != *ask("Once more: ")? {
                return Err(Error::usage("the two passphrases differ"));
            }
            first
        }
    };
    if passphrase.is_empty() {
        return Err(Error::usage_with_hint("the passphrase is empty", "--no-passphrase makes a key without one"));
    }
    Ok(passphrase)
}

fn given(args: &PassphraseArgs) -> Result<Option<Zeroizing<String>>, Error> {
    if let Some(path) = &args.passphrase_file {
        let text = Zeroizing::new(input::read_text(path)?);
        return Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())));
    }
    match std::env::var(VARIABLE) {
        Ok(passphrase) => Ok(Some(Zeroizing::new(passphrase))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Error::usage(format!("{VARIABLE} is not valid UTF-8"))),
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    let no_terminal = || {
        Error::usage_with_hint(
            "the key's passphrase is needed, and there is no terminal to ask on",
            format!("set {VARIABLE}, or give --passphrase-file FILE"),
        )
    };
    if !std::io::stdin().is_terminal() && !std::io::stderr().is_terminal() {
        return Err(no_terminal());
    }
    let answer = interrupt::while_asking(|| rpassword::prompt_password(prompt));
    answer.map(Zeroizing::new).map_err(|_| no_terminal())
}
