/** What means "not now" (<https://opentelemetry.io/docs/specs/otlp/#failures-1>). */
const LATER = [429, 502, 503, 504];
const MOST_ANSWER_BYTES = 64 << 10;

/**
 * Posts payloads. Every answer is `{ kind: "taken", rejectedPoints }`, `{ kind: "later", afterMs }` with `null` for no time named, or
 * `{ kind: "never" }`.
 */
export class Sender {
  #config;

  constructor(config) {
    this.#config = config;
  }

  /** Sends a payload and waits for the answer. */
  async send(payload) {
    const { compression, timeoutMs } = this.#config;
    const isPacked = compression === "gzip" && globalThis.CompressionStream !== undefined;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeoutMs);
    try {
      return await this.#post(isPacked ? await gzip(payload) : payload, isPacked, { signal: limit.signal });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a payload by a request that outlives the page. It is begun before this returns: so there is no time to compress. */
  sendAndLeave(payload) {
    return this.#post(payload, false, { keepalive: true });
  }

  async #post(body, isPacked, more) {
    const headers = new Headers(this.#config.headers);
    headers.set("content-type", "application/x-protobuf");
    if (isPacked) headers.set("content-encoding", "gzip");
    let response;
    try {
      // A redirect would carry the headers to wherever it leads; cookies are no matter of a receiver's.
      response = await fetch(this.#config.url, { method: "POST", headers, body, credentials: "omit", redirect: "error", cache: "no-store", ...more });
    } catch {
      // Nobody there, not in time, or not allowed to ask: pages are not told which.
      return { kind: "later", afterMs: null };
    }
    if (LATER.includes(response.status)) return { kind: "later", afterMs: seconds(response.headers.get("retry-after")) };
    if (!response.ok) return { kind: "never" };
    return { kind: "taken", rejectedPoints: await rejectedPoints(response) };
  }
}

async function gzip(bytes) {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(packed).arrayBuffer();
}

/** `Retry-After` in seconds. A date, which the header may be as well, is left to the backoff. */
function seconds(value) {
  return value !== null && /^\d{1,9}$/.test(value.trim()) ? Number(value) * 1000 : null;
}

/** Points that the receiver did not want. The payload was taken, whatever became of the answer. */
async function rejectedPoints(response) {
  try {
    const answer = new Uint8Array(await response.arrayBuffer());
    if (answer.length > MOST_ANSWER_BYTES) return 0;
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("application/json")) return varintField(messageField(answer, 1), 1);
    const { partialSuccess } = JSON.parse(new TextDecoder().decode(answer));
    return Number(partialSuccess?.rejectedDataPoints ?? 0) || 0;
  } catch {
    return 0;
  }
}

/** The number in field `wanted` of a protobuf message. */
function varintField(message, wanted) {
  return fields(message).find(({ field, number }) => field === wanted && number !== undefined)?.number ?? 0;
}

/** The bytes in field `wanted` of a protobuf message. */
function messageField(message, wanted) {
  return fields(message).find(({ field, bytes }) => field === wanted && bytes !== undefined)?.bytes ?? new Uint8Array();
}

/** The numbers and the byte strings of a protobuf message; there is nothing else in an answer. */
function fields(message) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; at < message.length; factor *= 128) {
      const byte = message[at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number is cut off");
  };
  while (at < message.length) {
    const tag = varint();
    const value = varint();
    if (tag % 8 === 0) {
      found.push({ field: Math.floor(tag / 8), number: value });
    } else if (tag % 8 === 2) {
      found.push({ field: Math.floor(tag / 8), bytes: message.subarray(at, at + value) });
      at += value;
    } else {
      throw new RangeError("no answer has such a field");
    }
  }
  return found;
}
