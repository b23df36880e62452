//! Why a call failed, in the form in which it leaves the guest.

use pannier::Code;
use serde::Serialize;

/// An error for the host: a stable code, a message, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Text of the code, for example `E_CORRUPT`.
    pub code: &'static str,
    /// What went wrong.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<&'static str>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code: code.name(), message: message.into(), hint: None }
    }

    /// The same failure with a hint.
    pub fn hint(self, hint: &'static str) -> Failure {
        Failure { hint: Some(hint), ..self }
    }

    /// The call does not fit what came before it, or its arguments are of no use.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Code::Usage, message)
    }

    /// An input is not what the model takes.
    pub fn input(name: &str, message: impl std::fmt::Display) -> Failure {
        Failure::new(Code::InvalidInput, format!("input `{name}`: {message}"))
    }

    /// The text that the plain ABI gives to the host.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| String::from(r#"{"code":"E_FAILED","message":"","hint":null}"#))
    }
}

impl From<pannier::Error> for Failure {
    fn from(error: pannier::Error) -> Failure {
        Failure { code: error.code().name(), message: error.to_string(), hint: error.hint() }
    }
}

impl From<pannier_bundle::Error> for Failure {
    fn from(error: pannier_bundle::Error) -> Failure {
        Failure::from(pannier::Error::from(error))
    }
}
