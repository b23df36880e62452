import { usage } from "./error.js";

/** An address as a whole, whatever it was relative to. */
export function address(where) {
  try {
    return new URL(where, globalThis.location?.href).href;
  } catch {
    throw usage(`\`${where}\` is not an address`);
  }
}

/** A module of Node's own, or `undefined` elsewhere. Not an `import`, so that no bundler asks for it. */
export function builtin(name) {
  return globalThis.process?.getBuiltinModule?.(name);
}
