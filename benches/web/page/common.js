// What both pages share. The program that drives them leaves `BENCH` before anything else: `{ model, file, inputs, key }`,
// the inputs as `[{ name, dtype, shape }]`.

import { ELEMENTS, check, measure, parseCase } from "../js/measure.mjs";

const { model, file, inputs, key } = globalThis.BENCH;

/**
 * Loads the model and runs it once, on zeros: an input would have to be fetched. Leaves when the answer was there as
 * `firstAnswer`, and `finish`, which checks an answer and measures.
 *
 * @param {(options: { file: string, key: string }) => Promise<{ names: string[], tensor: Function, run: Function }>} load `names` are those of the
 * inputs that the model has here
 */
export async function start(load) {
  globalThis.firstAnswer = first(load).catch((error) => ({ error: `${error.code ?? ""} ${error.message}` }));
}

async function first(load) {
  const { names, tensor, run } = await load({ file: `../models/${file}`, key });
  const feed = (tensors) => {
    const given = tensors.filter(({ name }) => names.includes(name));
    return Object.fromEntries(given.map(({ name, dtype, shape, values }) => [name, tensor(dtype, values, shape)]));
  };
  const zeros = inputs.map((input) => ({ ...input, values: new ELEMENTS[input.dtype].array(input.shape.reduce((size, side) => size * side, 1)) }));
  await run(feed(zeros));
  const first_answer_ms = performance.now();

  globalThis.finish = async (seconds) => {
    const folder = `../cases/${model}`;
    const [document, bytes] = await Promise.all([
      fetch(`${folder}/case.json`).then((response) => response.json()),
      fetch(`${folder}/case.bin`).then((response) => response.arrayBuffer()),
    ]);
    const reference = parseCase(document, bytes);
    const feeds = feed(reference.inputs);
    const answers = await run(feeds);
    check(reference.outputs, Object.fromEntries(Object.entries(answers).map(([name, { data }]) => [name, data])));
    return measure(() => run(feeds), seconds);
  };
  return { first_answer_ms, downloads: downloads() };
}

/** What came over the network until now, and from caches: bytes as they were sent. */
function downloads() {
  const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return entries.map(({ name, encodedBodySize, transferSize }) => ({ name, bytes: encodedBodySize, is_sent: transferSize > 0 }));
}
