-- Version 1 of the store. Times: `_ms` and `_ns` since 1970. `body`: see body.rs. Ids are never used twice.

CREATE TABLE source (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet TEXT NOT NULL,
    attributes TEXT NOT NULL,           -- JSON object, sorted
    device TEXT NOT NULL,
    UNIQUE (fleet, attributes)
);
CREATE INDEX source_device ON source (fleet, device);

-- What one source reports from one start on. `fine_ns`, `coarse_ns`: everything before is in rows of 5 minutes, of 1 hour.
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    fine_ns INTEGER NOT NULL,
    coarse_ns INTEGER NOT NULL,
    UNIQUE (source, start_ns)
);

CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE            -- JSON: Series
);

-- The points of a session at one time, as reported: sums and histograms count from the session's start.
CREATE TABLE report (
    session INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (session, time_ns)
) WITHOUT ROWID;

CREATE TABLE cohort (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    fleet TEXT NOT NULL, site TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, target TEXT NOT NULL,
    UNIQUE (fleet, site, model, version, target)
);

-- What all sources of a cohort together did in the minute, 5 minutes or hour from `time_ms` on: growth, not totals.
CREATE TABLE summary (
    cohort INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (cohort, time_ms)
) WITHOUT ROWID;

CREATE TABLE alert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,              -- JSON object
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    acknowledged_by TEXT
);
CREATE INDEX alert_open ON alert (ended_ms);

-- Webhook calls that are still to be made.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_ms INTEGER NOT NULL
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);

-- Up to where summaries were merged: rows of `name` 'fine_ms' and 'coarse_ms'.
CREATE TABLE progress (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO progress VALUES ('fine_ms', 0), ('coarse_ms', 0);
