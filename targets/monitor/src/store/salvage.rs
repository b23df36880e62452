//! What can be read of a damaged file, copied to a new one.
//!
//! Each table is read from its beginning until a row cannot be read, then from its end backwards until the same: a bad page
//! costs the rows of that page. Rows with a checksum are compared with it.

use super::body;
use crate::Error;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Transaction};
use std::path::{Path, PathBuf};

/// What was saved and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// Where the damaged file is now.
    pub aside: PathBuf,
    /// What SQLite found.
    pub detail: String,
    /// Rows that were saved, by table.
    pub saved: Vec<(&'static str, u64)>,
    /// Places where rows could not be read.
    pub gaps: u64,
    /// Rows that were read and did not match their checksum.
    pub mismatched: u64,
}

impl std::fmt::Display for Salvage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store was damaged ({}) and is set aside as {}; saved: ", self.detail, self.aside.display())?;
        for (at, (table, rows)) in self.saved.iter().enumerate() {
            write!(f, "{}{rows} {table}", if at == 0 { "" } else { ", " })?;
        }
        write!(f, "; {} gaps could not be read, {} rows did not match their checksum", self.gaps, self.mismatched)
    }
}

/// A table, and how its rows are found without an index.
struct Table {
    name: &'static str,
    columns: &'static str,
    /// Column that rows are ordered by.
    order: &'static str,
    /// Column before it in the key and the table whose ids it takes, if the table is keyed by two.
    within: Option<(&'static str, &'static str)>,
    /// Whether new ids must not be taken for lost ones.
    ids: bool,
}

const TABLES: [Table; 9] = [
    Table { name: "source", columns: "id, fleet, attributes, device", order: "id", within: None, ids: true },
    Table {
        name: "session",
        columns: "id, source, start_ns, fine_ns, coarse_ns",
        order: "id",
        within: None,
        ids: true,
    },
    Table { name: "series", columns: "id, key", order: "id", within: None, ids: true },
    Table { name: "cohort", columns: "id, fleet, site, model, version, target", order: "id", within: None, ids: true },
    Table {
        name: "report",
        columns: "session, time_ns, received_ms, body",
        order: "time_ns",
        within: Some(("session", "session")),
        ids: false,
    },
    Table {
        name: "summary",
        columns: "cohort, time_ms, body",
        order: "time_ms",
        within: Some(("cohort", "cohort")),
        ids: false,
    },
    Table {
        name: "alert",
        columns: "id, rule, subject, severity, message, started_ms, ended_ms, acknowledged_by",
        order: "id",
        within: None,
        ids: true,
    },
    Table { name: "delivery", columns: "id, webhook, body, attempts, next_ms", order: "id", within: None, ids: true },
    Table { name: "audit", columns: "id, time_ms, actor, action, detail", order: "id", within: None, ids: true },
];

/// Copies what can be read of the file at `aside`.
///
/// # Errors
/// [`Error::Full`]: the new file cannot be written. Nothing about the old one is an error.
pub fn copy(aside: &Path, to: &mut Connection, detail: &str) -> Result<Salvage, Error> {
    let mut salvage =
        Salvage { aside: aside.to_owned(), detail: detail.to_owned(), saved: Vec::new(), gaps: 0, mismatched: 0 };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let Ok(from) = Connection::open_with_flags(aside, flags) else { return Ok(salvage) };
    let transaction = to.transaction()?;
    for table in &TABLES {
        let gaps_before = salvage.gaps;
        let saved = copy_table(&from, &transaction, table, &mut salvage)?;
        salvage.saved.push((table.name, saved));
        if table.ids && salvage.gaps > gaps_before {
            // What refers to a lost row must never find another in its place.
            transaction.execute(
                "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
                [table.name],
            )?;
            transaction.execute("UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = ?1", [table.name])?;
        }
    }
    let progress = from.prepare("SELECT name, value FROM progress").and_then(|mut rows| {
        rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?.collect::<Result<Vec<_>, _>>()
    });
    match progress {
        Ok(progress) => {
            for row in progress {
                transaction.execute("INSERT OR REPLACE INTO progress VALUES (?1, ?2)", row)?;
            }
        }
        Err(_) => salvage.gaps += 1,
    }
    transaction.execute("DELETE FROM session WHERE source NOT IN (SELECT id FROM source)", [])?;
    transaction.execute("DELETE FROM report WHERE session NOT IN (SELECT id FROM session)", [])?;
    transaction.commit()?;
    Ok(salvage)
}

fn copy_table(from: &Connection, to: &Transaction, table: &Table, salvage: &mut Salvage) -> Result<u64, Error> {
    let Some((column, parents)) = table.within else { return copy_rows(from, to, table, None, salvage) };
    let parents: Vec<i64> =
        to.prepare(&format!("SELECT id FROM {parents}"))?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut saved = 0;
    for parent in parents {
        saved += copy_rows(from, to, table, Some((column, parent)), salvage)?;
    }
    Ok(saved)
}

fn copy_rows(
    from: &Connection,
    to: &Transaction,
    table: &Table,
    within: Option<(&str, i64)>,
    salvage: &mut Salvage,
) -> Result<u64, Error> {
    let Table { name, columns, order, .. } = table;
    let places = vec!["?"; columns.split(", ").count()].join(", ");
    // A row that was read from both ends is the same row.
    let mut insert = to.prepare_cached(&format!("INSERT OR IGNORE INTO {name} ({columns}) VALUES ({places})"))?;
    let condition = within.map(|(column, id)| format!("WHERE {column} = {id}")).unwrap_or_default();
    let mut saved = 0;
    for direction in ["ASC", "DESC"] {
        let text = format!("SELECT {columns} FROM {name} {condition} ORDER BY {order} {direction}");
        let Ok(mut select) = from.prepare(&text) else { break };
        let count = select.column_count();
        let Ok(mut rows) = select.query([]) else { break };
        let complete = loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break true,
                Err(_) => break false,
            };
            let Ok(values) = (0..count).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>() else { break false };
            if matches(table, &values) {
                saved += insert.execute(rusqlite::params_from_iter(values))? as u64;
            } else {
                salvage.mismatched += 1;
            }
        };
        if complete {
            return Ok(saved);
        }
    }
    salvage.gaps += 1;
    Ok(saved)
}

/// Whether a row is what was written, as far as it carries a checksum.
fn matches(table: &Table, values: &[Value]) -> bool {
    match (table.name, values) {
        ("report", [Value::Integer(session), Value::Integer(time), Value::Integer(received), Value::Blob(bytes)]) => {
            body::decode(bytes, [*session, *time, *received]).is_ok()
        }
        ("summary", [Value::Integer(cohort), Value::Integer(time), Value::Blob(bytes)]) => {
            body::decode(bytes, [*cohort, *time, 0]).is_ok()
        }
        ("report" | "summary", _) => false,
        _ => true,
    }
}
