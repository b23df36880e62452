//! Who may do what.
//!
//! Devices send a token of their fleet, people and programs one of an operator. A server that has no tokens of a kind does not
//! ask for them; it is then reachable from this machine only (`Config::check` sees to that), and takes requests for `localhost` only,
//! so that a page of somebody else's cannot reach it under a name of its own.

use crate::Error;
use crate::app::App;
use crate::store::shared;
use crate::tokens::Role;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};

/// The fleet of devices that send no token, where none is needed.
pub const DEFAULT_FLEET: &str = "default";

/// The fleet that a request is from.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::Host`].
pub fn fleet(app: &App, headers: &HeaderMap) -> Result<String, Error> {
    let tokens = shared(&app.tokens);
    if !tokens.has_fleets() {
        return local(headers).map(|()| DEFAULT_FLEET.to_owned());
    }
    match authorization(headers).and_then(|text| tokens.role(text)) {
        Some(Role::Fleet(fleet)) => Ok(fleet.clone()),
        Some(Role::Operator(_)) => Err(Error::Unauthorized { message: "an operator's token does not send" }),
        None => Err(Error::Unauthorized { message: "a fleet's token is missing or not known here" }),
    }
}

/// The operator that a request is from.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::Host`].
pub fn operator(app: &App, headers: &HeaderMap) -> Result<String, Error> {
    let tokens = shared(&app.tokens);
    if !tokens.has_operators() {
        return local(headers).map(|()| "local".to_owned());
    }
    match authorization(headers).and_then(|text| tokens.role(text)) {
        Some(Role::Operator(name)) => Ok(name.clone()),
        Some(Role::Fleet(_)) => Err(Error::Unauthorized { message: "a fleet's token does not read" }),
        None => Err(Error::Unauthorized { message: "an operator's token is missing or not known here" }),
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

fn local(headers: &HeaderMap) -> Result<(), Error> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_local { Ok(()) } else { Err(Error::Host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for (host, expected) in [
            ("localhost:4318", true),
            ("LOCALHOST", true),
            ("127.0.0.1:80", true),
            ("[::1]:4318", true),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:80", false),
            ("192.168.0.1", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().expect("a header"))]);
            assert_eq!(local(&headers).is_ok(), expected, "{host}");
        }
    }
}
