//! What `packager key` is told.

use super::PassphraseArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `packager key`
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeyCommand,
}

/// What can be done with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Make a key pair (ECDSA P-256): NAME.pem to keep secret, NAME.pub to give away
    New(KeyNewArgs),
    /// Show a key's fingerprint and its public half
    Show(KeyShowArgs),
}

/// `packager key new`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager key new release.pem --passphrase-file passphrase.txt
  packager key new test.pem --no-passphrase")]
pub struct KeyNewArgs {
    /// Where to write the private key; the public key goes beside it
    #[arg(value_name = "NAME.pem")]
    pub path: PathBuf,
    /// Do not encrypt the private key
    #[arg(long, conflicts_with = "passphrase_file")]
    pub no_passphrase: bool,
    /// The passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// `packager key show`
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  packager key show publisher.pub
  packager key show publisher.pem > copy.pub")]
pub struct KeyShowArgs {
    /// A public or private key (PEM)
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// The private key's passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
