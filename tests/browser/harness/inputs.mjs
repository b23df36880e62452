// Tensors as JSON: `{ type, dims, data }`, as they are in `cases.json`. Runs in pages and in Node.

/** Tensors of the package's class. */
export function tensors(Tensor, named) {
  return Object.fromEntries(Object.entries(named).map(([name, { type, dims, data }]) => [name, new Tensor(type, data, dims)]));
}

/** The same as JSON; only for types whose elements are plain numbers. */
export function plain(named) {
  return Object.fromEntries(Object.entries(named).map(([name, { type, dims, data }]) => [name, { type, dims: [...dims], data: [...data] }]));
}

/** What `work` throws, as JSON. Nothing thrown is an error, too. */
export async function refusal(work) {
  try {
    await work();
  } catch (error) {
    const { name, code, message, hint } = error;
    return { name, code, message, hint, cause: error.cause === undefined ? null : String(error.cause) };
  }
  throw new Error("it was not refused");
}
