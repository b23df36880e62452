// What all programs and pages here share: a case with its reference answer, the comparison, and the loop that measures.

// V8 compiles a hot function twice, the second time in the background: what runs before that is done is not measured.
const WARM_UP_MS = 1500;
// As in benches/src/measure.rs.
const WARM_UP_RUNS = 3;
const MIN_RUNS = 5;
const MAX_RUNS = 2000;
// As in benches/src/cases.rs.
const ABSOLUTE = 1e-4;
const RELATIVE = 1e-3;

/** Array type and ONNX number of each element type that the models have. */
export const ELEMENTS = {
  float32: { array: Float32Array, onnx: 1 },
  int32: { array: Int32Array, onnx: 6 },
  int64: { array: BigInt64Array, onnx: 7 },
};

/**
 * `inputs` and `outputs` of a case that `peer.py case` wrote: `[{ name, dtype, shape, values }]`.
 *
 * @param document what is in `case.json`
 * @param {ArrayBuffer} bytes what is in `case.bin`
 */
export function parseCase({ inputs, outputs }, bytes) {
  const tensor = ({ name, dtype, shape, offset_bytes, size_bytes }) => {
    const { array } = ELEMENTS[dtype];
    return { name, dtype, shape, values: new array(bytes.slice(offset_bytes, offset_bytes + size_bytes)) };
  };
  return { inputs: inputs.map(tensor), outputs: outputs.map(tensor) };
}

/** Throws unless every reference answer is met. `found` maps names to arrays. */
export function check(references, found) {
  for (const { name, values } of references) {
    const answer = found[name];
    if (answer === undefined || answer.length !== values.length) throw new Error(`output ${name} is missing or of another size`);
    values.forEach((reference, at) => {
      const [a, b] = [Number(answer[at]), Number(reference)];
      // Written so that NaN fails.
      if (!(Math.abs(a - b) <= ABSOLUTE + RELATIVE * Math.abs(b))) throw new Error(`output ${name}[${at}] is ${a}, not ${b}`);
    });
  }
}

/** Runs again and again for so many seconds; milliseconds of each run. */
export async function measure(run, seconds) {
  let started = performance.now();
  for (let runs = 0; runs < WARM_UP_RUNS || performance.now() - started < WARM_UP_MS; runs++) await run();
  const latencies = [];
  started = performance.now();
  while (latencies.length < MIN_RUNS || (performance.now() - started < seconds * 1e3 && latencies.length < MAX_RUNS)) {
    const before = performance.now();
    await run();
    latencies.push(performance.now() - before);
  }
  return latencies;
}
