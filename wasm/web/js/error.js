/** Why something failed: a stable `code`, the same as everywhere in Pannier, and a `hint` where something can be done. */
export class PannierError extends Error {
  /**
   * @param {string} code for example `E_CORRUPT`
   * @param {string} message
   * @param {{ hint?: string | null, cause?: unknown }} [more]
   */
  constructor(code, message, { hint = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PannierError";
    this.code = code;
    this.hint = hint;
  }

  /** The error as plain data, in which form the runtime and workers give it. */
  static from({ code, message, hint, ...more }, cause) {
    return Object.assign(new PannierError(code, message, { hint, cause }), more);
  }
}

/** The call was wrong. */
export function usage(message, hint = null) {
  return new PannierError("E_USAGE", message, { hint });
}

/** Throws if there is an option that has no meaning. */
export function known(options, names, what) {
  if (typeof options !== "object" || options === null) throw usage(`${what}s are an object`);
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw usage(`there is no ${what} \`${name}\``, `there are ${names.join(", ")}`);
  }
}

/** Throws if the signal was given. */
export function throwIfAborted(signal) {
  if (signal?.aborted) throw interrupted(signal);
}

/** What is promised, unless the signal is given before. */
export function unlessAborted(signal, promise) {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(interrupted(signal));
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Why the signal was given: an error of ours, or the caller gave up for the reason in it. */
export function interrupted(signal) {
  if (signal?.reason instanceof PannierError) return signal.reason;
  return new PannierError("E_INTERRUPTED", "cancelled by the caller", { cause: signal?.reason });
}

/** An error as plain data: classes do not travel between threads. */
export function plain(error) {
  const ours = error instanceof PannierError ? error : new PannierError("E_FAILED", String(error));
  // The message is a property that does not spread.
  const { message, name, ...rest } = ours;
  return { ...rest, message };
}
