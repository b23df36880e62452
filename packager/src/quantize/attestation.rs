//! The result of the gate as an in-toto statement, for tools that read such statements.
//!
//! It is about the sections `graph` and `weights/N` of its bundle, and stands in the section `attestation/0`, which the
//! bundle's signatures cover like all others. Predicate: in-toto's test result, version 0.1.

use super::prove::percent;
use super::record::{Proof, Record};
use crate::units::hex;
use pannier_bundle::Code;
use pannier_engine::Program;
use pannier_graph::GraphError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Name of its section.
pub const SECTION: &str = "attestation/0";
/// Longest statement that is read.
pub const BYTES_MAX: usize = 1 << 20;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// An in-toto statement about a test. Unknown fields are ignored, as in-toto wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Always in-toto's statement, version 1.
    #[serde(rename = "_type")]
    pub kind: String,
    /// What was tested: sections with the digests of their content.
    pub subject: Vec<Resource>,
    /// Always in-toto's test result, version 0.1.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What came out.
    pub predicate: TestResult,
}

/// What every statement says of itself.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

/// Something with a digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Digests by algorithm, in lowercase hexadecimal digits.
    pub digest: BTreeMap<String, String>,
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// `PASSED`; `WARNED` where the loss that was measured is within the budget and its bound is not.
    pub result: String,
    /// What it was tested with: the section that says how, and the sets of cases.
    pub configuration: Vec<Resource>,
    /// The test, if it passed.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// The test, if it warned.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// Never in a bundle: a build whose gate fails writes none.
    #[serde(default)]
    pub failed_tests: Vec<String>,
}

/// Why a statement was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is no statement about a test.
    #[error("the attestation is no in-toto test result: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It is about something else than the bundle that it is in.
    #[error("the attestation is about another `{name}` than this bundle's")]
    Subject {
        /// The section.
        name: String,
    },
}

impl StatementError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code::Corrupt
    }
}

/// The statement for a quantized program; `None` where no budget was to be kept.
///
/// # Errors
/// [`GraphError`] where the graph cannot be encoded.
pub fn state(program: &Program, record: &Record) -> Result<Option<Statement>, GraphError> {
    let Some((proof, budget)) = record.proof.as_ref().and_then(|proof| Some((proof, proof.verdict.budget?))) else {
        return Ok(None);
    };
    let mut subject = vec![resource("graph", &Sha256::digest(program.graph.encode()?))];
    for (index, section) in program.sections.iter().enumerate() {
        subject.push(resource(&format!("weights/{index}"), &Sha256::digest(section.as_bytes())));
    }
    let mut configuration = vec![resource(Record::SECTION, &Sha256::digest(record.encode()))];
    configuration.extend(record.tuning.as_ref().map(|set| resource("tuning cases", &set.sha256)));
    configuration.extend(record.held_out.as_ref().map(|set| resource("held-out cases", &set.sha256)));
    let shown = proof.verdict.bound <= budget;
    let test = vec![format!("loss of {} at most {}: {}", proof.metric, percent(budget), proof.text())];
    let (passed_tests, warned_tests) = if shown { (test, Vec::new()) } else { (Vec::new(), test) };
    Ok(Some(Statement {
        kind: STATEMENT.to_owned(),
        subject,
        predicate_type: PREDICATE.to_owned(),
        predicate: TestResult {
            result: if shown { "PASSED" } else { "WARNED" }.to_owned(),
            configuration,
            passed_tests,
            warned_tests,
            failed_tests: Vec::new(),
        },
    }))
}

fn resource(name: &str, sha256: &[u8]) -> Resource {
    Resource { name: name.to_owned(), digest: BTreeMap::from([("sha256".to_owned(), hex(sha256))]) }
}

impl Statement {
    /// The bytes of the section: JSON, the same for the same statement.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the section; `None` for a statement of another kind, of which nothing is known here. `sections` are the names and
    /// digests of the bundle's sections; a statement about sections of another bundle is refused. Never panics.
    ///
    /// # Errors
    /// [`StatementError::Malformed`], [`StatementError::Subject`].
    pub fn decode(bytes: &[u8], sections: &BTreeMap<String, String>) -> Result<Option<Statement>, StatementError> {
        let malformed = |reason: String| StatementError::Malformed { reason };
        if bytes.len() > BYTES_MAX {
            return Err(malformed(format!("it has {} bytes, at most {BYTES_MAX} are read", bytes.len())));
        }
        let Kind { kind, predicate_type } =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if (&*kind, &*predicate_type) != (STATEMENT, PREDICATE) {
            return Ok(None);
        }
        let statement: Statement = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if statement.subject.is_empty() {
            return Err(malformed("it is about nothing".to_owned()));
        }
        for subject in &statement.subject {
            let digest = subject.digest.get("sha256");
            if digest.is_none() || sections.get(&subject.name) != digest {
                return Err(StatementError::Subject { name: subject.name.clone() });
            }
        }
        Ok(Some(statement))
    }

    /// What was tested, in one line.
    pub fn text(&self) -> String {
        let TestResult { result, passed_tests, warned_tests, failed_tests, .. } = &self.predicate;
        let tests: Vec<&str> =
            [passed_tests, warned_tests, failed_tests].into_iter().flatten().map(String::as_str).collect();
        format!("{}: {}", result.to_lowercase(), tests.join("; "))
    }
}

/// What a proof says of a budget, for reports.
pub fn summary(proof: &Proof) -> String {
    match proof.verdict.budget {
        Some(budget) => format!("{}; {} were allowed", proof.text(), percent(budget)),
        None => proof.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            kind: STATEMENT.to_owned(),
            subject: vec![resource("graph", &[1; 32]), resource("weights/0", &[2; 32])],
            predicate_type: PREDICATE.to_owned(),
            predicate: TestResult {
                result: "PASSED".to_owned(),
                configuration: vec![resource("quantization", &[3; 32])],
                passed_tests: vec!["accuracy".to_owned()],
                warned_tests: Vec::new(),
                failed_tests: Vec::new(),
            },
        }
    }

    fn sections() -> BTreeMap<String, String> {
        [("graph", [1; 32]), ("weights/0", [2; 32])].map(|(name, digest)| (name.to_owned(), hex(&digest))).into()
    }

    #[test]
    fn a_statement_survives_its_encoding() {
        let statement = statement();
        assert_eq!(Statement::decode(&statement.encode(), &sections()), Ok(Some(statement.clone())));
        let other = Statement { predicate_type: "https://example.com/other".to_owned(), ..statement.clone() };
        assert_eq!(Statement::decode(&other.encode(), &BTreeMap::new()), Ok(None));
        assert_eq!(statement.text(), "passed: accuracy");
        let text = String::from_utf8(statement.encode()).unwrap();
        for word in ["\"_type\"", "predicateType", "passedTests", "test-result/v0.1"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn a_statement_about_something_else_is_refused() {
        let refused = |damage: fn(&mut Statement)| {
            let mut statement = statement();
            damage(&mut statement);
            Statement::decode(&statement.encode(), &sections()).unwrap_err()
        };
        let other = StatementError::Subject { name: "graph".to_owned() };
        assert_eq!(refused(|statement| statement.subject[0] = resource("graph", &[9; 32])), other);
        assert_eq!(refused(|statement| statement.subject[0].digest.clear()), other);
        assert!(matches!(refused(|statement| statement.subject.clear()), StatementError::Malformed { .. }));
        for bytes in [&b""[..], b"{}", b"[]", b"\xff", &[b'['; 5000]] {
            assert!(Statement::decode(bytes, &sections()).is_err());
        }
        assert!(Statement::decode(&vec![b' '; BYTES_MAX + 1], &sections()).is_err());
    }
}
