//! The `packager` command as a stranger meets it: help, answers, errors, exit statuses, and what it leaves behind.

mod answers;
mod documents;
mod examples;
mod files;
pub mod fixture;
mod interrupting;
mod permissions;
mod quantizing;
mod schema;
mod statuses;
