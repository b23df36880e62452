//! What every command is given besides its own arguments.

use crate::printer::Printer;

/// What every command is given besides its own arguments.
pub struct Context {
    /// The only way to write to the terminal.
    pub printer: Printer,
    /// Whether the answer on stdout is a JSON document instead of text.
    pub json: bool,
}
