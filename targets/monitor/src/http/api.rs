//! `/api/v1`: documents for the page and for programs. `openapi.json` describes them.

use super::answer::Json;
use super::auth::operator;
use crate::Error;
use crate::alerts::rules::Rules;
use crate::app::App;
use crate::store::{Alert, Audit, Device, Filter, Range, shared};
use crate::view::{self, DeviceList, Distributions, Hours, Overview, Timeline};
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Answer<T> = Result<Json<T>, Error>;

/// Longest range of one question: 400 days.
const MAX_RANGE_MS: i64 = 400 * 86_400_000;
/// What is taken where nothing is said: the last hour.
const DEFAULT_RANGE_MS: i64 = 3_600_000;

/// What a question may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    fleet: Option<String>,
    site: Option<String>,
    model: Option<String>,
    version: Option<String>,
    target: Option<String>,
}

impl Query {
    fn of(request: &Request) -> Result<Query, Error> {
        let wrong = |error: &dyn std::fmt::Display| {
            let message = error.to_string();
            let hint = crate::suggest::in_message(&message)
                .unwrap_or_else(|| "`/api/openapi.json` lists what a question may say".to_owned());
            Error::usage(message, hint)
        };
        axum::extract::Query::try_from_uri(request.uri()).map(|query| query.0).map_err(|error| {
            wrong(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
        })
    }

    fn filter(self) -> Filter {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Filter {
            fleet: given(self.fleet),
            site: given(self.site),
            model: self.model,
            version: self.version,
            target: self.target,
        }
    }

    fn range(&self, app: &App) -> Result<Range, Error> {
        let to_ms = self.to_ms.unwrap_or_else(|| app.clock.now_ms() + 1);
        let from_ms = self.from_ms.unwrap_or_else(|| to_ms.saturating_sub(DEFAULT_RANGE_MS));
        let span = to_ms.checked_sub(from_ms).filter(|span| (1..=MAX_RANGE_MS).contains(span));
        if span.is_none() || from_ms < 0 {
            return Err(Error::usage(
                format!("{from_ms} to {to_ms} is not a range"),
                "`from_ms` and `to_ms` are milliseconds since 1970, at most 400 days apart",
            ));
        }
        Ok(Range { from_ms, to_ms })
    }
}

fn silent_before_ms(app: &App) -> i64 {
    app.clock.now_ms() - app.config.silent_after_ms
}

fn devices_of(app: &App, filter: &Filter) -> Vec<Device> {
    shared(&app.store.devices).values().filter(|device| filter.takes(&device.cohort)).cloned().collect()
}

pub async fn overview(State(app): State<Arc<App>>, request: Request) -> Answer<Overview> {
    operator(&app, request.headers())?;
    let query = Query::of(&request)?;
    let (range, filter) = (query.range(&app)?, query.filter());
    let work = move |app: &App| {
        let devices = devices_of(app, &filter);
        app.store.read(|reader| view::overview(reader, &devices, range, &filter, silent_before_ms(app)))
    };
    app.read(work).await.map(Json)
}

pub async fn timeline(State(app): State<Arc<App>>, request: Request) -> Answer<Timeline> {
    operator(&app, request.headers())?;
    let query = Query::of(&request)?;
    let (range, filter) = (query.range(&app)?, query.filter());
    app.read(move |app| app.store.read(|reader| view::timeline(reader, range, &filter))).await.map(Json)
}

pub async fn distributions(State(app): State<Arc<App>>, request: Request) -> Answer<Distributions> {
    operator(&app, request.headers())?;
    let query = Query::of(&request)?;
    let (range, filter) = (query.range(&app)?, query.filter());
    app.read(move |app| app.store.read(|reader| view::distributions(reader, range, &filter))).await.map(Json)
}

pub async fn devices(State(app): State<Arc<App>>, request: Request) -> Answer<DeviceList> {
    operator(&app, request.headers())?;
    let filter = Query::of(&request)?.filter();
    app.read(move |app| Ok(view::devices(devices_of(app, &filter), silent_before_ms(app)))).await.map(Json)
}

pub async fn history(
    State(app): State<Arc<App>>,
    Path((fleet, device)): Path<(String, String)>,
    request: Request,
) -> Answer<Hours> {
    operator(&app, request.headers())?;
    let query = Query::of(&request)?;
    let (range, filter) = (query.range(&app)?, query.filter());
    let source = {
        let devices = shared(&app.store.devices);
        let found = devices.iter().filter(|(_, each)| {
            each.source.fleet == fleet && each.source.device() == device && filter.takes(&each.cohort)
        });
        found.max_by_key(|(_, each)| each.newest.received_ms).map(|(id, _)| *id)
    };
    let what = || Error::NotFound { what: format!("device `{device}` in fleet `{fleet}`") };
    let source = source.ok_or_else(what)?;
    app.read(move |app| app.store.read(|reader| view::device_history(reader, source, range))).await.map(Json)
}

/// What a change answers.
#[derive(Serialize)]
pub struct Done {
    done: bool,
}

pub async fn delete_device(
    State(app): State<Arc<App>>,
    Path((fleet, device)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Done> {
    let actor = changer(&app, &headers)?;
    let now_ms = app.clock.now_ms();
    app.ingest.call(move |writer| writer.delete_device(&fleet, &device, &actor, now_ms)).await?;
    Ok(Json(Done { done: true }))
}

/// Who changes something. A page of somebody else's cannot: browsers ask before they send this type, and get no leave.
fn changer(app: &App, headers: &HeaderMap) -> Result<String, Error> {
    let actor = operator(app, headers)?;
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("none");
    if kind != "application/json" {
        return Err(Error::MediaType { found: kind.to_owned() });
    }
    Ok(actor)
}

/// Alerts.
#[derive(Serialize)]
pub struct AlertList {
    alerts: Vec<Alert>,
}

pub async fn alerts(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<AlertList> {
    operator(&app, &headers)?;
    let alerts = app.read(|app| app.store.read(|reader| reader.alerts(false))).await?;
    Ok(Json(AlertList { alerts }))
}

pub async fn acknowledge(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Answer<Done> {
    let actor = changer(&app, &headers)?;
    let id: i64 = id.parse().map_err(|_| Error::NotFound { what: format!("alert `{id}`") })?;
    let now_ms = app.clock.now_ms();
    app.ingest.call(move |writer| writer.acknowledge(id, &actor, now_ms)).await?;
    Ok(Json(Done { done: true }))
}

pub async fn rules(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Rules> {
    operator(&app, &headers)?;
    Ok(Json((*app.alerts.rules()).clone()))
}

/// What reloading found.
#[derive(Serialize)]
pub struct Reloaded {
    rules: usize,
}

pub async fn reload_rules(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Reloaded> {
    let actor = changer(&app, &headers)?;
    let outcome = app.alerts.reload(&app.config.rules_path());
    let (action, detail) = match &outcome {
        Ok(count) => ("rules.load", format!("{count} rules")),
        Err(error) => ("rules.reject", error.to_string()),
    };
    let entry = Audit { time_ms: app.clock.now_ms(), actor, action: action.to_owned(), detail };
    app.ingest.call(move |writer| writer.audit(&entry)).await?;
    outcome.map(|rules| Json(Reloaded { rules }))
}

/// The audit log.
#[derive(Serialize)]
pub struct AuditList {
    entries: Vec<Audit>,
}

pub async fn audit(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<AuditList> {
    operator(&app, &headers)?;
    let entries = app.read(|app| app.store.read(|reader| reader.audit())).await?;
    Ok(Json(AuditList { entries }))
}

/// How the monitor itself is doing.
#[derive(Serialize)]
pub struct Status {
    version: &'static str,
    now_ms: i64,
    started_ms: i64,
    store_bytes: u64,
    sources: usize,
    series: usize,
    sessions: i64,
    stored_points: u64,
    duplicate_points: u64,
    rejected_points: u64,
    damaged_rows: u64,
    /// Whether readers need a token.
    open: bool,
}

pub async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Status> {
    operator(&app, &headers)?;
    let sessions = app.read(|app| app.store.read(|reader| reader.sessions())).await?;
    let counters = &app.counters;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        now_ms: app.clock.now_ms(),
        started_ms: app.started_ms,
        store_bytes: app.store.size_bytes(),
        sources: shared(&app.store.devices).len(),
        series: shared(&app.store.catalogue).len(),
        sessions,
        stored_points: counters.stored.load(Ordering::Relaxed),
        duplicate_points: counters.duplicate.load(Ordering::Relaxed),
        rejected_points: counters.rejected().map(|(_, count)| count).sum(),
        damaged_rows: counters.damaged_rows.load(Ordering::Relaxed),
        open: !shared(&app.tokens).has_operators(),
    }))
}
