/** What the runtime says of a model, in JavaScript's names. */
export function describe(document, sha256) {
  return freeze({
    name: document.name,
    version: document.version,
    description: document.description,
    bundleId: document.bundle_id,
    sha256,
    inputs: document.inputs.map(port),
    outputs: document.outputs.map(port),
    labels: document.labels,
    envelope: {
      peakMemoryBytes: document.envelope.peak_memory_bytes || null,
      weightBytes: document.envelope.weight_bytes || null,
      deadlineMs: document.envelope.deadline_ms || null,
    },
  });
}

/** What the runtime says of a session. */
export function report(document, { source, receiveMs, memoryBytes }) {
  const { rejected, self_test: test, memory } = document.report;
  return {
    engine: document.engine,
    engines: document.engines,
    flavour: document.flavour,
    source,
    signers: document.verdict?.signers ?? [],
    rejected,
    selfTest: test === null ? null : { cases: test.cases, elements: test.elements, largestDifference: test.largest_difference },
    memory: { weightBytes: memory.weight_bytes, peakBytes: memory.peak_bytes, wasmBytes: memoryBytes },
    load: {
      receiveMs,
      verifyMs: document.load.verify_ms,
      readMs: document.load.read_ms,
      prepareMs: document.load.prepare_ms,
      selfTestMs: document.load.self_test_ms,
    },
  };
}

function port({ name, dtype, shape, description, labels, state }) {
  return { name, type: dtype, shape, description, labels, state };
}

function freeze(value) {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}
