//! `pannier-monitor token`

use super::Data;
use crate::clock::Clock;
use crate::store::{Audit, Keep, Options, Store, Writer};
use crate::tokens::{self, Role};
use crate::{Config, Error};
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub struct TokenArguments {
    #[command(flatten)]
    data: Data,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token and print it, once. A running monitor knows it within seconds
    New {
        /// Name of the fleet whose devices send with it, or with `--operator` of the person or program that reads
        name: String,
        /// For reading instead of sending
        #[arg(long)]
        operator: bool,
    },
    /// List tokens: id, what each is for, when it was made
    List,
    /// Make a token worthless
    Revoke {
        /// Its id, from `list`
        id: String,
    },
}

pub fn run(arguments: TokenArguments) -> Result<(), Error> {
    let config = Config::new(arguments.data.data);
    let path = config.tokens_path();
    std::fs::create_dir_all(&config.data).map_err(|source| Error::File { path: config.data.clone(), source })?;
    match arguments.command {
        Verb::New { name, operator } => {
            let role = if operator { Role::Operator(name) } else { Role::Fleet(name) };
            let (token, entry) = tokens::add(&path, role, Clock::system().now_ms())?;
            note(&config, "token.new", format!("{} {}", entry.id, words(&entry.role)))?;
            println!("{token}");
            eprintln!(
                "{} ({}). It is shown this once; {} holds its digest.",
                words(&entry.role),
                entry.id,
                path.display()
            );
        }
        Verb::List => {
            for entry in tokens::read(&path)? {
                println!("{}  {}", entry.id, words(&entry.role));
            }
        }
        Verb::Revoke { id } => {
            let entry = tokens::revoke(&path, &id)?;
            note(&config, "token.revoke", format!("{} {}", entry.id, words(&entry.role)))?;
            eprintln!("{} is worthless now", words(&entry.role));
        }
    }
    Ok(())
}

fn words(role: &Role) -> String {
    match role {
        Role::Fleet(name) => format!("token of fleet `{name}`"),
        Role::Operator(name) => format!("token of operator `{name}`"),
    }
}

/// Writes to the audit log of a monitor that may be running.
fn note(config: &Config, action: &str, detail: String) -> Result<(), Error> {
    let store = Store::new(&config.store_path());
    let (mut writer, _) = Writer::open(&store, Keep::default(), Options::default())?;
    let entry = Audit {
        time_ms: Clock::system().now_ms(),
        actor: "command line".to_owned(),
        action: action.to_owned(),
        detail,
    };
    writer.audit(&entry)
}
