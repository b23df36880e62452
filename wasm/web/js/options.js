import { known, usage } from "./error.js";
import { telemetryOption } from "./telemetry/options.js";

const LOAD_OPTIONS = ["trust", "limits", "selfTest", "onProgress", "signal", "cache", "retries", "telemetry", "wasm", "tract"];
const LIMITS = ["memoryBytes", "contentBytes", "deadlineMs", "loadDeadlineMs"];
const RUN_OPTIONS = ["signal", "transfer"];
const TRUST = ["keys", "policy", "allowUnsigned"];
const CACHE = [false, true, "reload"];
const MOST_RETRIES = 4;

/**
 * The options of `Session.create`, checked: `wire` is what goes to the runtime, the rest stays in JavaScript.
 *
 * `wire` is plain data, so that it can be sent to a worker.
 */
export function loadOptions(options) {
  known(options, LOAD_OPTIONS, "option");
  const { trust, limits = {}, selfTest = true, onProgress, signal, cache = false, retries = MOST_RETRIES, wasm, tract } = options;
  const telemetry = telemetryOption(options.telemetry);
  known(limits, LIMITS, "limit");
  if (typeof selfTest !== "boolean") throw usage("`selfTest` is true or false");
  if (onProgress !== undefined && typeof onProgress !== "function") throw usage("`onProgress` is a function");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw usage("`signal` is an AbortSignal");
  if (!CACHE.includes(cache)) throw usage('`cache` is true, false or "reload"');
  if (!Number.isInteger(retries) || retries < 0) throw usage("`retries` is a whole number from 0 on");
  const wire = {
    trust: trustOption(trust),
    selfTest,
    nowUnixS: Math.floor(Date.now() / 1000),
    memoryBytes: whole(limits, "memoryBytes"),
    contentBytes: whole(limits, "contentBytes"),
    deadlineMs: duration(limits, "deadlineMs"),
    loadDeadlineMs: duration(limits, "loadDeadlineMs"),
    observe: telemetry !== null,
  };
  return { wire, onProgress, signal, cache, retries, telemetry, wasm, tract };
}

/** The options of a run, checked. */
export function runOptions(options) {
  known(options, RUN_OPTIONS, "option");
  const { signal, transfer = false } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw usage("`signal` is an AbortSignal");
  if (typeof transfer !== "boolean") throw usage("`transfer` is true or false");
  return { signal, transfer };
}

/** Trust in the form of the runtime. There is no default: whoever trusts anybody has to say so. */
function trustOption(trust) {
  const hint = "`{ keys: [PEM, ...] }`, `{ policy: TOML }` or `{ allowUnsigned: true }`";
  if (trust === undefined || trust === null) throw usage("whom to trust is not decided: `trust` is missing", hint);
  known(trust, TRUST, "kind of trust");
  const { keys, policy, allowUnsigned } = trust;
  if ([keys, policy, allowUnsigned].filter((given) => given !== undefined).length !== 1) {
    throw usage("`trust` wants exactly one decision", hint);
  }
  if (allowUnsigned === true) return "allowUnsigned";
  if (typeof policy === "string") return { policy };
  const pems = typeof keys === "string" ? [keys] : keys;
  if (Array.isArray(pems) && pems.length > 0 && pems.every((pem) => typeof pem === "string")) return { keys: pems };
  throw usage("`trust` is of no use as it is", hint);
}

function whole(limits, name) {
  const value = limits[name];
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || value <= 0) throw usage(`\`${name}\` is a whole number of bytes, not ${value}`);
  return value;
}

function duration(limits, name) {
  const value = limits[name];
  if (value === undefined) return undefined;
  if (!Number.isFinite(value) || value <= 0) throw usage(`\`${name}\` is a number of milliseconds, not ${value}`);
  return value;
}
