import { known, usage } from "../error.js";
import { address } from "../place.js";

const OPTIONS = ["endpoint", "headers", "serviceName", "resourceAttributes", "compression", "timeoutMs", "intervalMs"];
const COMPRESSIONS = ["gzip", "none"];
const METRICS = "/v1/metrics";
/** What `setTimeout` takes. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/**
 * The option `telemetry`, checked; `null` where there is to be none: no option was given, or the user wants none.
 *
 * Names and defaults are OpenTelemetry's: `OTEL_EXPORTER_OTLP_ENDPOINT` and so on.
 */
export function telemetryOption(telemetry) {
  if (telemetry === undefined || telemetry === null) return null;
  known(telemetry, OPTIONS, "option of telemetry");
  const { endpoint, headers = {}, serviceName = "pannier", resourceAttributes = {}, compression = "gzip" } = telemetry;
  if (!COMPRESSIONS.includes(compression)) throw usage('`compression` is "gzip" or "none"');
  const checked = {
    url: metricsUrl(endpoint),
    headers: checkedHeaders(headers),
    resource: Object.entries({ ...texts(resourceAttributes, "resourceAttributes"), ...texts({ "service.name": serviceName }, "serviceName") }),
    compression,
    timeoutMs: milliseconds(telemetry, "timeoutMs", 10_000),
    intervalMs: milliseconds(telemetry, "intervalMs", 60_000),
  };
  return isUnwanted() ? null : checked;
}

/** <https://globalprivacycontrol.org>, its predecessor, and the variables that the other targets honour. */
function isUnwanted() {
  const { doNotTrack, globalPrivacyControl } = globalThis.navigator ?? {};
  const { DO_NOT_TRACK = "", OTEL_SDK_DISABLED = "" } = globalThis.process?.env ?? {};
  return (
    doNotTrack === "1" ||
    globalPrivacyControl === true ||
    !["", "0", "false"].includes(DO_NOT_TRACK.toLowerCase()) ||
    OTEL_SDK_DISABLED.toLowerCase() === "true"
  );
}

function metricsUrl(endpoint) {
  const isText = typeof endpoint === "string" || endpoint instanceof URL;
  if (!isText) throw usage("`endpoint` is missing, or no address", "for example https://collector.example:4318");
  const url = new URL(address(endpoint));
  if (url.protocol !== "http:" && url.protocol !== "https:") throw usage("`endpoint` is an address with http or https");
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith(METRICS) ? path : path + METRICS;
  return url.href;
}

function checkedHeaders(headers) {
  try {
    return [...new Headers(texts(headers, "headers"))];
  } catch {
    // Not the value: it may be a secret.
    throw usage("`headers` are names and values of HTTP headers");
  }
}

function texts(named, what) {
  const isTexts = typeof named === "object" && named !== null && Object.values(named).every((value) => typeof value === "string");
  if (!isTexts) throw usage(`\`${what}\`: names and values are texts`);
  return named;
}

function milliseconds(options, name, usual) {
  const value = options[name] ?? usual;
  if (!Number.isFinite(value) || value < 1 || value > MOST_TIMER_MS) throw usage(`\`${name}\` is a number of milliseconds, not ${value}`);
  return value;
}
