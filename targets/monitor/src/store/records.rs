//! Alerts, webhook calls that wait, and the audit log.

use super::{Reader, Writer};
use crate::Error;
use rusqlite::OptionalExtension as _;
use serde::Serialize;

/// Most entries that one answer holds.
const PAGE: u32 = 500;

/// An alert that is on, or was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// Number.
    pub id: i64,
    /// Name of the rule.
    pub rule: String,
    /// What it is about: cohort or device.
    pub subject: serde_json::Value,
    /// `info`, `warning` or `critical`
    pub severity: String,
    /// What is the matter.
    pub message: String,
    /// Since when.
    pub started_ms: i64,
    /// Until when, once it is over.
    pub ended_ms: Option<i64>,
    /// Who has seen it.
    pub acknowledged_by: Option<String>,
}

/// A webhook call that is still to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Number.
    pub id: i64,
    /// Name of the webhook.
    pub webhook: String,
    /// What to send.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Who changed what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// When.
    pub time_ms: i64,
    /// Who: the name of a token, `command line`, or `monitor` itself.
    pub actor: String,
    /// What: `token.new`, `token.revoke`, `rules.load`, `rules.reject`, `alert.acknowledge`, `device.delete`, `store.salvage`.
    pub action: String,
    /// Which.
    pub detail: String,
}

impl Writer {
    /// Adds an entry to the audit log.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn audit(&mut self, entry: &Audit) -> Result<(), Error> {
        self.db.execute(
            "INSERT INTO audit (time_ms, actor, action, detail) VALUES (?1, ?2, ?3, ?4)",
            (entry.time_ms, &entry.actor, &entry.action, &entry.detail),
        )?;
        Ok(())
    }

    /// Notes that an alert began, and the calls that say so.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn begin_alert(&mut self, alert: &Alert, calls: &[(String, String)]) -> Result<i64, Error> {
        let transaction = self.db.transaction()?;
        transaction.execute(
            "INSERT INTO alert (rule, subject, severity, message, started_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            (&alert.rule, alert.subject.to_string(), &alert.severity, &alert.message, alert.started_ms),
        )?;
        let id = transaction.last_insert_rowid();
        queue(&transaction, calls, alert.started_ms)?;
        transaction.commit()?;
        Ok(id)
    }

    /// Notes that an alert is over, and the calls that say so.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn end_alert(&mut self, id: i64, now_ms: i64, calls: &[(String, String)]) -> Result<(), Error> {
        let transaction = self.db.transaction()?;
        transaction.execute("UPDATE alert SET ended_ms = ?2 WHERE id = ?1 AND ended_ms IS NULL", (id, now_ms))?;
        queue(&transaction, calls, now_ms)?;
        transaction.commit()?;
        Ok(())
    }

    /// Notes who has seen an alert.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is no such alert.
    pub fn acknowledge(&mut self, id: i64, actor: &str, now_ms: i64) -> Result<(), Error> {
        let transaction = self.db.transaction()?;
        let rule: Option<String> = transaction
            .query_row("UPDATE alert SET acknowledged_by = ?2 WHERE id = ?1 RETURNING rule", (id, actor), |row| {
                row.get(0)
            })
            .optional()?;
        let rule = rule.ok_or_else(|| Error::NotFound { what: format!("alert {id}") })?;
        transaction.execute(
            "INSERT INTO audit (time_ms, actor, action, detail) VALUES (?1, ?2, 'alert.acknowledge', ?3)",
            (now_ms, actor, format!("alert {id}, rule {rule}")),
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Deletes everything that is stored of a device. What it added to summaries stays there, where it names nobody.
    ///
    /// # Errors
    /// [`Error::NotFound`]: there is no such device.
    pub fn delete_device(&mut self, fleet: &str, device: &str, actor: &str, now_ms: i64) -> Result<(), Error> {
        let transaction = self.db.transaction()?;
        let sources: Vec<u32> = transaction
            .prepare("SELECT id FROM source WHERE fleet = ?1 AND device = ?2")?
            .query_map((fleet, device), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if sources.is_empty() {
            return Err(Error::NotFound { what: format!("device `{device}` in fleet `{fleet}`") });
        }
        for source in &sources {
            transaction
                .execute("DELETE FROM report WHERE session IN (SELECT id FROM session WHERE source = ?1)", [source])?;
            transaction.execute("DELETE FROM session WHERE source = ?1", [source])?;
            transaction.execute("DELETE FROM source WHERE id = ?1", [source])?;
        }
        transaction.execute(
            "INSERT INTO audit (time_ms, actor, action, detail) VALUES (?1, ?2, 'device.delete', ?3)",
            (now_ms, actor, format!("{device} in fleet {fleet}")),
        )?;
        transaction.commit()?;
        self.forget_sources(&sources);
        Ok(())
    }

    /// Webhook calls that are due.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn due_deliveries(&self, now_ms: i64) -> Result<Vec<Delivery>, Error> {
        let mut rows = self.db.prepare_cached(
            "SELECT id, webhook, body, attempts FROM delivery WHERE next_ms <= ?1 ORDER BY id LIMIT 16",
        )?;
        let rows = rows.query_map([now_ms], |row| {
            Ok(Delivery { id: row.get(0)?, webhook: row.get(1)?, body: row.get(2)?, attempts: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes what became of a call: over and done with, or to be made again at `next_ms`.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn delivered(&mut self, id: i64, next_ms: Option<i64>) -> Result<(), Error> {
        match next_ms {
            Some(next_ms) => self
                .db
                .execute("UPDATE delivery SET attempts = attempts + 1, next_ms = ?2 WHERE id = ?1", (id, next_ms))?,
            None => self.db.execute("DELETE FROM delivery WHERE id = ?1", [id])?,
        };
        Ok(())
    }
}

fn queue(db: &rusqlite::Transaction, calls: &[(String, String)], now_ms: i64) -> Result<(), Error> {
    for (webhook, body) in calls {
        db.execute(
            "INSERT INTO delivery (webhook, body, attempts, next_ms) VALUES (?1, ?2, 0, ?3)",
            (webhook, body, now_ms),
        )?;
    }
    Ok(())
}

impl Reader<'_> {
    /// Alerts, the newest first; only those that are on, or all.
    ///
    /// # Errors
    /// See [`Store::read`](super::Store::read).
    pub fn alerts(&self, open_only: bool) -> Result<Vec<Alert>, Error> {
        let mut rows = self.db.prepare_cached(
            "SELECT id, rule, subject, severity, message, started_ms, ended_ms, acknowledged_by FROM alert
             WHERE ended_ms IS NULL OR NOT ?1 ORDER BY ended_ms IS NOT NULL, id DESC LIMIT ?2",
        )?;
        let rows = rows.query_map((open_only, PAGE), |row| {
            Ok(Alert {
                id: row.get(0)?,
                rule: row.get(1)?,
                subject: serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default(),
                severity: row.get(3)?,
                message: row.get(4)?,
                started_ms: row.get(5)?,
                ended_ms: row.get(6)?,
                acknowledged_by: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The audit log, the newest first.
    ///
    /// # Errors
    /// See [`Store::read`](super::Store::read).
    pub fn audit(&self) -> Result<Vec<Audit>, Error> {
        let mut rows =
            self.db.prepare_cached("SELECT time_ms, actor, action, detail FROM audit ORDER BY id DESC LIMIT ?1")?;
        let rows = rows.query_map([PAGE], |row| {
            Ok(Audit { time_ms: row.get(0)?, actor: row.get(1)?, action: row.get(2)?, detail: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
