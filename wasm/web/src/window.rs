//! A window of telemetry that ends: what the recorder tells, as it is sent.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host::given;
use crate::model::Model;

#[wasm_bindgen]
impl Model {
    /// Ends a window, of which `window` says the rest as JSON (`js/telemetry/exporter.js`), and gives its payload: an
    /// `ExportMetricsServiceRequest` in protobuf. Nothing if the session is not recorded.
    #[wasm_bindgen(js_name = closeWindow)]
    pub fn close_window(&self, window: &str) -> Result<Option<Uint8Array>, JsValue> {
        let payload = given(payload::of(self, window))?;
        Ok(payload.map(|payload| Uint8Array::new_from_slice(&payload)))
    }
}

#[cfg(feature = "telemetry")]
mod payload {
    use super::Model;
    use pannier::telemetry::otlp::{DeliveryCounts, Export, Message, Session};
    use pannier_wasm_interface::Failure;
    use serde::Deserialize;

    /// What JavaScript knows of a window.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Window {
        /// Attributes of the service and the device.
        resource: Vec<(String, String)>,
        /// When the bundle came to this machine.
        installed_unix_s: u64,
        /// When the session began to record.
        start_unix_ms: u64,
        /// When the window ends.
        time_unix_ms: u64,
        /// Of the session's last model, if that was replaced by another one.
        delivery: Option<Delivery>,
    }

    /// [`DeliveryCounts`] of the session.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Delivery {
        /// When the counts began.
        start_unix_ms: u64,
        spool_full: u64,
        rejected: u64,
        disk: u64,
        failed: u64,
        spool_bytes: u64,
    }

    pub(super) fn of(model: &Model, window: &str) -> Result<Option<Vec<u8>>, Failure> {
        let session = model.session();
        let Some(recorder) = session.recorder() else { return Ok(None) };
        let window: Window = serde_json::from_str(window)
            .map_err(|error| Failure::usage(format!("the window is not valid: {error}")))?;
        let delivery = window.delivery.map(|delivery| {
            let Delivery { start_unix_ms, spool_full, rejected, disk, failed, spool_bytes } = delivery;
            let start_unix_ns = nanoseconds(start_unix_ms);
            DeliveryCounts { start_unix_ns, spool_full, rejected, disk, failed, spool_bytes }
        });
        let start_unix_ns = nanoseconds(window.start_unix_ms);
        recorder.installed_at(window.installed_unix_s);
        let mut resource = window.resource;
        let version = || env!("CARGO_PKG_VERSION").to_owned();
        let known = ["service.version", "telemetry.sdk.version"].map(|name| (name.to_owned(), version()));
        resource.extend(
            known.into_iter().filter(|(name, _)| !resource.iter().any(|(given, _)| given == name)).collect::<Vec<_>>(),
        );
        let export = Export {
            resource,
            time_unix_ns: nanoseconds(window.time_unix_ms),
            sessions: vec![Session { start_unix_ns, snapshot: recorder.close_window() }],
            delivery,
        };
        Ok(Some(export.request().encode_to_vec()))
    }

    fn nanoseconds(ms: u64) -> u64 {
        ms.saturating_mul(1_000_000)
    }
}

#[cfg(not(feature = "telemetry"))]
mod payload {
    use super::Model;
    use pannier_wasm_interface::Failure;

    pub(super) fn of(_: &Model, _: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }
}
