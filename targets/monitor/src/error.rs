//! What can go wrong, with the code, the advice and the HTTP status of each.

use std::path::PathBuf;

/// Why a request was refused or a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option, a query parameter or a value in a file is wrong.
    #[error("{message}")]
    Usage {
        /// What is wrong, and where.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The rules file is wrong.
    #[error("{path}: {message}")]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
        /// What to do.
        hint: String,
    },
    /// There is no such thing.
    #[error("there is no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A path that is there, for other methods.
    #[error("this path does not take the method {method}")]
    Method {
        /// The method of the request.
        method: String,
    },
    /// No token, or one that is not known here.
    #[error("{message}")]
    Unauthorized {
        /// What is missing.
        message: &'static str,
    },
    /// A request with an address that is not this server's, as a page of somebody else's would send it.
    #[error("this server takes requests for localhost only while it has no tokens")]
    Host,
    /// More than is taken at once.
    #[error("more {what} than the limit of {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A body that cannot be read.
    #[error("the body cannot be read: {message}")]
    Malformed {
        /// What is wrong.
        message: String,
    },
    /// A body of a type that is not taken.
    #[error("bodies of this type or encoding are not taken: {found}")]
    MediaType {
        /// What was sent.
        found: String,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {seconds} s")]
    Slow {
        /// The limit.
        seconds: u64,
    },
    /// Too much at once.
    #[error("this server has as much to do as it can hold")]
    Busy,
    /// Nothing can be written.
    #[error("the store cannot take more: {cause}")]
    Full {
        /// What SQLite says.
        cause: String,
    },
    /// The store is damaged.
    #[error("the store is damaged: {detail}")]
    Damaged {
        /// What does not hold, and where.
        detail: String,
    },
    /// Anything else that SQLite says.
    #[error("the store failed: {0}")]
    Store(rusqlite::Error),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The network or the system fails.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A simulated device was refused.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// A wrong option or value.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Usage { message: message.into(), hint: hint.into() }
    }

    /// A body that cannot be read.
    pub fn malformed(message: impl Into<String>) -> Error {
        Error::Malformed { message: message.into() }
    }

    /// The stable code. Those that the rest of Pannier has mean the same there; `E_UNAUTHORIZED` and `E_UNAVAILABLE` are only
    /// met at a server.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Error::Usage { .. } | Error::Method { .. } | Error::MediaType { .. } | Error::Rules { .. } => "E_USAGE",
            Error::NotFound { .. } | Error::File { .. } => "E_INPUT_MISSING",
            Error::Unauthorized { .. } | Error::Host => "E_UNAUTHORIZED",
            Error::TooLarge { .. } => "E_LIMIT",
            Error::Malformed { .. } => "E_INVALID_CONTENT",
            Error::Slow { .. } => "E_DEADLINE",
            Error::Busy | Error::Full { .. } => "E_UNAVAILABLE",
            Error::Damaged { .. } => "E_CORRUPT",
            Error::Store(_) | Error::System { .. } | Error::Refused(_) => "E_FAILED",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let hint = match self {
            Error::Usage { hint, .. } | Error::Rules { hint, .. } => hint,
            Error::NotFound { .. } | Error::Method { .. } => "`/api/openapi.json` lists what there is",
            Error::Unauthorized { .. } => {
                "send `Authorization: Bearer TOKEN`; `pannier-monitor token new FLEET` makes one for devices, `--operator` one for people"
            }
            Error::Host => "use http://localhost, or make tokens with `pannier-monitor token new`",
            Error::TooLarge { .. } => "send less in one request; `--max-body` of the server raises the limit",
            Error::Malformed { .. } => {
                "send an ExportMetricsServiceRequest as `application/x-protobuf` or `application/json`, gzip at most"
            }
            Error::MediaType { .. } => {
                "`Content-Type` may be `application/x-protobuf` or `application/json`, `Content-Encoding` may be `gzip`"
            }
            Error::Slow { .. } | Error::Busy => "send it again later; nothing of it was kept",
            Error::Full { .. } => {
                "nothing of it was kept: send it again later. On the server: free disk space, shorten `--keep-raw`, or raise `--max-store`"
            }
            Error::Damaged { .. } => "restart the server: it sets the damaged file aside and saves what can be read",
            Error::Store(_) => "see the server's log",
            Error::File { .. } => "check that it exists and may be read and written",
            Error::System { .. } => "check the address, and that nothing else uses it",
            Error::Refused(_) => "check `--url` and `--token`",
        };
        hint.to_owned()
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Error::Usage { .. } | Error::Rules { .. } | Error::Malformed { .. } => 400,
            Error::Unauthorized { .. } => 401,
            Error::Host => 403,
            Error::NotFound { .. } => 404,
            Error::Method { .. } => 405,
            Error::Slow { .. } => 408,
            Error::TooLarge { .. } => 413,
            Error::MediaType { .. } => 415,
            Error::Busy | Error::Full { .. } => 503,
            Error::Damaged { .. } | Error::Store(_) | Error::File { .. } | Error::System { .. } | Error::Refused(_) => {
                500
            }
        }
    }

    /// The same error for somebody else who waits for the same transaction.
    #[must_use]
    pub fn again(&self) -> Error {
        match self {
            Error::Damaged { detail } => Error::Damaged { detail: detail.clone() },
            other => Error::Full { cause: other.to_string() },
        }
    }

    /// The code of `google.rpc.Code` that goes with the status.
    #[must_use]
    pub fn rpc_code(&self) -> i32 {
        match self.status() {
            401 => 16,
            403 => 7,
            404 => 5,
            408 => 4,
            413 => 8,
            503 => 14,
            500 => 13,
            _ => 3,
        }
    }

    /// After how many seconds to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Error::Busy => Some(2),
            Error::Full { .. } => Some(60),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            // A write that fails is a disk that is full, read-only or gone: no fault of the sender's, who may try again.
            Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
                Error::Full { cause: error.to_string() }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Damaged { detail: error.to_string() },
            _ => Error::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_project_or_a_server_s_own() {
        let errors = [
            Error::usage("", ""),
            Error::Rules { path: PathBuf::new(), message: String::new(), hint: String::new() },
            Error::NotFound { what: String::new() },
            Error::TooLarge { what: "", limit: 0 },
            Error::malformed(""),
            Error::Slow { seconds: 0 },
            Error::Damaged { detail: String::new() },
            Error::Refused(String::new()),
        ];
        for error in errors {
            assert!(pannier_bundle::Code::from_name(error.code()).is_some(), "{}", error.code());
        }
    }
}
