// What a test wants to know of a payload: OTLP's protobuf, read by its field numbers.

/** The fields of a message: numbers as `BigInt`, everything with a length as bytes. */
function fields(bytes) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Number(tag >> 3n);
    const kind = Number(tag & 7n);
    if (kind === 0) found.push({ field, value: varint() });
    else if (kind === 1) found.push({ field, value: Buffer.from(bytes.subarray(at, (at += 8))).readBigUInt64LE() });
    else {
      const length = Number(varint());
      found.push({ field, value: bytes.subarray(at, (at += length)) });
    }
  }
  return found;
}

const all = (message, wanted) => fields(message).filter(({ field }) => field === wanted).map(({ value }) => value);
const one = (message, wanted) => all(message, wanted)[0];
const text = (bytes) => Buffer.from(bytes ?? []).toString();
const attributes = (list) => Object.fromEntries(list.map((it) => [text(one(it, 1)), text(one(one(it, 2), 1))]));

/** Each resource in a payload: names of its metrics, and of its histograms of durations the `engine` and the `error`, how many runs, from when to when. */
function sessions(bytes) {
  return all(bytes, 1).map((resourceMetrics) => {
    const metrics = all(one(resourceMetrics, 2), 2);
    const durations = metrics.filter((metric) => text(one(metric, 1)) === "pannier.inference.duration");
    const points = durations.flatMap((metric) => all(fields(metric).find(({ field }) => field >= 5).value, 1));
    return {
      metrics: metrics.map((metric) => text(one(metric, 1))),
      durations: points.map((point) => {
        const { "pannier.engine": engine, "error.type": error } = attributes(all(point, 1));
        return { engine, error, count: Number(one(point, 4)), startNs: one(point, 2), timeNs: one(point, 3) };
      }),
    };
  });
}

/** `resource`: its attributes. `metrics`: names. `runs`, `startNs`, `timeNs`: of all runs without an error. `counters`: values of sums, by name and attributes. */
export function payload(bytes) {
  const [resourceMetrics] = all(bytes, 1);
  const metrics = all(one(resourceMetrics, 2), 2).map((metric) => {
    const data = fields(metric).find(({ field }) => field >= 5);
    return { name: text(one(metric, 1)), kind: data.field, points: all(data.value, 1) };
  });
  const runs = metrics.find(({ name }) => name === "pannier.inference.duration")?.points[0];
  const sums = metrics.filter(({ kind }) => kind === 7);
  const counters = sums.flatMap(({ name, points }) =>
    points.map((point) => [[name, ...Object.values(attributes(all(point, 7)))].join(" "), Number(one(point, 6) ?? 0n)]),
  );
  return {
    resource: attributes(all(one(resourceMetrics, 1), 1)),
    metrics: metrics.map(({ name }) => name),
    runs: runs === undefined ? 0 : Number(one(runs, 4)),
    startNs: runs === undefined ? 0n : one(runs, 2),
    timeNs: runs === undefined ? 0n : one(runs, 3),
    counters: Object.fromEntries(counters),
    sessions: sessions(bytes),
  };
}
